"""Names and IDs that mean something to SQL, Hadoop or readers of text: here they are names."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import UnsupportedError
from tests.support.tables.hostile import (
    ENGINES,
    IDS,
    NAMES,
    data_files,
    four_rows,
    logical_rows,
    rows_by_id,
    strings_of,
    without_b,
)
from tests.support.tables.made import names_in, write_list, write_parquet

ID_NAME = "image.id `x`; --"


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of b, the row of NULLs."""
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", ["b", "unknown", None])


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
    kept = without_b(rows_by_id(named_images, ID_NAME))
    assert rows_by_id(tmp_path / "out", ID_NAME) == kept
    assert report.counts["removed_rows"] == 1


@pytest.mark.parametrize("place", ["column", "inside a column"])
def test_g3_a_name_that_hadoop_would_replace_is_refused_where_spark_reads_it(
    remove, refused_by_spark, tmp_path, place
):
    """Spark hands names on in Hadoop's settings: it would read NULLs, and write another name."""
    name, values = "${spark.app.name}", pa.array([1, None, 3, 4])
    column = {name: values}
    if place != "column":
        column = {"nested": pa.StructArray.from_arrays([values], [name])}
    images = write_parquet(four_rows(column), tmp_path / "images/1.parquet").parent
    refused_by_spark(images, r"1\.parquet'.*'\$\{spark\.app\.name\}'.*Rename")
    refused_by_spark(images, "Rename", engine="auto", output_format="delta")


@pytest.mark.classic("an output of such a name is refused, for Spark takes it for a pattern")
def test_g3_such_a_name_of_a_delta_table_is_kept_there_and_refused_for_parquet(
    spark, refused_by_spark, remove, listed, tmp_path
):
    rows = spark.createDataFrame([("a", 1), ("b", 2)], ["image_id", "${user.name}"])
    writer = rows.write.format("delta").option("delta.columnMapping.mode", "name")
    writer.save(f"{tmp_path}/images")
    refused_by_spark(tmp_path / "images", r"'\$\{user\.name\}'.*use --output-format delta")
    remove(tmp_path / "images", listed, tmp_path / "${user.name}", output_format="delta")
    assert logical_rows(tmp_path / "${user.name}") == [{"image_id": "a", "${user.name}": 1}]


def test_g1_an_id_column_that_hadoop_would_replace_is_refused(refused_by_spark, tmp_path):
    path = tmp_path / "images/1.parquet"
    images = write_parquet(four_rows({}, "${user.name}"), path).parent
    refused_by_spark(
        images, r"1\.parquet.*\$\{user\.name\}", image_id_column="${user.name}", engine="auto"
    )


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


def test_g3_marks_name_keepers_byte_by_byte(remove, tmp_path):
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
    asked = {"engine": "arrow", "action": "annotate", "eps": 0.1, "max_removed_fraction": 1.0}
    remove(tmp_path / "images", tmp_path / "list", tmp_path / "out", **asked)
    (path,) = data_files(tmp_path / "out")
    marked = pq.ParquetFile(path).read()
    columns = [marked[name].cast(pa.binary()).to_pylist() for name in ("image_id", "kept_image_id")]
    expected = [*zip(keepers, (None, None), strict=True), *zip(others, kept, strict=True)]
    assert sorted(zip(*columns, strict=True)) == sorted(expected)
