"""INT96 timestamps: they keep their nanoseconds, or the run is refused."""

from __future__ import annotations

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from dedup_lib.tables import kept_types
from tests.support.tables.made import write_list, write_parquet

MOMENTS = pa.array([1_001, 2_000, None], pa.timestamp("ns"))


def write_images(folder, moments):
    rows = pa.table({"image_id": list("abc"), "image": [b"1", b"2", b"3"], "taken": moments})
    path = folder / "images/1.parquet"
    return write_parquet(rows, path, use_deprecated_int96_timestamps=True).parent


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list.parquet", ["b"])


@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_g3_the_spark_engine_refuses_nanoseconds(remove, listed, tmp_path, output_format):
    images = write_images(tmp_path, MOMENTS)
    with pytest.raises(ColumnTypeError, match=r"1\.parquet' have nanoseconds"):
        remove(images, listed, tmp_path / "out", engine="spark", output_format=output_format)
    assert not (tmp_path / "out").exists()


def test_g3_the_spark_engine_refuses_nanoseconds_that_are_nested(remove, listed, tmp_path):
    nested = pa.array([[{"at": None}], None, [{"at": 5}, {"at": 2_000}]])
    kind = pa.list_(pa.struct([("at", pa.timestamp("ns"))]))
    images = write_images(tmp_path, nested.cast(kind))
    with pytest.raises(ColumnTypeError, match="nanoseconds"):
        remove(images, listed, tmp_path / "out", engine="spark")


def test_g3_microseconds_are_kept_by_the_spark_engine(remove, listed, tmp_path):
    images = write_images(tmp_path, pa.array([1_000, 2_000, None], pa.timestamp("ns")))
    remove(images, listed, tmp_path / "out", engine="spark")
    (path,) = (tmp_path / "out").glob("*.parquet")
    assert pq.read_table(path)["taken"].cast(pa.int64()).to_pylist() == [1_000, None]


def test_if_nanoseconds_cant_be_looked_for_the_log_says_so(
    remove, listed, tmp_path, monkeypatch, caplog
):
    def fail(source, options):
        raise ModuleNotFoundError("No module named 'pyarrow'")

    monkeypatch.setattr(kept_types, "has_nanoseconds", fail)
    images = write_images(tmp_path, MOMENTS)
    with caplog.at_level(logging.WARNING, "dedup_lib"):
        remove(images, listed, tmp_path / "out", engine="spark")
    assert "could not be checked for nanoseconds" in caplog.text


def test_g3_a_task_that_fails_while_it_looks_for_nanoseconds_ends_the_run(
    remove, listed, tmp_path, monkeypatch
):
    def fail(source, options):
        raise OSError("the store is busy")

    monkeypatch.setattr(kept_types, "has_nanoseconds", fail)
    images = write_images(tmp_path, MOMENTS)
    with pytest.raises(UnreadableFileError, match="the store is busy"):
        remove(images, listed, tmp_path / "out", engine="spark")


def test_g3_nanoseconds_are_found_in_a_file_that_only_has_spark_s_key(remove, listed, tmp_path):
    """As pyarrow keeps it when it writes a table that it read from Spark's file."""
    rows = pa.table({"image_id": list("abc"), "image": [b"1", b"2", b"3"], "taken": MOMENTS})
    rows = rows.replace_schema_metadata({"org.apache.spark.version": "4.0.4"})
    path = tmp_path / "images/1.parquet"
    images = write_parquet(rows, path, use_deprecated_int96_timestamps=True).parent
    with pytest.raises(ColumnTypeError, match="nanoseconds"):
        remove(images, listed, tmp_path / "out", engine="spark")
    remove(images, listed, tmp_path / "out", engine="arrow")
    kept = pq.read_table(tmp_path / "out/1.parquet")["taken"].cast(pa.int64())
    assert kept.to_pylist() == [1_001, None]
