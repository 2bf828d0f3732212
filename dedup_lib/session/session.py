"""One Spark session together with the file systems that it reaches."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

from dedup_lib.session.storage import Storage


@dataclass(frozen=True)
class Session:
    """What a run works with; made once, where the run begins.

    Attributes:
        spark: The Spark session, classic or Connect.
        storage: The file systems that it reaches.
    """

    spark: SparkSession
    storage: Storage
