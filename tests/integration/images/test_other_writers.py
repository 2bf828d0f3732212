"""Tables by other programs, as they wrote them (tests/tables): none is refused without need."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from tests.support.paths import ROOT
from tests.support.spark.settings import REMOTE
from tests.support.tables.huge_headers import write_huge_header
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet
from tests.support.tables.old_java import written_by_java

VECTORIZED = "spark.sql.parquet.enableVectorizedReader"
TABLES = ROOT / "tests/tables"


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["id-1"])


def rows(path: Path) -> list[dict[str, object]]:
    return sorted(pq.read_table(path).to_pylist(), key=lambda row: row["image_id"])


def types(path: Path) -> list[str]:
    return [str(field.type) for field in dataset.dataset(path, format="parquet").schema]


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("duckdb_integers", "arrow"),
        ("duckdb_integers", "spark"),
        ("duckdb_uuid", "arrow"),
        ("duckdb_v2", "arrow"),
        ("pyarrow_17_times", "arrow"),
        ("fastparquet_appended", "arrow"),  # its footer counts the rows of the first write only
        ("fastparquet_appended", "spark"),
    ],
)
def test_g3_tables_by_other_programs_stay(remove, listed, tmp_path, name, engine):
    table = TABLES / f"{name}.parquet"
    report = remove(table, listed, tmp_path / "out", engine=engine if engine == "spark" else "auto")
    assert report.engine == engine
    assert types(tmp_path / "out") == types(table)
    assert rows(tmp_path / "out") == [row for row in rows(table) if row["image_id"] != "id-1"]


def test_g3_integers_that_pyarrow_can_not_read_are_left_to_spark(remove, spark, listed, tmp_path):
    table = TABLES / "duckdb_hashes.parquet"
    with pytest.raises(ColumnTypeError, match="can't read column 'hash' in DELTA_BINARY_PACKED"):
        remove(table, listed, tmp_path / "out", engine="arrow")
    assert names_in(tmp_path) == ["list"]
    report = remove(table, listed, tmp_path / "out")
    assert report.engine == "spark"
    assert "'hash'" in str(report.choices["engine"])
    found = spark.read.parquet(str(tmp_path / "out")).sort("image_id").select("hash").collect()
    assert [row["hash"] for row in found] == [-(2**31), 0, -(2**31), 2**31 - 1]


def test_g3_the_output_can_be_deduplicated_again(remove, listed, tmp_path):
    """A file that lost no row still says that its integers have a sign."""
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        copy = tmp_path / f"images/{number}.parquet"
        copy.write_bytes((TABLES / "duckdb_uuid.parquet").read_bytes())
    others = pq.read_table(copy)
    others = others.set_column(0, "image_id", pa.array([f"other-{n}" for n in range(5)]))
    pq.write_table(others, copy)
    remove(tmp_path / "images", listed, tmp_path / "once")
    again = write_list(tmp_path / "again/1.parquet", ["id-2", "other-0"])
    remove(tmp_path / "once", again, tmp_path / "twice")
    found = [row["image_id"] for row in rows(tmp_path / "twice")]
    assert found == ["id-0", "id-3", "id-4", *(f"other-{n}" for n in range(1, 5))]


@pytest.mark.parametrize("engine", ["auto", "spark"])
def test_an_enum_becomes_a_string_and_that_is_said(remove, listed, tmp_path, caplog, engine):
    """pyarrow would write bytes, which other readers would not show as text."""
    table = TABLES / "enum.parquet"
    with caplog.at_level("WARNING"):
        report = remove(table, listed, tmp_path / "out", engine=engine)
    assert report.engine == "spark"
    assert "'kind' has the Parquet type ENUM, which Spark writes as STRING" in caplog.text
    found = pq.read_table(tmp_path / "out")
    assert found["kind"].to_pylist() == ["cat", "cat", None, "cat"]
    assert found.schema.field("kind").type == pa.string()


def test_texts_that_only_java_reads_are_read_by_it(remove, listed, tmp_path):
    """As parquet-mr before 1.8 wrote DELTA_BYTE_ARRAY."""
    table = tmp_path / "images/1.parquet"
    written_by_java(table, "parquet-mr version 1.7.0 (build)", "DELTA_BYTE_ARRAY")
    report = remove(table.parent, listed, tmp_path / "out")
    assert report.engine == "spark"
    assert "'caption' in DELTA_BYTE_ARRAY" in report.choices["engine"]["reason"]
    assert rows(tmp_path / "out") == [row for row in rows(table) if row["image_id"] != "id-1"]


def test_a_page_header_of_whole_images_is_read_by_spark(remove, listed, tmp_path):
    """pyarrow reads headers of up to 16 MB."""
    table = tmp_path / "images/1.parquet"
    write_huge_header(table)
    with pytest.raises(OSError, match="page header"):
        pq.read_table(table)
    report = remove(table.parent, listed, tmp_path / "out")
    assert report.engine == "spark"
    assert "column 'image': the header of a page" in report.choices["engine"]["reason"]
    found = rows(tmp_path / "out")
    assert [row["image_id"] for row in found] == ["id-0", "id-2"]
    assert [row["image"][-1:] for row in found] == [b"\xff", b"x"]


def test_a_page_header_that_is_found_late_is_no_broken_file(remove, listed, tmp_path):
    """Only one file of each schema is looked at before the work."""
    write_huge_header(tmp_path / "images/2.parquet")
    small = pq.read_table(tmp_path / "images/2.parquet", columns=["image_id"])
    images = small.append_column("image", pa.array([b"1", b"2", b"3"]))
    write_parquet(images, tmp_path / "images/1.parquet")
    with pytest.raises(UnreadableFileError, match=r"page header.* sound.*: --engine spark"):
        remove(tmp_path / "images", listed, tmp_path / "out")
    assert names_in(tmp_path) == ["images", "list"]


def test_a_map_with_optional_keys_is_left_to_spark(remove, listed, tmp_path):
    """Hive and Athena write maps so."""
    table = TABLES / "optional_keys.parquet"
    reason = "column 'about' is a map with optional keys"
    if REMOTE:
        with pytest.raises(UnreadableFileError, match=f"is sound, but {reason}.*classic session"):
            remove(table, listed, tmp_path / "out")
        return
    report = remove(table, listed, tmp_path / "out")
    assert report.engine == "spark"
    assert reason in report.choices["engine"]["reason"]
    found = [(row["image_id"], row["about"]) for row in rows(tmp_path / "out")]
    assert found == [(f"id-{n}", [("x", n), ("y", n)]) for n in (0, 2, 3, 4)]
    with pytest.raises(ColumnTypeError, match=f"{reason}.*--engine spark"):
        remove(table, listed, tmp_path / "by arrow", engine="arrow")


@pytest.mark.classic("there pyarrow reads the footers, and knows these types")
@pytest.mark.parametrize("engine", ["auto", "arrow", "spark"])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("variant", "column 'about' has the Parquet type VARIANT"),
        ("geometry", "column 'place' has the Parquet type GEOMETRY"),
    ],
)
def test_a_type_that_spark_lacks_is_no_broken_file(remove, listed, tmp_path, name, what, engine):
    file = f"duckdb_{name}.parquet"
    message = f"file '[^']*/{file}' is sound.* {what}.*Leave that col"
    with pytest.raises(UnreadableFileError, match=message) as caught:
        remove(TABLES / file, listed, tmp_path / "out", engine=engine)
    assert "Restore" not in str(caught.value)
    assert names_in(tmp_path) == ["list"]


def test_ids_in_an_encoding_that_spark_lacks_can_be_read(remove, spark, tmp_path):
    """By arrow; and by Spark with a setting that the message names."""
    ids = pa.array(range(5), pa.int64())
    rows = pa.table({"image_id": ids, "image": [b"%d" % n for n in range(5)]})
    encodings = {"image_id": "BYTE_STREAM_SPLIT", "image": "PLAIN"}
    table = tmp_path / "images/1.parquet"
    write_parquet(rows, table, use_dictionary=False, column_encoding=encodings)
    listed = write_list(tmp_path / "list/1.parquet", [1], id_type=pa.int64())
    with pytest.raises(UnreadableFileError, match=rf"BYTE_STREAM_SPLIT.*{VECTORIZED} to false"):
        remove(table.parent, listed, tmp_path / "out", engine="spark")
    spark.conf.set(VECTORIZED, "false")
    try:
        remove(table.parent, listed, tmp_path / "out", engine="spark")
    finally:
        spark.conf.unset(VECTORIZED)
    assert remove(table.parent, listed, tmp_path / "2").engine == "arrow"
    for output in ("out", "2"):
        assert pq.read_table(tmp_path / output)["image_id"].to_pylist() == [0, 2, 3, 4]


def test_an_encoding_that_spark_lacks_is_no_broken_file(remove, listed, tmp_path):
    message = r"BYTE_STREAM_SPLIT.* The file is sound.*: --engine arrow"
    with pytest.raises(UnreadableFileError, match=message):
        remove(TABLES / "duckdb_v2.parquet", listed, tmp_path / "out", engine="spark")
    assert names_in(tmp_path) == ["list"]


@pytest.mark.parametrize("action", ["remove", "annotate", "extract"])
def test_a_codec_that_spark_lacks_is_kept_by_arrow(remove, listed, tmp_path, action):
    """The mark of a row has another, because Spark reads it to verify the output."""
    table = tmp_path / "images/1.parquet"
    write_parquet(image_rows(["id-0", "id-1", None]), table, compression="brotli")
    assert remove(table.parent, listed, tmp_path / "out", action=action).engine == "arrow"
    group = pq.ParquetFile(tmp_path / "out/1.parquet").metadata.row_group(0)
    codecs = {group.column(n).path_in_schema: group.column(n).compression for n in range(5)}
    assert set(codecs.values()) == {"BROTLI"}


@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_g3_arrays_that_spark_would_mix_up_are_refused(remove, listed, tmp_path, output_format):
    """DuckDB stores values for NULL: Spark takes them for those of the next rows."""
    table, output = TABLES / "duckdb_array.parquet", tmp_path / "out"
    with pytest.raises(ColumnTypeError, match="values for a NULL in column 'numbers'"):
        remove(table, listed, output, engine="spark", output_format=output_format)
    assert names_in(tmp_path) == ["list"]
