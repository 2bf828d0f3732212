"""Tables and lists that are hard to keep: each comes out as it went in, or is refused by name."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import ColumnTypeError, UnreadableFileError, UnsupportedError
from tests.hostile_tables import (
    ARROW_ALONE_KNOWS,
    IDS,
    KEPT_BY_BOTH_ENGINES,
    NAMES,
    REFUSED_BY_SPARK,
    as_interval,
    data_files,
    four_rows,
    logical_rows,
    parquet_types,
    strings_of,
    write_encrypted,
)
from tests.made_tables import names_in, tree_digest, write_list, write_parquet

ENGINES = {
    "arrow": {"engine": "arrow"},
    "broadcast-ids": {"engine": "spark", "strategy": "broadcast-ids"},
    "row-positions": {"engine": "spark", "strategy": "row-positions"},
    "delta": {"output_format": "delta"},
}

ID_NAME = "image.id `x`; --"


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of b, the row of NULLs."""
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", ["b", "unknown", None])


def rows_by_id(root: Path, id_column: str = "image_id") -> dict[str, list[str]]:
    """The rows of a table's files: each value spelled out."""
    rows = logical_rows(root)
    return {row[id_column]: [f"{name} {value!r}" for name, value in row.items()] for row in rows}


def without(rows: dict[str, list[str]], *gone: str) -> dict[str, list[str]]:
    return {image_id: row for image_id, row in rows.items() if image_id not in gone}


def types_of(root: Path) -> dict[str, tuple]:
    return parquet_types(pq.ParquetFile(data_files(root)[0]))


# Types


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
    assert rows_by_id(tmp_path / "out") == without(rows_by_id(typed_images), "b")
    assert types_of(tmp_path / "out") == types_of(typed_images)


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


@pytest.fixture
def refused(remove, listed, tmp_path):
    """Run by Spark's engine, and check that it is refused with exit 3 and nothing is written."""

    def refused(images: Path, words: str, **settings):
        before = tree_digest(tmp_path), names_in(tmp_path)
        with pytest.raises((ColumnTypeError, UnreadableFileError), match=words) as caught:
            remove(images, listed, tmp_path / "out", **({"engine": "spark"} | settings))
        assert caught.value.exit_code == 3
        assert (tree_digest(tmp_path), names_in(tmp_path)) == before

    return refused


@pytest.mark.parametrize("name", [*REFUSED_BY_SPARK, "x (DECIMAL(20,2))", "a\nb"])
def test_g3_types_that_spark_would_change_are_refused_by_its_engine(refused, tmp_path, name):
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
    refused(path.parent, words)


def test_g3_an_interval_is_refused_by_both_engines(refused, tmp_path):
    """pyarrow takes it for bytes of a fixed length, and would write that."""
    column = {"span": pa.array([b"1" * 12, None, b"2" * 12, b"3" * 12], pa.binary(12))}
    path = write_parquet(four_rows(column), tmp_path / "images/1.parquet", store_schema=False)
    as_interval(path, "span")
    for engine in ("arrow", "spark", "auto"):
        refused(path.parent, "(?i)interval", engine=engine)


# Files


@pytest.mark.parametrize("plaintext_footer", [False, True])
@pytest.mark.parametrize("encrypted", ["images", "list"])
def test_g4_encrypted_files_are_refused(remove, listed, tmp_path, encrypted, plaintext_footer):
    """A list too: its entries can't be known."""
    places = {"images": tmp_path / "images/1.parquet", "list": tmp_path / "list/1.parquet"}
    write_parquet(four_rows({}), places["images"])
    write_list(places["list"], ["b"])
    table = pq.read_table(places[encrypted])
    write_encrypted(table, places[encrypted], plaintext_footer=plaintext_footer)
    before = names_in(tmp_path)
    with pytest.raises(UnreadableFileError, match=rf"/{encrypted}/1\.parquet"):
        remove(places["images"].parent, places["list"].parent, tmp_path / "out")
    assert names_in(tmp_path) == before


# Names


@pytest.fixture(scope="module")
def named_images(tmp_path_factory):
    """A table whose names mean something to SQL, to Spark or to a reader of schemas."""
    columns = {name: pa.array([row, None, row + 2, row + 3]) for row, name in enumerate(NAMES)}
    folder = tmp_path_factory.mktemp("named") / "images"
    return write_parquet(four_rows(columns, ID_NAME), folder / "1.parquet").parent


@pytest.mark.parametrize("engine", ENGINES)
def test_g3_names_stay_whatever_they_look_like(remove, named_images, listed, tmp_path, engine):
    report = remove(
        named_images, listed, tmp_path / "out", image_id_column=ID_NAME, **ENGINES[engine]
    )
    kept = without(rows_by_id(named_images, ID_NAME), "b")
    assert rows_by_id(tmp_path / "out", ID_NAME) == kept
    assert report.counts["removed_rows"] == 1


@pytest.mark.parametrize("place", ["column", "inside a column"])
def test_g3_a_name_that_hadoop_would_replace_is_refused_where_spark_reads_it(
    remove, refused, tmp_path, place
):
    """Spark hands names on in Hadoop's settings: it would read NULLs, and write another name."""
    name, values = "${spark.app.name}", pa.array([1, None, 3, 4])
    column = {name: values}
    if place != "column":
        column = {"nested": pa.StructArray.from_arrays([values], [name])}
    images = write_parquet(four_rows(column), tmp_path / "images/1.parquet").parent
    refused(images, r"1\.parquet'.*'\$\{spark\.app\.name\}'.*Rename")
    refused(images, "Rename", engine="auto", output_format="delta")


