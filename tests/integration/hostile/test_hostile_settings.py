"""A session whose defaults are against us: what comes out is what would come out of any other."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import ColumnTypeError
from dedup_lib.session.conf import session_settings
from tests.support.tables.hostile import data_files, four_rows, logical_rows, parquet_types
from tests.support.tables.made import tree_digest, write_list, write_parquet

# Spark Connect's client warns of a setting that is out of date.
pytestmark = pytest.mark.filterwarnings("ignore:The SQL config:UserWarning")

PARQUET = "spark.sql.parquet."
DELTA = "spark.databricks.delta."
HOSTILE = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.files.maxRecordsPerFile": "1",
    "spark.sql.files.maxPartitionBytes": "700",
    "spark.sql.sources.default": "orc",
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    f"{PARQUET}mergeSchema": "true",
    f"{PARQUET}respectSummaryFiles": "true",
    f"{PARQUET}aggregatePushdown": "true",
    f"{PARQUET}recordLevelFilter.enabled": "true",
    f"{PARQUET}datetimeRebaseModeInRead": "LEGACY",
    f"{PARQUET}datetimeRebaseModeInWrite": "LEGACY",
    f"{PARQUET}int96RebaseModeInRead": "LEGACY",
    f"{PARQUET}int96RebaseModeInWrite": "LEGACY",
    f"{PARQUET}binaryAsString": "true",
    f"{PARQUET}int96AsTimestamp": "false",
    f"{PARQUET}int96TimestampConversion": "true",
    f"{PARQUET}inferTimestampNTZ.enabled": "false",
    f"{PARQUET}outputTimestampType": "TIMESTAMP_MILLIS",
    f"{PARQUET}writeLegacyFormat": "true",
    f"{PARQUET}fieldId.read.enabled": "true",
    f"{PARQUET}fieldId.read.ignoreMissing": "true",
    f"{PARQUET}enableVectorizedReader": "false",
    f"{PARQUET}columnarReaderBatchSize": "7",
    f"{PARQUET}compression.codec": "gzip",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.session.timeZone": "Asia/Kathmandu",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.storeAssignmentPolicy": "LEGACY",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.parser.quotedRegexColumnNames": "true",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.cbo.enabled": "true",
    "spark.sql.cbo.joinReorder.enabled": "true",
    "spark.sql.execution.pythonUDF.arrow.enabled": "true",
    f"{DELTA}schema.autoMerge.enabled": "true",
    f"{DELTA}optimizeWrite.enabled": "true",
    f"{DELTA}autoCompact.enabled": "true",
    f"{DELTA}autoCompact.minNumFiles": "2",
    f"{DELTA}properties.defaults.columnMapping.mode": "name",
    f"{DELTA}properties.defaults.enableDeletionVectors": "false",
    f"{DELTA}properties.defaults.enableChangeDataFeed": "true",
    f"{DELTA}commitInfo.enabled": "false",
    f"{DELTA}commitInfo.userMetadata": "nightly load",
    f"{DELTA}write.txnAppId": "nightly load",
    f"{DELTA}write.txnVersion": "1",
}
OLD = dt.datetime(1500, 2, 3, 4, 5, 6, 789012)
BINARY = pa.array([b"\xff\x00", None, b"\xfe", b""])
MOMENTS = {
    "day": pa.array([OLD.date(), None, dt.date(1582, 10, 10), dt.date(1, 1, 1)]),
    "taken": pa.array([OLD, None, OLD, dt.datetime(2024, 7, 1)], pa.timestamp("us", "UTC")),
    "local": pa.array([OLD, None, OLD, dt.datetime(2024, 7, 1)], pa.timestamp("us")),
}
OTHERS = {
    "bytes": BINARY,
    "axb": pa.array(["1", None, "3", "4"]),
    "a.b": pa.array([1, None, 3, 4], pa.int64()),
    "tags": pa.array([["t"], None, [], [None]]),
    "pairs": pa.array([[("k", 1), ("k", 2)], None, [], []], pa.map_(pa.string(), pa.int32())),
}


@pytest.fixture(scope="module")
def hostile(spark, delta_images) -> Iterator[None]:
    """The session; the Delta table is made before it turns hostile."""
    with session_settings(spark, HOSTILE):
        yield
        for key, value in HOSTILE.items():
            assert spark.conf.get(key) == value, key


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", ["b", "B", None])


def write_images(folder: Path, columns: dict[str, pa.Array], **options) -> Path:
    """Two partitions of the same rows, as pyarrow writes them; each numbers its columns anew."""
    table = four_rows(columns)
    for first, part in ((10, "007"), (11, "7")):
        fields = [
            field.with_metadata({"PARQUET:field_id": str(first + index)})
            for index, field in enumerate(table.schema)
        ]
        write_parquet(table.cast(pa.schema(fields)), folder / f"part={part}/1.parquet", **options)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("parquet") / "images", MOMENTS | OTHERS)


@pytest.fixture(scope="module")
def int96_images(tmp_path_factory):
    """Timestamps of 12 bytes, of which only their own table can hold: Spark writes one kind."""
    taken = {"taken": MOMENTS["local"]}
    folder = tmp_path_factory.mktemp("int96") / "images"
    return write_images(folder, taken, use_deprecated_int96_timestamps=True)


def rows_in(root: Path) -> list[str]:
    """The rows of a table's files, each with its partition."""
    if (root / "_delta_log").exists():
        return sorted(map(repr, logical_rows(root)))
    parts = root.glob("part=*")
    return sorted(f"{part.name} {row!r}" for part in parts for row in logical_rows(part))


