"""Directories that are no image table: nothing in them is skipped or guessed."""

import pyarrow as pa
import pytest
from pyarrow import dataset

from dedup_lib.errors import (
    ColumnTypeError,
    OutputExistsError,
    TableFormatError,
    UnreadableFileError,
)
from tests.support.tables.made import image_rows, row_digests, write_parquet


@pytest.mark.parametrize(
    "place",
    [
        "_x.parquet",
        ".x.parquet",
        "_temporary/0/x.parquet",
        ".hidden/x.parquet",
        "_x/dt=1/x.parquet",
    ],
)
def test_g4_what_spark_would_skip_in_silence_is_refused(refused, images, listed, leniency, place):
    write_parquet(image_rows(["e"]), images / place)
    text = refused(TableFormatError, 3, "which Spark would skip without a message", images, listed)
    assert f"/images/{place}'" in text
    assert "Move it away" in text


def test_g4_a_plain_sub_directory_is_refused(refused, images, listed):
    write_parquet(image_rows(["e"]), images / "more/x.parquet")
    message = r"holds the sub-directory 'more', which is not a partition \(name=value\)"
    refused(TableFormatError, 3, message, images, listed)


@pytest.mark.parametrize("directory", ["split=", "a=1/split=", "split=/b=2"])
def test_g4_a_partition_with_an_empty_value_is_called_so(refused, listed, tmp_path, directory):
    """DuckDB writes an empty string so; Spark can't read the table."""
    write_parquet(image_rows(["a"]), tmp_path / "images" / directory / "data_0.parquet")
    message = r"'split=': a partition with an empty value, .* rename the directory, .*'split=empty'"
    refused(TableFormatError, 3, message, tmp_path / "images", listed)


def test_g4_a_text_file_in_the_image_table_is_refused(refused, images, listed):
    (images / "notes.txt").write_text("these are my images, all of them")
    refused(UnreadableFileError, 3, r"/images/notes\.txt.*(?i:restore or remove)", images, listed)


@pytest.mark.parametrize("name", ["00000.tar", "p=1/00000.TAR", "00000.tar.gz", "00000.tgz"])
def test_g4_shards_of_webdataset_are_no_table_of_parquet(refused, images, listed, name):
    """img2dataset writes facts about the images of `00000.tar` to `00000.parquet`."""
    for file in ("1_stats.json", name):
        (images / file).parent.mkdir(exist_ok=True)
        (images / file).write_bytes(bytes(10_240))
    message = f"image table '.*/images' holds '.*/images/{name}': these are WebDataset shards"
    given = {"output": None, "dry_run": True}
    text = refused(TableFormatError, 3, message, images, listed, images_format="parquet", **given)
    assert "estore or remove" not in text
    words = "holds .*, which has the name of no shard.*--images-format webdataset; otherwise move"
    refused(TableFormatError, 3, words, images, listed, **given)
    message = f"not replaced: output .* holds '.*/{name}': these are WebDataset shards"
    other = write_parquet(image_rows(["a", "b"]), images.parent / "other/1.parquet")
    overwrite = {"output": images, "output_mode": "overwrite"}
    refused(OutputExistsError, 5, message, other, listed, **overwrite)


def test_g4_markers_of_other_writers_are_passed_over(spark, remove, images, listed, tmp_path):
    expected = row_digests(spark.read.parquet(str(images)).where("image_id != 'b'"))
    (images / "_SUCCESS").touch()
    names = ["_metadata", "_common_metadata", ".gone.parquet.crc", "._SUCCESS.crc", "_started_1"]
    for marker in [*names, "_committed_1", "_remove_duplicates.json"]:
        (images / marker).write_text("no Parquet")
    remove(images, listed, tmp_path / "out")
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


@pytest.mark.parametrize("lacking", ["image_id", "caption"])
def test_g4_a_column_that_one_file_lacks_is_named(refused, images, listed, lacking):
    write_parquet(image_rows(["e"]).drop_columns([lacking]), images / "3.parquet")
    message = rf"column '{lacking}' is in file '.*/1\.parquet' but not in '.*/3\.parquet'"
    refused(TableFormatError, 3, message, images, listed)


