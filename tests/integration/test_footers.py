"""Footers of many files: executors read them, and the driver what they could not read."""

import os

import pytest

from dedup_lib.errors import StorageError, TableFormatError
from dedup_lib.executor import stores
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.session.open_storage import storage_of
from dedup_lib.session.session import Session
from dedup_lib.tables import footers
from tests.made_tables import image_rows, write_list, write_parquet

pytestmark = pytest.mark.classic("it has no file systems of a JVM")


class Noting(HadoopStorage):
    """Notes the names of the files whose footers the driver reads."""

    def parquet_footers(self, files):
        self.read = [file.path.rpartition("/")[2] for file in files]
        return super().parquet_footers(files)


@pytest.fixture
def storage(spark, monkeypatch):
    monkeypatch.setattr(footers, "MANY_FILES", 2)
    monkeypatch.setattr(footers, "_FILES_PER_TASK", 2)
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
    assert found == list(storage_of(spark).parquet_footers(storage.list_files(str(folder))))
    assert [footer.num_rows for footer in found] == [1, 0, 1, 2, 3, 4]


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

    monkeypatch.setattr(footers.arrow_footers, "read_footers", fail)
    assert len(read(spark, storage, folder)) == len(storage.read) == 6


def test_a_column_that_one_of_many_files_lacks_is_still_noticed(
    spark, remove, storage, folder, tmp_path
):
    listed = write_list(tmp_path / "list.parquet", ["1-0"])
    with pytest.raises(TableFormatError, match="'image' is in file"):
        remove(folder, listed, tmp_path / "out")
