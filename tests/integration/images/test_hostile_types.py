"""Types, files and sizes that are hard to keep: all stays, or is refused by name."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import UnreadableFileError
from tests.support.tables.hostile import (
    ARROW_ALONE_KNOWS,
    ENGINES,
    KEPT_BY_BOTH_ENGINES,
    REFUSED_BY_SPARK,
    as_interval,
    data_files,
    four_rows,
    parquet_types,
    rows_by_id,
    without_b,
    write_encrypted,
)
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of b, the row of NULLs."""
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", ["b", "unknown", None])


def types_of(root: Path) -> dict[str, tuple]:
    return parquet_types(pq.ParquetFile(data_files(root)[0]))


@pytest.fixture(scope="module")
def typed_images(tmp_path_factory):
    """A table of a column for each type that both engines keep."""
    folder = tmp_path_factory.mktemp("typed") / "images"
    return write_parquet(four_rows(KEPT_BY_BOTH_ENGINES), folder / "1.parquet").parent


@pytest.mark.parametrize("engine", ENGINES)
def test_g3_types_and_values_stay_whatever_is_nested_in_them(
    remove, typed_images, listed, tmp_path, engine
):
    remove(typed_images, listed, tmp_path / "out", **ENGINES[engine])
    assert rows_by_id(tmp_path / "out") == without_b(rows_by_id(typed_images))
    assert types_of(tmp_path / "out") == types_of(typed_images)


@pytest.mark.parametrize("name", ["INT96", "UTC_microseconds", "UTC_milliseconds"])
def test_g3_a_table_that_loses_all_its_rows_keeps_its_types(remove, tmp_path, name):
    """And what is required, by Spark's engine: there is no row to tell it from."""
    moments = pa.array([0, 1, 2, 3], pa.timestamp("ms" if "milli" in name else "us", "UTC"))
    rows = four_rows({"taken": moments})
    required = [field.with_nullable(False) for field in rows.schema]
    options = {"use_deprecated_int96_timestamps": name == "INT96"}
    images = tmp_path / "images/1.parquet"
    write_parquet(rows.cast(pa.schema(required)), images, **options)
    listed = write_list(tmp_path / "list.parquet", ["a", "b", "c", "d"])
    remove(images.parent, listed, tmp_path / "out", engine="spark", max_removed_fraction=1.0)
    assert types_of(tmp_path / "out") == types_of(images.parent)


def test_g3_the_arrow_engine_keeps_what_spark_can_not_say(remove, listed, tmp_path):
    """And names that differ only by case, which Spark can't tell apart."""
    more = {"Case": pa.array([1, None, 3, 4]), "case": pa.array(["a", None, "c", "d"])}
    before = four_rows(REFUSED_BY_SPARK | ARROW_ALONE_KNOWS | {"null": pa.nulls(4)} | more)
    images = write_parquet(before, tmp_path / "images/1.parquet")
    report = remove(images.parent, listed, tmp_path / "out")
    assert report.engine == "arrow"
    kept = pq.ParquetFile(tmp_path / "out/1.parquet")
    assert kept.schema_arrow.equals(pq.ParquetFile(images).schema_arrow, check_metadata=True)
    assert parquet_types(kept) == parquet_types(pq.ParquetFile(images))
    rows = pa.concat_tables([before.slice(0, 1), before.slice(2, 2)])
    assert kept.read().equals(rows)


@pytest.mark.parametrize("name", [*REFUSED_BY_SPARK, "x (DECIMAL(20,2))", "a\nb"])
def test_g3_types_that_spark_would_change_are_refused_by_its_engine(
    refused_by_spark, tmp_path, name
):
    """However a column is called: its name is not taken for its type."""
    odd_names = {
        "x (DECIMAL(20,2))": REFUSED_BY_SPARK["fixed_length_binary"],
        "a\nb": REFUSED_BY_SPARK["uint32"],
    }
    columns = {name: (REFUSED_BY_SPARK | odd_names)[name]}
    if name == "UTC_milliseconds":
        columns |= {"UTC": KEPT_BY_BOTH_ENGINES["UTC_microseconds"]}
    path = tmp_path / "images/1.parquet"
    write_parquet(four_rows(columns), path, store_schema=False)
    words = r"column '.*' has the Parquet type|several Parquet types|read file '.*/1\.parquet'"
    refused_by_spark(path.parent, words)


