"""Servers that tests start: Spark Connect and S3."""
