"""Read a Delta table's log as files: commits, checkpoints and the actions on data files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F

from dedup_lib.session.conf import PARQUET_READER_OPTIONS

# A checkpoint is one file, several numbered files, or (v2) a file with a unique name, which may
# refer to other files in `_sidecars`.
_CHECKPOINT = re.compile(
    r"(?P<version>\d{20})\.checkpoint(\.\d{10}\.(?P<parts>\d{10})|\.[0-9A-Za-z-]+)?"
    r"\.(?P<kind>parquet|json)"
)
_FILES_SCHEMA = (
    "add STRUCT<path: STRING, stats: STRING, stats_parsed: STRUCT<numRecords: BIGINT>, "
    "deletionVector: STRUCT<storageType: STRING, pathOrInlineDv: STRING, `offset`: INT, "
    "cardinality: BIGINT>>, "
    "remove STRUCT<path: STRING, deletionVector: STRUCT<storageType: STRING, "
    "pathOrInlineDv: STRING, `offset`: INT>>, sidecar STRUCT<path: STRING>"
)


def read_commits(spark: SparkSession, root: str, versions: Iterable[int], schema: str) -> DataFrame:
    """Read commits of a log: one row per action; the actions of one commit are in any order.

    Args:
        spark: The session.
        root: The URI of the table's directory.
        versions: The versions of the commits.
        schema: The actions to read, with their fields. Any other action is a row of NULLs.
    """
    names = [f"{_log(root)}/{version:020d}.json" for version in versions]
    return _reader(spark, schema).json(names)


def read_file_actions(spark: SparkSession, root: str, version: int) -> DataFrame:
    """Read the actions of a log on a table's data files, up to a version.

    Returns:
        One row per action: `path`, as the log spells it; `vector`, which names the deletion vector
        (a text; empty without one); `action_order` (bigint): only a file's last action is valid;
        `is_live` (boolean): true if the action adds the file, false if it removes it; `num_rows`
        (bigint): how many rows the file has, without the rows that its deletion vector hides, or
        NULL if the log does not say.

    Raises:
        PySparkException: The log can't be read as files, or some of its files are missing.

    *Cost:* one listing of the log; lazily the newest checkpoint, and the commits after it.
    """
    listed = spark.read.options(**PARQUET_READER_OPTIONS).format("binaryFile").load(_log(root))
    known = [path.rpartition("/")[2] for path in listed.inputFiles()]
    checkpoint, names = _newest_checkpoint(known, version)
    number = F.lit(checkpoint).cast("bigint")
    frames = [frame.withColumn("version", number) for frame in _read(spark, root, names)]
    if checkpoint < version:
        commits = read_commits(spark, root, range(checkpoint + 1, version + 1), _FILES_SCHEMA)
        name = commits.metadataColumn("_metadata").getField("file_name")
        frames.append(commits.withColumn("version", F.substring(name, 1, 20).cast("bigint")))
    return _of_files(frames)


def _newest_checkpoint(names: Sequence[str], version: int) -> tuple[int, Sequence[str]]:
    """Return version and files of the newest complete checkpoint up to a version; -1 if none."""
    found: dict[tuple[int, str], list[str]] = {}
    for name in names:
        match = _CHECKPOINT.fullmatch(name)
        if match is not None and int(match["version"]) <= version:
            found.setdefault((int(match["version"]), match["parts"] or name), []).append(name)
    whole = [
        (number, files)
        for (number, parts), files in found.items()
        if len(files) == (int(parts) if parts.isdecimal() else 1)
    ]
    return max(whole, default=(-1, []))


def _read(spark: SparkSession, root: str, names: Sequence[str]) -> list[DataFrame]:
    """Read a checkpoint's files, and the files that they refer to."""
    if not names:
        return []
    kind = names[0].rpartition(".")[2]
    reader = _reader(spark, _FILES_SCHEMA).format(kind)
    frame = reader.load([f"{_log(root)}/{name}" for name in names])
    rows = frame.where("sidecar IS NOT NULL").select("sidecar.path").collect()
    if not rows:
        return [frame]
    # The path is a name alone, or a name with its directory, which is always the same.
    sidecars = [f"{_log(root)}/_sidecars/{row['path'].rpartition('/')[2]}" for row in rows]
    return [frame, _reader(spark, _FILES_SCHEMA).parquet(*sidecars)]


def _of_files(frames: Sequence[DataFrame]) -> DataFrame:
    actions = frames[0]
    for frame in frames[1:]:
        actions = actions.unionByName(frame)
    is_live = F.col("add").isNotNull()
    return actions.where("add IS NOT NULL OR remove IS NOT NULL").select(
        F.coalesce("add.path", "remove.path").alias("path"),
        F.when(is_live, _name_of("add")).otherwise(_name_of("remove")).alias("vector"),
        # If one commit removes and adds the same file, the file gets another deletion vector.
        (F.col("version") * 2 + is_live.cast("bigint")).alias("action_order"),
        is_live.alias("is_live"),
        _visible_rows().alias("num_rows"),
    )


def _name_of(action: str) -> Column:
    vector = f"{action}.deletionVector"
    offset = F.col(f"{vector}.offset").cast("string")
    return F.concat_ws("/", f"{vector}.storageType", f"{vector}.pathOrInlineDv", offset)


def _visible_rows() -> Column:
    in_text = F.get_json_object("add.stats", "$.numRecords").try_cast("bigint")
    hidden = F.coalesce("add.deletionVector.cardinality", F.lit(0))
    return F.coalesce(in_text, "add.stats_parsed.numRecords") - hidden


def _log(root: str) -> str:
    return f"{root.rstrip('/')}/_delta_log"


def _reader(spark: SparkSession, schema: str) -> DataFrameReader:
    options = {**PARQUET_READER_OPTIONS, "mode": "FAILFAST"}
    return spark.read.schema(schema).options(**options)
