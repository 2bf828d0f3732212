"""Jars that tests fetch once, by their digests."""
