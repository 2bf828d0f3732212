"""The longer tests of Iceberg tables: `make test-iceberg` runs them, not `make test`."""
