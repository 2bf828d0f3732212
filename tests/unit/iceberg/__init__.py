"""Iceberg's metadata and errors, without Spark."""
