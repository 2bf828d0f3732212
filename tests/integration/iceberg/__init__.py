"""Iceberg tables, by real Spark and Iceberg."""
