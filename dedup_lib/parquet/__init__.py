"""Parquet directories as tables."""
