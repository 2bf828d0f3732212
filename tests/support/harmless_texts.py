"""Texts without a secret, though some look like it."""

HARMLESS = [
    "/data/dt=2026-01-01/part-00000.parquet",
    "/data/key=5/part-00000.parquet",
    "s3a://bucket/images/dt=2026-01-01/key=5/se=1/sp=x/token_count=7/part.parquet",
    "/data/sig=abc/x.parquet",
    "/data/token=abc/x.parquet",
    "/data/country=se/signature_version=2/x.parquet",
    "s3a://bucket/a@b/c",
    "abfss://container@account.dfs.core.windows.net/images",
    "hdfs://namenode:8020/images",
    "file:/data/a:b@c",
    "image table '/data/x' has no column 'id' (columns: 'key', 'sha256'). Did you mean 'key'?",
    "the plan removes 3 of 4 rows (0.7500), more than --max-removed-fraction 0.5",
    "group_00000_x10_000123",
    "https://host:8443/a@b?c=d",
    "s3a://bucket:8443",
    "columns: {'image_id': 'key', 'key': 'token'}",
    "spark.sql.files.maxPartitionBytes=128MB --max-removed-fraction=0.5",
    "",
]
