"""Footers of many files: executors read them, and the driver what they could not read."""

import os
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import StorageError, TableFormatError
from dedup_lib.executor import footers as executor_footers
from dedup_lib.executor import stores
from dedup_lib.session import file_tasks
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.session.storage import Leaf
from dedup_lib.tables import footers
from tests.support.paths import ROOT
from tests.support.tables.made import image_rows, write_list, write_parquet

pytestmark = pytest.mark.classic("it has no file systems of a JVM")


class Noting(HadoopStorage):
    """Notes the names of the files whose footers the driver reads."""

    def read_footers(self, files):
        self.read = [file.path.rpartition("/")[2] for file in files]
        return super().read_footers(files)


@pytest.fixture
def storage(spark, monkeypatch):
    monkeypatch.setattr(footers, "MANY_FILES", 2)
    monkeypatch.setattr(file_tasks, "FILES_PER_TASK", 2)
    monkeypatch.setattr(file_tasks, "_TASKS_IN_A_QUERY", 2)
    return Noting(spark)


@pytest.fixture
def folder(tmp_path):
    """Five files of the same columns, of 0 to 4 rows, and a sixth with a column less."""
    for number in range(5):
        rows = image_rows([f"{number}-{row}" for row in range(5)]).slice(0, number)
        write_parquet(rows, tmp_path / f"images/p=a b/{number}.parquet")
    write_parquet(image_rows(["x"]).drop_columns("image"), tmp_path / "images/p=%2F/5.parquet")
    return tmp_path / "images"


def read(spark, storage, folder):
    return list(footers.read_footers(Session(spark, storage), storage.list_files(str(folder))))


def test_executors_read_what_the_driver_would_have(spark, storage, folder):
    found = read(spark, storage, folder)
    assert storage.read == ["5.parquet", "0.parquet"]  # one for each schema
    assert found == list(open_storage(spark).read_footers(storage.list_files(str(folder))))
    assert [footer.num_rows for footer in found] == [1, 0, 1, 2, 3, 4]


def test_pyarrow_describes_columns_as_java_does(spark, tmp_path):
    """Over Spark Connect executors describe them; their names may hold dots."""
    instant = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table(
        {
            "id.of.it": pa.array(["a"]),
            "small (STRING)": pa.array([1], pa.int8()),
            "unsigned": pa.array([1], pa.uint16()),
            "day": pa.array([instant.date()]),
            "price": pa.array([Decimal("1.50")], pa.decimal128(20, 2)),
            "taken": pa.array([instant], pa.timestamp("us", "UTC")),
            "local": pa.array([instant.replace(tzinfo=None)], pa.timestamp("ms")),
            "hour": pa.array([instant.time()], pa.time64("us")),
            "fixed": pa.array([b"abc"], pa.binary(3)),
            "pairs": pa.array([{"x.y": 1, "z": [{"w": b"1"}]}]),
            "map": pa.array([[("k", 1.5)]], pa.map_(pa.string(), pa.float32())),
        },
    )
    required = pa.field("required", pa.int64(), nullable=False)
    table = table.append_column(required, [[7]])
    path = write_parquet(table, tmp_path / "1.parquet")
    storage = open_storage(spark)
    (java,) = storage.read_footers(storage.list_files(str(path)))
    (found,) = executor_footers.read_footers([(java.path, path.stat().st_size)], {})
    leaves = [Leaf.of(*leaf) for leaf in found.leaves]
    assert [types_of(leaf) for leaf in leaves] == [types_of(leaf) for leaf in java.schema.leaves]
    top = [leaf for leaf in leaves if len(leaf.path) == 1]
    assert top == [leaf for leaf in java.schema.leaves if len(leaf.path) == 1]
    assert found.num_rows == java.num_rows == 1


def test_an_integer_is_the_same_with_and_without_the_remark_that_it_has_a_sign(spark, tmp_path):
    """DuckDB makes the remark; it is true of each integer, but those of 8 and 16 bits need it."""
    table = ROOT / "tests/tables/duckdb_integers.parquet"
    storage = open_storage(spark)
    (java,) = storage.read_footers(storage.list_files(str(table)))
    (found,) = executor_footers.read_footers([(java.path, table.stat().st_size)], {})
    by_pyarrow = [Leaf.of(*leaf) for leaf in found.leaves]
    for leaves in (by_pyarrow, java.schema.leaves):
        assert [types_of(leaf) for leaf in leaves][2:] == [
            ("big", "int64", None),
            ("int", "int32", None),
            ("small", "int32", "INTEGER(16,true)"),
        ]


def types_of(leaf):
    return leaf.dotted_path, leaf.physical, leaf.logical


def test_rows_are_counted_in_the_row_groups():
    """Old fastparquet appended row groups, and left the count of the whole file as it was."""
    table = ROOT / "tests/tables/fastparquet_appended.parquet"
    assert pq.read_metadata(table).num_rows == 3
    file = executor_footers.SourceFile(table.name, table.stat().st_size)
    ((_, num_rows),) = executor_footers.read_digests(f"file:{table.parent}", [file], {})
    (facts,) = executor_footers.read_footers([(f"file:{table}", file.size_bytes)], {})
    assert num_rows == facts.num_rows == 8


def test_a_broken_file_is_named_and_costs_its_task_only(spark, storage, folder):
    (folder / "p=a b/2.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(StorageError, match=r"2\.parquet"):
        read(spark, storage, folder)
    # Files 1 and 2 are a task's, and 1 was read before that ended.
    assert storage.read == ["5.parquet", "0.parquet", "2.parquet"]


def test_without_pyarrow_the_driver_reads_all(spark, storage, folder, monkeypatch):
    monkeypatch.setattr(stores, "OLDEST_PYARROW", (999, 0))
    found = read(spark, storage, folder)
    assert len(storage.read) == len(found) == 6


def test_without_python_on_executors_the_driver_reads_all(spark, storage, folder, monkeypatch):
    def fail(*_):
        os._exit(3)

    monkeypatch.setattr(footers.footers, "read_digests", fail)
    assert len(read(spark, storage, folder)) == len(storage.read) == 6


def test_a_column_that_one_of_many_files_lacks_is_still_noticed(
    spark, remove, storage, folder, tmp_path
):
    listed = write_list(tmp_path / "list.parquet", ["1-0"])
    with pytest.raises(TableFormatError, match="'image' is in file"):
        remove(folder, listed, tmp_path / "out")
