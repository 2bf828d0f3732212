"""Find what is new in a Delta image table since an earlier run: new rows, IDs of changed rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType, TimestampNTZType, TimestampType

from dedup_lib.delta.log import read_commits
from dedup_lib.errors import ImagesChangedError
from dedup_lib.locations import is_path
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.sql_names import quoted, sql_name
from dedup_lib.tables.history import NOTHING_NEW, ImageChanges, ImagesState
from dedup_lib.tables.pinned import PinnedTable

_FULL_RUN = "add --output-mode overwrite once, for a full run"
# Delta's errors if a feed does not reach back far enough, or a VACUUM deleted its files.
_NO_FEED = re.compile(
    r"CHANGE_DATA|CHANGE_TABLE_FEED|CHANGE_FEED|DELTA_VERSION|SCHEMA|FileNotFound|FILE_NOT_EXIST"
)
_MOST_PARTITIONS = 200
_FEED = "delta.enableChangeDataFeed"
_LOG_SCHEMA = (
    "add STRUCT<path: STRING, partitionValues: MAP<STRING, STRING>, dataChange: BOOLEAN, "
    "deletionVector: STRUCT<storageType: STRING>>, "
    "remove STRUCT<path: STRING, dataChange: BOOLEAN>"
)


def find_changes(
    spark: SparkSession, images: PinnedTable, before: ImagesState, now: ImagesState
) -> ImageChanges:
    """Find what is new in a pinned Delta image table.

    Args:
        spark: The session.
        images: The image table.
        before: The state of the image table at the earlier run.
        now: The pinned state.

    Raises:
        ImagesChangedError: The changes can't be determined, for example because rows were changed
            or deleted without a change data feed.

    *Cost:* the commits since the earlier run. The new rows are read only when they are used.
    """
    since, until = before.version or 0, now.version or 0
    if since == until:
        return NOTHING_NEW
    if since > until:
        raise ImagesChangedError(
            f"image table {images.location!r} is at version {until}, and the last run read version "
            f"{since}. To go on, {_FULL_RUN}."
        )
    return _Commits(spark, images, now.image_id_column, since + 1, until).changes()


@dataclass(frozen=True)
class _Commits:
    """Commits of a Delta table, from the first one after the last run to the pinned one."""

    spark: SparkSession
    images: PinnedTable
    image_id_column: str
    first: int
    last: int

    def changes(self) -> ImageChanges:
        properties = self.images.detail["properties"]
        if properties.get(_FEED) == "true":
            try:
                return self.by_feed()
            except SPARK_ERRORS as error:
                if not _NO_FEED.search(str(error)):
                    raise
                reason = f"its change data feed does not reach back so far ({first_line(error)})"
        else:
            reason = "it has no change data feed"
        return self.by_log(properties, reason)

    def by_feed(self) -> ImageChanges:
        """Find the changes by Delta's change data feed."""
        reader = self.spark.read.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", self.first).option("endingVersion", self.last)
        location = self.images.location
        feed = reader.load(location) if is_path(location) else reader.table(sql_name(location))
        is_new = F.col("_change_type") == "insert"
        changed = feed.where(~is_new).select(F.col(quoted(self.image_id_column)).alias("image_id"))
        ids, nulls = changed.agg(F.count("image_id"), F.count_if(F.isnull("image_id"))).collect()[0]
        if nulls:
            raise self.refusal(f"{nulls} rows without an ID were changed or deleted")
        columns = [quoted(name) for name in self.images.frame.columns]
        return ImageChanges(
            added=feed.where(is_new).select(*columns),
            changed_ids=changed.distinct() if ids else None,
        )

    def by_log(self, properties: Mapping[str, str], why_no_feed: str) -> ImageChanges:
        """Take the rows of the added files, if the commits changed nothing else."""
        added, removed = self.read_log(why_no_feed)
        if removed:
            raise self.refusal(f"rows were changed or deleted, and {why_no_feed}")
        if not added:
            return NOTHING_NEW
        if properties.get("delta.columnMapping.mode", "none") != "none":
            raise self.refusal(
                f"its files have other column names (column mapping), and {why_no_feed}"
            )
        return ImageChanges(self.read_files(added, why_no_feed), None)

    def read_log(self, why_no_feed: str) -> tuple[list[Any], int]:
        """Return the files that the commits added, with partitions, and how many they removed."""
        versions = range(self.first, self.last + 1)
        try:
            actions = read_commits(self.spark, self.images.root, versions, _LOG_SCHEMA)
            rows = actions.where("add.dataChange OR remove.dataChange").collect()
        except SPARK_ERRORS as error:
            raise self.refusal(
                f"{why_no_feed}, and commits of its log can't be read ({first_line(error)})"
            ) from error
        added = [row["add"] for row in rows if row["add"] is not None]
        removed = [row for row in rows if row["add"] is None or row["add"]["deletionVector"]]
        return added, len(removed)

    def read_files(self, added: Sequence[Any], why_no_feed: str) -> DataFrame:
        """Read data files; the files of each partition get its partition values.

        *Source:* Delta's protocol: an empty text is a NULL, whatever the type.
        """
        schema = self.images.frame.schema
        names = set(self.images.partition_columns)
        for name in names:
            if isinstance(schema[name].dataType, TimestampType | TimestampNTZType):
                raise self.refusal(f"partition column {name!r} is a timestamp, and {why_no_feed}")
        in_files = StructType([field for field in schema if field.name not in names])
        by_partition: dict[str, list[str]] = {}
        for file in added:
            key = json.dumps(sorted((file["partitionValues"] or {}).items()))
            by_partition.setdefault(key, []).append(self.uri_of(file["path"]))

        def read(key: str, files: list[str]) -> DataFrame:
            values = dict(json.loads(key))
            frame = self.spark.read.schema(in_files).options(**PARQUET_READER_OPTIONS)
            columns = [
                F.lit(values.get(field.name) or None).cast(field.dataType).alias(field.name)
                if field.name in names
                else F.col(quoted(field.name))
                for field in schema
            ]
            return frame.parquet(*files).select(*columns)

        if len(by_partition) > _MOST_PARTITIONS:
            raise self.refusal(
                f"rows were added to {len(by_partition)} partitions, and {why_no_feed}"
            )
        try:
            frames = [read(key, files) for key, files in by_partition.items()]
        except AnalysisException as error:  # a VACUUM deleted a file
            raise self.refusal(
                f"a file that was added no longer exists ({first_line(error)})"
            ) from error
        return reduce(DataFrame.unionAll, frames)

    def uri_of(self, path: str) -> str:
        decoded = unquote(path)
        is_absolute = decoded.startswith("/") or ":/" in decoded
        return decoded if is_absolute else f"{self.images.root}/{decoded}"

    def refusal(self, reason: str) -> ImagesChangedError:
        location = self.images.location
        return ImagesChangedError(
            f"the changes in image table {location!r} since version {self.first - 1} can't be "
            f"found: {reason}. To go on, {_FULL_RUN}. To make the next changes known, first "
            f"switch the feed on: ALTER TABLE {sql_name(location)} SET TBLPROPERTIES "
            f"('{_FEED}' = 'true')."
        )
