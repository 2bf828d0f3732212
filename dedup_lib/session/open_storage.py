"""Choose how a session reaches files: through its JVM, or over Spark Connect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyspark.sql import SparkSession

from dedup_lib.session.spark_session import is_connect
from dedup_lib.session.storage import Storage


def open_storage(
    spark: SparkSession, pyarrow_options: Mapping[str, str] = MappingProxyType({})
) -> Storage:
    """Return the file systems that a session reaches.

    Args:
        spark: The session.
        pyarrow_options: What pyarrow needs to reach the same file systems on executors.
    """
    if is_connect(spark):
        from dedup_lib.session.connect_storage import ConnectStorage  # noqa: PLC0415  # needs no JVM

        return ConnectStorage(spark, pyarrow_options)
    from dedup_lib.session.hadoop_storage import HadoopStorage  # noqa: PLC0415  # needs Spark's JVM

    return HadoopStorage(spark, pyarrow_options)