def test_g3_an_interval_is_refused_by_both_engines(refused_by_spark, tmp_path):
    """pyarrow takes it for bytes of a fixed length, and would write that."""
    column = {"span": pa.array([b"1" * 12, None, b"2" * 12, b"3" * 12], pa.binary(12))}
    path = write_parquet(four_rows(column), tmp_path / "images/1.parquet", store_schema=False)
    as_interval(path, "span")
    for engine in ("arrow", "spark"):
        refused_by_spark(path.parent, "(?i)interval", engine=engine)
    both = r"Spark can't read .* Nor can arrow do it here: pyarrow would write .*Interval"
    refused_by_spark(path.parent, both, engine="auto")


# Files


@pytest.mark.parametrize("plaintext_footer", [False, True])
@pytest.mark.parametrize("encrypted", ["images", "list"])
def test_g4_encrypted_files_are_refused(remove, listed, tmp_path, encrypted, plaintext_footer):
    """A list too: its entries can't be known."""
    places = {"images": tmp_path / "images/1.parquet", "list": tmp_path / "list/1.parquet"}
    for number in (0, 1, 2):  # which of them it is, is said
        write_parquet(four_rows({}), tmp_path / f"images/{number}.parquet")
    write_list(places["list"], ["b"])
    table = pq.read_table(places[encrypted])
    write_encrypted(table, places[encrypted], plaintext_footer=plaintext_footer)
    before = names_in(tmp_path)
    with pytest.raises(UnreadableFileError, match=rf"/{encrypted}/1\.parquet"):
        remove(places["images"].parent, places["list"].parent, tmp_path / "out")
    assert names_in(tmp_path) == before


def test_g4_a_codec_that_spark_lacks_is_left_to_arrow(refused_by_spark, remove, tmp_path):
    """Spark does not read the files of that engine, not even for the plan."""
    write_parquet(four_rows({}), tmp_path / "images/1.parquet", compression="brotli")
    refused_by_spark(tmp_path / "images", r"images/1\.parquet.*BrotliCodec.*file is sound")
    listed = tmp_path / "list/1.parquet"
    report = remove(tmp_path / "images", listed, tmp_path / "out")
    assert (report.engine, report.counts["removed_rows"]) == ("arrow", 1)


# Many


@pytest.mark.parametrize("engine", ["arrow", "delta"])
def test_g3_three_thousand_columns_stay(remove, listed, tmp_path, engine):
    columns = {f"column {number}": pa.array([number, None, 3, 4]) for number in range(3000)}
    images = write_parquet(four_rows(columns), tmp_path / "images/1.parquet").parent
    remove(images, listed, tmp_path / "out", **ENGINES[engine])
    assert rows_by_id(tmp_path / "out") == without_b(rows_by_id(images))


# More: MANY_PARTITIONS=10000
PARTITIONS = int(os.environ.get("MANY_PARTITIONS", "200"))


@pytest.mark.parametrize("engine", ["arrow", "row-positions"])
def test_g3_many_partitions_stay(remove, tmp_path, engine):
    """Each with a file: values are not taken for numbers, and no row changes places."""
    for number in range(PARTITIONS):
        rows = image_rows([f"{number} a", f"{number} b"])
        write_parquet(rows, tmp_path / f"images/part=0{number}/1.parquet")
    ids = [f"{number} b" for number in range(0, PARTITIONS, 2)]
    listed = write_list(tmp_path / "list.parquet", [*ids, "unknown"])
    report = remove(tmp_path / "images", listed, tmp_path / "out", **ENGINES[engine])
    assert report.counts["removed_rows"] == len(ids)
    found = {
        (path.parent.name, image_id)
        for path in data_files(tmp_path / "out")
        for image_id in pq.ParquetFile(path).read(["image_id"])["image_id"].to_pylist()
    }
    kept = {(f"part=0{n}", f"{n} {row}") for n in range(PARTITIONS) for row in "ab"}
    assert found == kept - {(f"part=0{n}", f"{n} b") for n in range(0, PARTITIONS, 2)}