def test_g4_a_column_that_only_one_file_has_is_named(refused, images, listed):
    rows = image_rows(["e"])
    rows = rows.append_column("extra", pa.array([1]))
    write_parquet(rows, images / "3.parquet")
    message = r"column 'extra' is in file '.*/3\.parquet' but not in '.*/1\.parquet'"
    refused(TableFormatError, 3, message, images, listed)


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("width", pa.int64(), "column 'width' is int in file .* but bigint in .*3.parquet"),
        ("image_id", pa.binary(), "column 'image_id' is string in file .* but binary in .*3.parq"),
    ],
)
def test_g4_a_column_of_two_types_is_named(refused, images, listed, column, kind, message):
    rows = image_rows(["e"])
    at = rows.schema.get_field_index(column)
    rows = rows.set_column(at, column, rows[column].cast(kind))
    write_parquet(rows, images / "3.parquet")
    refused(TableFormatError, 3, message, images, listed)


def test_g4_columns_that_differ_only_in_case_are_refused(refused, images, listed):
    rows = image_rows(["e"])
    write_parquet(rows.append_column("Width", rows["width"]), images / "1.parquet")
    write_parquet(rows.append_column("Width", rows["width"]), images / "2.parquet")
    refused(UnreadableFileError, 3, r"1\.parquet.*`width`", images, listed, engine="spark")


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("width=1", "'0' in column 'width', but its directory says '1'"),
        ("Width=0", "both as a dir"),
    ],
)
def test_g4_a_partition_named_like_a_column_is_refused(
    refused, listed, tmp_path, directory, message
):
    write_parquet(image_rows(["a"]), tmp_path / "images" / directory / "1.parquet")
    refused(TableFormatError, 3, message, tmp_path / "images", listed)


def test_g4_an_id_that_is_a_partition_is_refused(refused, listed, tmp_path):
    rows = image_rows(["a"]).drop_columns(["image_id"])
    write_parquet(rows, tmp_path / "images/image_id=a/1.parquet")
    message = "column 'image_id' is kept in directory names"
    refused(ColumnTypeError, 3, message, tmp_path / "images", listed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.parquet", "dt=1/1.parquet"), ("dt=1/1.parquet", "dt=1/h=2/1.parquet"), ("a=1/1", "b=1/1")],
)
def test_g4_files_at_different_depths_are_refused(refused, listed, tmp_path, one, other):
    for place in (one, other):
        write_parquet(image_rows(["a"]), tmp_path / "images" / place)
    message = f"files at different depths: .*/images/{one}'.*/images/{other}'"
    refused(TableFormatError, 3, message, tmp_path / "images", listed)


def test_g4_instants_of_several_parquet_types_are_refused(refused, listed, tmp_path):
    rows = image_rows(["a"])
    for unit in ("ms", "us"):
        rows = rows.append_column(unit, pa.array([1], pa.timestamp(unit, tz="UTC")))
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    message = "timestamps of several Parquet types"
    refused(ColumnTypeError, 3, message, images, listed, engine="spark")


@pytest.fixture
def accents(tmp_path):
    """A table partitioned by texts that pyarrow, pandas, Polars and DuckDB write as UTF-8."""
    rows = image_rows(["a", "b", "c"]).append_column("split", pa.array(["café", "café", "x"]))
    dataset.write_dataset(
        rows,
        tmp_path / "accents",
        format="parquet",
        partitioning=dataset.partitioning(pa.schema([("split", pa.string())]), flavor="hive"),
    )
    assert (tmp_path / "accents/split=caf%C3%A9").is_dir()
    return tmp_path / "accents"


def test_g3_partition_values_in_utf8_stay(remove, accents, listed, tmp_path):
    remove(accents, listed, tmp_path / "out")
    found = dataset.dataset(tmp_path / "out", partitioning="hive", format="parquet").to_table()
    assert sorted(zip(*found.select(["image_id", "split"]).to_pydict().values(), strict=True)) == [
        ("a", "café"),
        ("c", "x"),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "spark"},
        {"output_format": "delta"},
        {"method": "clone"},
        {"protect_where": "split = 'café'"},
    ],
    ids=str,
)
def test_g3_partition_values_that_spark_would_change_are_refused(
    refused, accents, listed, settings
):
    message = r"'split=caf%C3%A9', because it does not decode UTF-8"
    refused(UnreadableFileError, 3, message, accents, listed, **settings)


def test_g3_partition_values_that_spark_would_change_choose_no_keeper(refused, accents, tmp_path):
    groups = pa.table({"id": ["a", "b"], "group": ["g", "g"]})
    write_parquet(groups, tmp_path / "list/1.parquet")
    settings = {"group_column": "group", "keeper": "largest:split"}
    message = "it does not decode UTF-8"
    refused(UnreadableFileError, 3, message, accents, tmp_path / "list", **settings)
