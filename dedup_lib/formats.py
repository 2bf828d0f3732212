"""The table formats that this library comes with; others are registered in the same way."""

from dedup_lib.delta import DeltaFormat
from dedup_lib.parquet import ParquetFormat
from dedup_lib.tables import registry

registry.register(ParquetFormat())  # what there is where no other is
registry.register(DeltaFormat())
