"""Single values of Parquet files, read by row position."""