def kept_rows(root: Path) -> list[str]:
    return [row for row in rows_in(root) if "'image_id': 'b'" not in row]


def types_in(root: Path) -> list[list]:
    """The Parquet types of each file's columns, in order."""
    return [list(parquet_types(pq.ParquetFile(path)).values()) for path in data_files(root)]


ENGINES = {
    "arrow": {"engine": "arrow"},
    "broadcast-ids": {"engine": "spark", "strategy": "broadcast-ids"},
    "row-positions": {"engine": "spark", "strategy": "row-positions"},
}


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("table", ["images", "int96_images"])
def test_g4_a_rewrite_is_the_same_in_any_session(request, remove, listed, tmp_path, table, engine):
    images = request.getfixturevalue(table)
    report = remove(images, listed, tmp_path / "out", **ENGINES[engine])
    assert rows_in(tmp_path / "out") == kept_rows(images)
    assert all(types == types_in(images)[0] for types in types_in(tmp_path / "out"))
    assert (report.counts["kept_rows"], report.counts["removed_rows"]) == (6, 2)


@pytest.fixture(scope="module")
def delta_images(spark, images, tmp_path_factory):
    """The same rows as a Delta table with deletion vectors, written by a plain session."""
    folder = tmp_path_factory.mktemp("delta") / "images"
    frame = spark.read.option("basePath", str(images)).parquet(f"{images}/part=007")
    writer = frame.withColumn("part", frame["part"].cast("string")).write.format("delta")
    writer = writer.option("delta.enableDeletionVectors", "true")
    with session_settings(spark, {f"{PARQUET}outputTimestampType": "TIMESTAMP_MICROS"}):
        writer.save(str(folder))
    return folder


def commits_of(table: Path) -> list[dict]:
    lines = [p.read_text().splitlines() for p in sorted(table.glob("_delta_log/*.json"))]
    actions = [json.loads(line) for commit in lines for line in commit]
    return [action["commitInfo"] for action in actions if "commitInfo" in action]


@pytest.mark.usefixtures("hostile")
def test_g4_a_delta_table_is_rewritten_the_same_in_any_session(
    remove, delta_images, listed, tmp_path
):
    remove(delta_images, listed, tmp_path / "out", output_format="delta")
    assert rows_in(tmp_path / "out") == kept_rows(delta_images)
    assert all(types == types_in(delta_images)[0] for types in types_in(tmp_path / "out"))
    (commit,) = commits_of(tmp_path / "out")
    assert "plan" in json.loads(commit["userMetadata"])
    overwrite = {"output_format": "delta", "output_mode": "overwrite"}
    remove(delta_images, listed, tmp_path / "out", **overwrite)
    assert len(commits_of(tmp_path / "out")) == 2


@pytest.mark.usefixtures("hostile")
def test_g4_rows_are_hidden_in_place_the_same_in_any_session(
    spark, remove, delta_images, listed, tmp_path
):
    images = shutil.copytree(delta_images, tmp_path / "images")
    before = tree_digest(images)
    report = remove(images, listed, None, method="in-place")
    assert (report.counts["kept_rows"], report.counts["removed_rows"]) == (3, 1)
    assert before.items() <= tree_digest(images).items()
    assert len(data_files(images)) == len(data_files(delta_images))
    kept = spark.read.format("delta").load(str(images)).select("image_id").collect()
    assert sorted(row["image_id"] for row in kept) == ["a", "c", "d"]
    assert "plan" in json.loads(commits_of(images)[-1]["userMetadata"])


@pytest.mark.usefixtures("hostile")
def test_g4_parquet_is_cloned_the_same_in_any_session(spark, remove, images, listed, tmp_path):
    """With the values of its partitions, and from a path with a quote in it."""
    source = shutil.copytree(images, tmp_path / "that's-mine")
    remove(source, listed, tmp_path / "out", method="clone")
    kept = spark.read.format("delta").load(f"{tmp_path}/out").select("image_id", "part").collect()
    assert sorted(kept) == sorted((one, part) for one in "acd" for part in ("007", "7"))
    assert data_files(tmp_path / "out") == []


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (pa.array([b"a", b"b"], pa.binary()), "'id' is string .*the image IDs are binary"),
        (pa.array([1, 2], pa.timestamp("ns")), "'image_id'"),
    ],
    ids=["binary", "nanoseconds"],
)
def test_g2_ids_of_another_type_are_none_in_any_session(remove, listed, tmp_path, ids, message):
    images = pa.table({"image_id": ids, "image": [b"x", b"y"]})
    write_parquet(images, tmp_path / "images/1.parquet")
    with pytest.raises(ColumnTypeError, match=message):
        remove(tmp_path / "images", listed, tmp_path / "out")
