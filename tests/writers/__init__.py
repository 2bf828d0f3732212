"""Random tables by four writers of Parquet, through both engines: `make test-writers`."""