def test_g3_such_a_name_of_a_delta_table_is_kept_there_and_refused_for_parquet(
    spark, refused, remove, listed, tmp_path
):
    rows = spark.createDataFrame([("a", 1), ("b", 2)], ["image_id", "${user.name}"])
    writer = rows.write.format("delta").option("delta.columnMapping.mode", "name")
    writer.save(f"{tmp_path}/images")
    refused(tmp_path / "images", r"'\$\{user\.name\}'.*use --output-format delta")
    remove(tmp_path / "images", listed, tmp_path / "${user.name}", output_format="delta")
    assert logical_rows(tmp_path / "${user.name}") == [{"image_id": "a", "${user.name}": 1}]


def test_g1_an_id_column_that_hadoop_would_replace_is_refused(refused, tmp_path):
    path = tmp_path / "images/1.parquet"
    images = write_parquet(four_rows({}, "${user.name}"), path).parent
    refused(images, r"1\.parquet.*\$\{user\.name\}", image_id_column="${user.name}", engine="auto")


def as_delta(spark, images: Path, folder: Path) -> Path:
    writer = spark.read.parquet(str(images)).coalesce(1).write.format("delta")
    writer = writer.option("delta.enableDeletionVectors", "true")
    writer.option("delta.columnMapping.mode", "name").save(str(folder))
    return folder


def test_g1_rows_are_deleted_in_place_by_an_id_column_of_any_name(
    spark, remove, named_images, listed, tmp_path
):
    """But for one column that Delta mixes up with its own: nothing is deleted then."""
    images = as_delta(spark, named_images, tmp_path / "images")
    asked = {"method": "in-place", "image_id_column": ID_NAME}
    with pytest.raises(UnsupportedError, match="column '_metadata'") as caught:
        remove(images, listed, None, **asked)
    assert caught.value.exit_code == 2
    assert names_in(tmp_path) == ["images"]
    spark.sql(f"ALTER TABLE delta.`{images}` RENAME COLUMN _metadata TO meta")
    assert remove(images, listed, None, **asked).counts["kept_rows"] == 3
    left = spark.read.format("delta").load(str(images))
    assert sorted(row[0] for row in left.collect()) == ["a", "c", "d"]


# IDs


@pytest.fixture(scope="module")
def odd_ids(tmp_path_factory):
    """A table of the odd IDs, in two files, and a list of every second of them."""
    folder = tmp_path_factory.mktemp("ids")
    for number, ids in enumerate((IDS[:15], (*IDS[15:], None))):
        images = pa.array([b"image of " + repr(image_id).encode() for image_id in ids])
        table = pa.table({"image_id": strings_of(list(ids)), "image": images})
        write_parquet(table, folder / f"images/{number}.parquet")
    listed = pa.table({"id": strings_of([*IDS[::2], b"\xfd", b"\xef\xbf\xbd" * 2])})
    write_parquet(listed, folder / "list/1.parquet")
    return folder


def ids_and_images(root: Path) -> list[tuple[bytes | None, bytes]]:
    tables = [pq.ParquetFile(path).read(["image_id", "image"]) for path in data_files(root)]
    whole = pa.concat_tables(tables)
    ids = whole["image_id"].cast(pa.binary()).to_pylist()
    return sorted(zip(ids, whole["image"].to_pylist(), strict=True), key=repr)


def kept_ids_and_images() -> list[tuple[bytes | None, bytes]]:
    kept = (*IDS[1::2], None)
    return sorted(((one, b"image of " + repr(one).encode()) for one in kept), key=repr)


@pytest.mark.parametrize("engine", ENGINES)
def test_g1_ids_are_compared_byte_by_byte_whatever_text_they_are(remove, odd_ids, tmp_path, engine):
    report = remove(odd_ids / "images", odd_ids / "list", tmp_path / "out", **ENGINES[engine])
    assert ids_and_images(tmp_path / "out") == kept_ids_and_images()
    assert report.counts["list_unmatched_ids"] == 2


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g3_marks_name_keepers_byte_by_byte(remove, tmp_path, engine):
    """What is no text, though Parquet says so, is not made text on the way through Python."""
    keepers = (b"\xff", b"\xfe")
    others = [one for one in IDS if one not in keepers]
    ids = strings_of([*keepers, *others])
    images = pa.table({"image_id": ids, "image": [b"x"] * len(IDS)})
    write_parquet(images, tmp_path / "images/1.parquet")
    kept = [keepers[row % 2] for row in range(len(others))]
    pairs = {"id": strings_of(others), "max_id": strings_of(kept)}
    scored = pa.table({**pairs, "cosine_sim_score": [1.0] * len(others)})
    write_parquet(scored, tmp_path / "list/1.parquet")
    asked = {"engine": engine, "action": "annotate", "eps": 0.1, "max_removed_fraction": 1.0}
    remove(tmp_path / "images", tmp_path / "list", tmp_path / "out", **asked)
    (path,) = data_files(tmp_path / "out")
    marked = pq.ParquetFile(path).read()
    columns = [marked[name].cast(pa.binary()).to_pylist() for name in ("image_id", "kept_image_id")]
    expected = [*zip(keepers, (None, None), strict=True), *zip(others, kept, strict=True)]
    assert sorted(zip(*columns, strict=True)) == sorted(expected)
