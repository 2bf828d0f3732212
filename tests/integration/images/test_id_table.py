"""The ID table holds what Spark would read from the image files."""

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F

from dedup_lib.errors import InputChangedError, PublishError
from dedup_lib.locations import local_path
from dedup_lib.session import file_tasks
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables import directory, footers, read_images
from dedup_lib.tables.id_table import CopiedIds, WantedIds
from dedup_lib.tables.image_table import ImageTable
from tests.support.faults.opens import counted_opens
from tests.support.tables.made import image_rows, write_list, write_parquet

pytestmark = pytest.mark.classic("it compares frames of one process")

INSTANT = dt.datetime(1850, 2, 28, 12, 0, 0, 123457)
IDS = {
    "text": pa.array(["a", "ü", "", None]),
    "large text": pa.array(["a", "ü", "", None], pa.large_string()),
    "text views": pa.array(["a", "ü", "", None], pa.string_view()),
    "no UTF-8": pa.array([b"\xff\xfe", b"a", b"\xc3", None]).view(pa.string()),
    "words of a dictionary": pa.array(["a", "b", "a", None]).dictionary_encode(),
    "int8": pa.array([-128, 127, 0, None], pa.int8()),
    "int64": pa.array([-(2**63), 2**63 - 1, 0, None], pa.int64()),
    "uint8": pa.array([255, 0, 1, None], pa.uint8()),
    "uint16": pa.array([2**16 - 1, 0, 1, None], pa.uint16()),
    "uint32": pa.array([2**32 - 1, 0, 1, None], pa.uint32()),
    "uint64": pa.array([2**64 - 1, 0, 1, None], pa.uint64()),
    "decimal": pa.array([decimal.Decimal(10**37), None, 1, -1], pa.decimal128(38, 0)),
    "short decimal": pa.array([decimal.Decimal(99), None, 1, -1], pa.decimal32(4, 0)),
    "binary": pa.array([b"\xff", b"", b"a", None]),
    "16 bytes": pa.array([b"a" * 16, b"\xff" * 16, b"c" * 16, None], pa.binary(16)),
    "UUID": pa.array([b"a" * 16, b"\xff" * 16, b"c" * 16, None], pa.uuid()),
}
OTHERS = {
    "truth": pa.array([True, False, None, True]),
    "float": pa.array([1.5, float("nan"), None, -0.0], pa.float32()),
    "double": pa.array([1.5, float("nan"), None, -0.0]),
    "day": pa.array([INSTANT.date(), dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "instant": pa.array([INSTANT, None, INSTANT, INSTANT], pa.timestamp("us", "UTC")),
    "milliseconds": pa.array([1, None, -1, 3], pa.timestamp("ms", "Asia/Tokyo")),
    "local time": pa.array([INSTANT, None, INSTANT, INSTANT], pa.timestamp("us")),
    "fraction": pa.array([decimal.Decimal("1.25"), None, 1, -1], pa.decimal128(20, 2)),
    "unsigned": pa.array([2**64 - 1, 0, 1, None], pa.uint64()),
    "word": pa.array(["a", "b", None, "a"]).dictionary_encode(),
}


@pytest.fixture
def pinned_twice(spark, tmp_path):
    """Pin the table at `images` with an ID table, and without."""

    def pinned_twice(*columns, has_all=True):
        (tmp_path / "run").mkdir()
        wanted = WantedIds(columns, True, True, "key", lambda: f"file:{tmp_path}/run/ids")
        session = Session(spark, open_storage(spark))
        location = str(tmp_path / "images")
        tables = [read_images(session, location, "auto", ids) for ids in (wanted, None)]
        assert tables[0].id_table.facts.has_all == has_all
        return [ImageTable.of(table, columns[0]) for table in tables]

    return pinned_twice


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_all_types_are_as_spark_reads_them(pinned_twice, tmp_path, kind):
    table = image_rows(list("abcd")).set_column(0, "image_id", IDS[kind])
    write_parquet(table, tmp_path / "images/1.parquet", row_group_size=3)
    write_parquet(table.slice(1), tmp_path / "images/2.parquet", store_schema=False)
    copied, read = pinned_twice("image_id")
    assert_df_equality(
        copied.located_ids, read.located_ids, ignore_nullable=True, ignore_row_order=True
    )
    assert copied.table_ids.schema == read.table_ids.schema


@pytest.mark.parametrize("kind", OTHERS)
def test_compared_columns_are_as_spark_reads_them(pinned_twice, tmp_path, kind):
    table = image_rows(list("abcd")).append_column("a b.c", OTHERS[kind])
    write_parquet(table, tmp_path / "images/1.parquet")
    copied, read = pinned_twice("image_id", "a b.c")
    columns = F.col("image_id"), F.col("`a b.c`")
    assert_df_equality(
        copied.compared.select(*columns),
        read.compared.select(*columns),
        ignore_nullable=True,
        allow_nan_equality=True,
    )


@pytest.mark.parametrize("kind", ["int96", "nanoseconds", "nested"])
def test_columns_that_do_not_fit_are_read_by_spark(pinned_twice, tmp_path, kind):
    values = {
        "int96": pa.array([INSTANT] * 4, pa.timestamp("us")),
        "nanoseconds": pa.array([1] * 4, pa.timestamp("ns")),
        "nested": pa.array([{"x": 1}] * 4),
    }[kind]
    table = image_rows(list("abcd")).append_column("value", values)
    options = {"use_deprecated_int96_timestamps": True} if kind == "int96" else {}
    write_parquet(table, tmp_path / "images/1.parquet", **options)
    copied, read = pinned_twice("image_id", "value", has_all=False)
    assert copied.compared.columns == read.compared.columns
    assert_df_equality(copied.located_ids, read.located_ids, ignore_nullable=True)


# What local file systems take, but for a slash; a colon may not come first.
ODD = "x" + "".join(map(chr, [*range(33, 47), *range(59, 127), 0x20, 0xA0, 0xE9, 0x85, 0x2028]))


def test_paths_are_spelled_as_spark_spells_them(pinned_twice, remove, tmp_path):
    """By these, the strategy row-positions finds the rows."""
    write_parquet(image_rows(list("abc")), tmp_path / f"images/p={ODD[::-1]}/{ODD}.parquet")
    copied, read = pinned_twice("image_id")
    assert copied.located_ids.collect() == read.located_ids.collect()
    listed = write_list(tmp_path / "list.parquet", ["b"])
    settings = {"engine": "spark", "strategy": "row-positions"}
    report = remove(tmp_path / "images", listed, tmp_path / "out", **settings)
    assert report.counts["kept_rows"] == 2


def test_g5_a_file_that_comes_while_ids_are_copied_stops_the_run(remove, tmp_path, monkeypatch):
    """Before any work: the engine would write its rows, or leave them out."""
    write_parquet(image_rows(list("abc")), tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list.parquet", ["b"])
    copy = footers.read_footers_and_ids

    def copy_slowly(*arguments):
        copied = copy(*arguments)
        write_parquet(image_rows(["d"]), tmp_path / "images/2.parquet")
        return copied

    monkeypatch.setattr(directory, "read_footers_and_ids", copy_slowly)
    with pytest.raises(InputChangedError, match=r"2\.parquet' of the image table was changed, "):
        remove(tmp_path / "images", listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lost_part_is_noticed(spark, pinned_twice, tmp_path):
    write_parquet(image_rows(list("abc")), tmp_path / "images/1.parquet")
    copied, _ = pinned_twice("image_id")
    (part,) = (tmp_path / "run/ids/rows").glob("*.parquet")
    part.unlink()
    with pytest.raises(SPARK_ERRORS, match=r"FileNotFound|does not exist|FILE_NOT_EXIST"):
        copied.located_ids.collect()
    lacking = CopiedIds(f"file:{tmp_path}/run/ids", 1, copied.id_table.facts)
    with pytest.raises(PublishError, match="was lost"):
        lacking.opened(spark, copied.frame.schema)


def test_what_a_killed_attempt_leaves_beside_the_copies_does_no_harm(remove, tmp_path, monkeypatch):
    write_parquet(image_rows(list("abc")), tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list.parquet", ["b"])
    read_copies = footers._read_copies

    def with_others(session, location, digests):
        for place in ("rows", "schemas"):
            Path(local_path(location), place, ".5f3a").write_bytes(b"PAR1 unfinished")
        return read_copies(session, location, digests)

    monkeypatch.setattr(footers, "_read_copies", with_others)
    with counted_opens(tmp_path / "images") as opens:
        assert remove(tmp_path / "images", listed, tmp_path / "out").counts["kept_rows"] == 2
    assert opens["1.parquet"] == 2  # Spark did not have to read the IDs


def test_the_ids_of_many_files_are_copied_by_several_queries(remove, tmp_path, monkeypatch):
    monkeypatch.setattr(file_tasks, "_BYTES_PER_TASK", 1)
    monkeypatch.setattr(file_tasks, "_TASKS_IN_A_QUERY", 2)
    query, firsts = file_tasks._query, []

    def noted(spark, first, *others):
        firsts.append(first)
        return query(spark, first, *others)

    monkeypatch.setattr(file_tasks, "_query", noted)
    for name in "abcde":
        write_parquet(image_rows([name]), tmp_path / f"images/{name}.parquet")
    listed = write_list(tmp_path / "list.parquet", ["b", "e"])
    with counted_opens(tmp_path / "images") as opens:
        assert remove(tmp_path / "images", listed, tmp_path / "out").counts["kept_rows"] == 3
    assert firsts == [0, 2, 4]
    assert opens["a.parquet"] == 2  # Spark did not have to read the IDs
    assert sorted(pq.read_table(tmp_path / "out")["image_id"].to_pylist()) == ["a", "c", "d"]


def test_if_another_column_does_not_fit_the_ids_are_copied_alone(remove, tmp_path):
    table = image_rows(list("abc")).append_column("taken", pa.array([1, 2, 3], pa.timestamp("us")))
    path = tmp_path / "images/1.parquet"
    write_parquet(table, path, use_deprecated_int96_timestamps=True)
    groups = pa.table({"id": list("abc"), "group": [1, 1, 1]})
    listed = write_parquet(groups, tmp_path / "list.parquet")
    report = remove(tmp_path / "images", listed, tmp_path / "out", keeper="largest:taken")
    assert report.counts["removed_rows"] == 2
    assert pq.read_table(tmp_path / "out")["image_id"].to_pylist() == ["c"]
