"""Register the table formats of this library; others are registered in the same way."""

from dedup_lib.delta import DeltaFormat
from dedup_lib.iceberg import IcebergFormat
from dedup_lib.parquet import ParquetFormat
from dedup_lib.tables import registry
from dedup_lib.webdataset import WebDatasetFormat

registry.register(
    ParquetFormat()
)  # the first format is the default for tables that match no other format
registry.register(DeltaFormat())
registry.register(IcebergFormat())
registry.register(WebDatasetFormat())
