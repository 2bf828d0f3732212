"""A Spark session together with the file systems that it reaches."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

from dedup_lib.session.storage import Storage


@dataclass(frozen=True)
class Session:
    """A Spark session and its file systems; made once, at the start of a run.

    Attributes:
        spark: The Spark session, classic or Connect.
        storage: The file systems that the session reaches.
    """

    spark: SparkSession
    storage: Storage
