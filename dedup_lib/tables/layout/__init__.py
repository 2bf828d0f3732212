"""What the names of files and directories say about a Parquet table."""
