"""Iceberg tables on servers: a REST catalog, S3. `make test-iceberg` runs these tests."""
