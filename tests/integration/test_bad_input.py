"""Input that can't be used: the run says what is wrong and how to mend it, and writes nothing."""

import datetime as dt
import decimal
import logging
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import (
    ColumnTypeError,
    DedupError,
    EmptyListError,
    InputError,
    MissingColumnError,
    NoImageRowsError,
    NoMatchesError,
    OutputExistsError,
    RemovedFractionError,
    SettingsError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
)
from dedup_lib.safety_limits import check_removed_fraction
from tests.made_tables import (
    image_bytes,
    image_rows,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)

LENIENT = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
}


@pytest.fixture
def images(tmp_path):
    """An image table of two files: IDs a, b and c, d."""
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet")
    return write_parquet(image_rows(["c", "d"]), tmp_path / "images/2.parquet").parent


@pytest.fixture
def listed(tmp_path):
    """A removal list that names b."""
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


@pytest.fixture
def refused(remove, tmp_path):
    """Run, and check the error, its exit code and that nothing in tmp_path has changed."""

    def refused(error, exit_code, message, images, lists, **settings):
        output = settings.pop("output", tmp_path / "out")
        files, names = tree_digest(tmp_path), names_in(tmp_path)
        with pytest.raises(DedupError, match=message) as caught:
            remove(images, lists, output, **settings)
        assert caught.type is error
        assert caught.value.exit_code == exit_code
        assert names_in(tmp_path) == names
        assert tree_digest(tmp_path) == files
        return str(caught.value)

    return refused


@pytest.fixture
def lenient_session(spark):
    """The session is told to skip what it can't read; a run must leave that as it was."""
    for key, value in LENIENT.items():
        spark.conf.set(key, value)
    yield
    found = {key: spark.conf.get(key) for key in LENIENT}
    for key in LENIENT:
        spark.conf.unset(key)
    assert found == LENIENT


@pytest.fixture(params=["strict", "lenient"])
def leniency(request):
    """The session as it is, and one that is told to skip what it can't read."""
    if request.param == "lenient":
        request.getfixturevalue("lenient_session")


@pytest.fixture
def name(spark):
    """A free name in the catalog; a table or view of that name is dropped afterwards."""
    free = f"t_{uuid.uuid4().hex}"
    yield free
    kind = (
        "VIEW" if any(t.name == free and t.tableType == "VIEW" for t in tables(spark)) else "TABLE"
    )
    spark.sql(f"DROP {kind} IF EXISTS {free}")


def tables(spark):
    return spark.catalog.listTables()


# What is not there


def test_a_missing_image_table_is_named(refused, listed, tmp_path):
    refused(TableNotFoundError, 3, "image table .*/nope' does not exist", tmp_path / "nope", listed)


def test_a_missing_list_is_named(refused, images, listed, tmp_path):
    lists = [listed, tmp_path / "nope"]
    refused(TableNotFoundError, 3, "removal list .*/nope' does not exist", images, lists)


def test_a_pattern_is_not_expanded_and_the_message_says_so(refused, images, listed):
    message = r"\*\.parquet' does not exist \(patterns such as \* are not expanded"
    refused(TableNotFoundError, 3, message, images / "*.parquet", listed)
    refused(TableNotFoundError, 3, message, images, listed / "*.parquet")


def test_a_missing_image_id_column_is_named_with_its_nearest(refused, images, listed):
    text = refused(
        MissingColumnError,
        3,
        "has no column 'Image_Ids'",
        images,
        listed,
        image_id_column="Image_Ids",
    )
    assert "columns: 'image_id', 'image', 'width', 'caption', 'tags'" in text
    assert "Did you mean 'image_id'? Use --image-id-column." in text


def test_a_missing_list_column_is_named_with_its_nearest(refused, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["b"], column="ids").parent
    message = r"no column 'id' \(columns: 'ids'\). Did you mean 'ids'\? Use --duplicate-id-column"
    refused(MissingColumnError, 3, message, images, listed)


def test_a_list_file_without_the_id_column_is_named(refused, images, listed):
    write_list(listed / "2.parquet", ["a"], column="key")
    message = r"file '.*/list/2\.parquet' has no column 'id' \(columns: 'key'\)"
    refused(MissingColumnError, 3, message, images, listed)


@pytest.mark.parametrize("empty", ["no file", "only markers"])
def test_a_directory_without_data_files_has_no_images(refused, listed, tmp_path, empty):
    (tmp_path / "images").mkdir()
    if empty == "only markers":
        (tmp_path / "images/_SUCCESS").touch()
    refused(NoImageRowsError, 3, "holds no data file", tmp_path / "images", listed)


def test_files_without_rows_have_no_images(refused, listed, tmp_path):
    images = write_parquet(image_rows([]), tmp_path / "images/1.parquet").parent
    refused(NoImageRowsError, 3, r"/images' has no rows", images, listed)


@pytest.mark.parametrize("stray", [None, "notes.txt", "_SUCCESS"])
def test_a_list_directory_without_parquet_is_an_error(refused, images, tmp_path, stray):
    (tmp_path / "list").mkdir()
    if stray is not None:
        (tmp_path / "list" / stray).write_text("id\nb\n")
    refused(TableNotFoundError, 3, "/list' holds no Parquet file", images, tmp_path / "list")


def test_a_list_that_is_a_text_file_is_an_error(refused, images, tmp_path):
    (tmp_path / "list.txt").write_text("b\n")
    refused(UnreadableFileError, 3, r"list\.txt' is no Parquet", images, tmp_path / "list.txt")


def test_a_list_directory_of_directories_alone_is_an_error(refused, images, tmp_path):
    write_list(tmp_path / "list/duplicates/1.parquet", ["b"])
    write_list(tmp_path / "list/pairwise_results/1.parquet", ["a"])
    message = r"holds only directories \(duplicates, pairwise_results\): name the one with the list"
    refused(TableFormatError, 3, message, images, tmp_path / "list")


# ID types


@pytest.mark.parametrize(
    ("image_ids", "image_type", "list_ids", "list_type", "message"),
    [
        (["01", "1", " 1 "], pa.string(), [1], pa.int64(), "is bigint .*image IDs are string"),
        ([1, 2, 3], pa.int64(), ["01", "1"], pa.string(), "is string .*image IDs are bigint"),
        ([1, 2, 3], pa.int64(), [1], pa.int32(), "is int .*image IDs are bigint"),
        ([1, 2, 3], pa.int32(), [1], pa.int64(), "is bigint .*image IDs are int"),
        ([2**53], pa.int64(), [2.0**53], pa.float64(), "is double .*image IDs are bigint"),
        (["1"], pa.string(), [1.0], pa.float32(), "is float .*image IDs are string"),
        (
            ["1"],
            pa.string(),
            [decimal.Decimal(1)],
            pa.decimal128(20, 0),
            r"is decimal\(20,0\) .*image IDs are string",
        ),
        (["1"], pa.string(), [b"1"], pa.binary(), "is binary .*image IDs are string"),
        ([1], pa.int64(), [1], pa.uint64(), r"is decimal\(20,0\) .*image IDs are bigint"),
        (["1"], pa.string(), [None], pa.float64(), "is double .*image IDs are string"),
        (
            ["2026-01-01"],
            pa.string(),
            [dt.date(2026, 1, 1)],
            pa.date32(),
            "is date .*image IDs are string",
        ),
    ],
)
def test_list_ids_of_another_type_are_refused(
    refused, tmp_path, image_ids, image_type, list_ids, list_type, message
):
    rows = image_rows(image_ids, id_type=image_type)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", list_ids, id_type=list_type).parent
    text = refused(ColumnTypeError, 3, message, images, listed)
    assert "Nothing is cast in silence" in text
    assert "--duplicate-id-column" in text


def test_list_files_of_two_types_are_refused(refused, images, listed):
    write_list(listed / "2.parquet", [1], id_type=pa.int64())
    message = r"column 'id' is bigint in file '.*/list/2\.parquet', but the image IDs are string"
    refused(ColumnTypeError, 3, message, images, listed)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1.0, pa.float32(), "is float"),
        (1.0, pa.float64(), "is double"),
        (decimal.Decimal(1), pa.decimal128(20, 0), r"is decimal\(20,0\)"),
        (b"1", pa.binary(), "is binary"),
        (dt.date(2026, 1, 1), pa.date32(), "is date"),
        (dt.datetime(2026, 1, 1), pa.timestamp("us", tz="UTC"), "is timestamp"),
        (True, pa.bool_(), "is boolean"),
        (1, pa.int16(), "is smallint"),
        (["a"], pa.list_(pa.string()), "is array<string>"),
        ({"a": "b"}, pa.struct({"a": pa.string()}), "is struct<a:string>"),
    ],
)
def test_image_ids_of_a_type_that_ids_may_not_have_are_refused(
    refused, tmp_path, value, kind, message
):
    rows = image_rows([value], id_type=kind)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", [value], id_type=kind).parent
    text = refused(ColumnTypeError, 3, f"column 'image_id' {message}", images, listed)
    assert "must be string, bigint or int" in text
    assert "Cast it where the table is made" in text


@pytest.mark.parametrize("collated", ["images", "list"])
def test_collated_ids_are_refused(spark, refused, images, listed, tmp_path, collated):
    column = "image_id" if collated == "images" else "id"
    frame = spark.sql(f"SELECT 'B' COLLATE UNICODE_CI AS {column}, binary('x') AS image")
    frame = frame if collated == "images" else frame.drop("image")
    frame.write.parquet(str(tmp_path / "collated"))
    places = {"images": images, "list": listed, collated: tmp_path / "collated"}
    refused(ColumnTypeError, 3, "(?i)collate unicode_ci", places["images"], places["list"])


def test_padded_char_ids_are_refused(spark, refused, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id CHAR(5), image BINARY) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES ('b', binary('x'))")
    refused(ColumnTypeError, 3, r"column 'image_id' is char\(5\)", name, listed)


# Broken files


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def junk(path):
    path.write_bytes(b"no Parquet at all, but long enough to be some")


def lose_the_middle(path):
    """Keep head and footer, and what they point to no longer."""
    data = path.read_bytes()
    path.write_bytes(data[:4] + data[300:])


BREAKS = [truncate, empty, junk]


@pytest.mark.parametrize("damage", [*BREAKS, lose_the_middle])
def test_a_broken_image_file_is_named(refused, images, listed, leniency, damage):
    damage(images / "2.parquet")
    refused(UnreadableFileError, 3, r"/images/2\.parquet.*(?i:restore or remove)", images, listed)


@pytest.mark.parametrize("damage", [*BREAKS, lose_the_middle])
def test_a_broken_list_file_is_named(refused, images, listed, leniency, damage):
    damage(write_list(listed / "2.parquet", [f"{number:100}" for number in range(30)]))
    refused(UnreadableFileError, 3, r"/list/2\.parquet.*(?i:restore or remove)", images, listed)


@pytest.mark.parametrize("damage", BREAKS)
def test_a_broken_list_file_given_by_itself_is_named(refused, images, listed, damage):
    damage(listed / "1.parquet")
    message = r"(?s)list/1\.parquet.*no Parquet|Parquet.*list/1\.parquet"
    refused(UnreadableFileError, 3, message, images, listed / "1.parquet")


def flip_a_bit(path, content):
    """Flip one bit in the one place where a file holds some bytes."""
    data = bytearray(path.read_bytes())
    assert data.count(content) == 1
    data[data.find(content) + len(content) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.usefixtures("lenient_session")
@pytest.mark.parametrize(
    ("column", "settings", "said"),
    [
        ("image_id", {}, "could not read an input file: "),
        ("image", {"strategy": "broadcast-ids"}, "could not read an input file: "),
        ("image", {"strategy": "row-positions"}, "could not read an input file: "),
        ("image", {"engine": "arrow"}, "pyarrow can't read file "),
    ],
)
def test_a_flipped_bit_is_found_by_the_page_checksum(
    spark, refused, listed, tmp_path, column, settings, said
):
    """Nothing is compressed or dictionary-encoded: but for the checksum it would be read."""
    images = write_parquet(
        image_rows(["a", "b", "only-here"]),
        tmp_path / "images/1.parquet",
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    ).parent
    flip_a_bit(images / "1.parquet", b"only-here" if column == "image_id" else image_bytes(2))
    assert spark.read.parquet(str(images)).where("octet_length(image) > 0").count() == 3
    refused(UnreadableFileError, 3, rf"{said}.*/images/1\.parquet", images, listed, **settings)


def test_a_link_to_a_file_that_is_gone_is_an_error(refused, images, listed, leniency):
    (images / "3.parquet").symlink_to(images.parent / "gone.parquet")
    with pytest.raises(FileNotFoundError):
        (images / "3.parquet").read_bytes()
    refused(UnreadableFileError, 3, r"3\.parquet", images, listed)


def test_an_old_output_survives_a_run_that_is_to_replace_it_and_fails(
    refused, images, listed, tmp_path
):
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    truncate(images / "2.parquet")
    message = r"images/2\.parquet"
    refused(UnreadableFileError, 3, message, images, listed, output_mode="overwrite")


# Layout of the image table


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
def test_what_spark_would_skip_in_silence_is_refused(refused, images, listed, leniency, place):
    write_parquet(image_rows(["e"]), images / place)
    text = refused(TableFormatError, 3, "which Spark would skip in silence", images, listed)
    assert f"/images/{place}'" in text
    assert "Move it away" in text


def test_a_plain_sub_directory_is_refused(refused, images, listed):
    write_parquet(image_rows(["e"]), images / "more/x.parquet")
    message = r"holds the sub-directory 'more', which is no partition \(name=value\)"
    refused(TableFormatError, 3, message, images, listed)


def test_a_text_file_in_the_image_table_is_refused(refused, images, listed):
    (images / "notes.txt").write_text("these are my images, all of them")
    refused(UnreadableFileError, 3, r"/images/notes\.txt.*(?i:restore or remove)", images, listed)


def test_markers_of_other_writers_are_passed_over(spark, remove, images, listed, tmp_path):
    expected = row_digests(spark.read.parquet(str(images)).where("image_id != 'b'"))
    (images / "_SUCCESS").touch()
    names = ["_metadata", "_common_metadata", ".gone.parquet.crc", "._SUCCESS.crc", "_started_1"]
    for marker in [*names, "_committed_1", "_remove_duplicates.json"]:
        (images / marker).write_text("no Parquet")
    remove(images, listed, tmp_path / "out")
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


@pytest.mark.parametrize("lacking", ["image_id", "caption"])
def test_a_column_that_one_file_lacks_is_named(refused, images, listed, lacking):
    write_parquet(image_rows(["e"]).drop_columns([lacking]), images / "3.parquet")
    message = rf"column '{lacking}' is in file '.*/1\.parquet' but not in '.*/3\.parquet'"
    refused(TableFormatError, 3, message, images, listed)


def test_a_column_that_only_one_file_has_is_named(refused, images, listed):
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
def test_a_column_of_two_types_is_named(refused, images, listed, column, kind, message):
    rows = image_rows(["e"])
    at = rows.schema.get_field_index(column)
    rows = rows.set_column(at, column, rows[column].cast(kind))
    write_parquet(rows, images / "3.parquet")
    refused(TableFormatError, 3, message, images, listed)


def test_columns_that_differ_only_in_case_are_refused(refused, images, listed):
    rows = image_rows(["e"])
    write_parquet(rows.append_column("Width", rows["width"]), images / "1.parquet")
    write_parquet(rows.append_column("Width", rows["width"]), images / "2.parquet")
    refused(UnreadableFileError, 3, r"1\.parquet.*`width`", images, listed, engine="spark")


@pytest.mark.parametrize("directory", ["width=1", "Width=1"])
def test_a_partition_named_like_a_column_is_refused(refused, listed, tmp_path, directory):
    write_parquet(image_rows(["a"]), tmp_path / "images" / directory / "1.parquet")
    message = "both as a directory name and as a column"
    refused(TableFormatError, 3, message, tmp_path / "images", listed)


def test_an_id_that_is_a_partition_is_refused(refused, listed, tmp_path):
    rows = image_rows(["a"]).drop_columns(["image_id"])
    write_parquet(rows, tmp_path / "images/image_id=a/1.parquet")
    message = "column 'image_id' is kept in directory names"
    refused(ColumnTypeError, 3, message, tmp_path / "images", listed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.parquet", "dt=1/1.parquet"), ("dt=1/1.parquet", "dt=1/h=2/1.parquet"), ("a=1/1", "b=1/1")],
)
def test_files_at_different_depths_are_refused(refused, listed, tmp_path, one, other):
    for place in (one, other):
        write_parquet(image_rows(["a"]), tmp_path / "images" / place)
    message = f"files at different depths: .*/images/{one}'.*/images/{other}'"
    refused(TableFormatError, 3, message, tmp_path / "images", listed)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.uint8(), 1),
        (pa.uint32(), 2**32 - 1),
        (pa.uint64(), 2**64 - 1),
        (pa.time32("ms"), dt.time(1)),
        (pa.time64("us"), dt.time(1)),
        (pa.binary(16), b"0123456789abcdef"),
        (pa.uuid(), b"0123456789abcdef"),
        (pa.float16(), None),
        (pa.timestamp("ns"), 1),
        (pa.timestamp("ns", tz="UTC"), 1),
        (pa.timestamp("ms"), 1),
        (pa.list_(pa.uint32()), [1]),
        (pa.struct({"inner": pa.binary(16)}), {"inner": b"0123456789abcdef"}),
    ],
    ids=str,
)
def test_types_that_spark_would_change_are_refused_by_its_engine_and_kept_by_arrow(
    remove, listed, tmp_path, kind, value
):
    rows = image_rows(["a", "b"]).append_column("odd", pa.array([value, None], kind))
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    files, names = tree_digest(tmp_path), names_in(tmp_path)
    with pytest.raises((ColumnTypeError, UnreadableFileError), match=r"'odd|1\.parquet") as caught:
        remove(images, listed, tmp_path / "out", engine="spark")
    assert caught.value.exit_code == 3
    assert (tree_digest(tmp_path), names_in(tmp_path)) == (files, names)
    assert remove(images, listed, tmp_path / "out").engine == "arrow"
    kept = pq.ParquetFile(tmp_path / "out/1.parquet")
    before = pq.ParquetFile(images / "1.parquet")
    assert str(kept.schema).splitlines()[1:] == str(before.schema).splitlines()[1:]
    assert kept.read().equals(rows.slice(0, 1))


def test_instants_of_several_parquet_types_are_refused(refused, listed, tmp_path):
    rows = image_rows(["a"])
    for unit in ("ms", "us"):
        rows = rows.append_column(unit, pa.array([1], pa.timestamp(unit, tz="UTC")))
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    message = "timestamps of several Parquet types"
    refused(ColumnTypeError, 3, message, images, listed, engine="spark")


# Formats and names


@pytest.fixture(scope="module")
def delta_images(spark, tmp_path_factory):
    """A Delta table of two image rows, one of them deleted from the log."""
    path = tmp_path_factory.mktemp("delta") / "images"
    rows = spark.createDataFrame([("a", 1), ("b", 2)], "image_id string, part int")
    rows.write.format("delta").partitionBy("part").save(str(path))
    return path


def test_a_delta_table_read_as_parquet_is_refused(refused, delta_images, listed):
    message = "is a Delta table: .*Use --images-format delta"
    refused(TableFormatError, 3, message, delta_images, listed, images_format="parquet")


@pytest.mark.parametrize("images_format", ["auto", "parquet"])
def test_a_part_of_a_delta_table_read_as_parquet_is_refused(
    refused, delta_images, listed, images_format
):
    """Its log is what tells deleted rows from the others."""
    partition = delta_images / "part=2"
    refused(TableFormatError, 3, "Delta", partition, listed, images_format=images_format)


def test_a_parquet_directory_read_as_delta_is_refused(refused, images, listed):
    message = "is no Delta table: it has no _delta_log"
    refused(TableFormatError, 3, message, images, listed, images_format="delta")


@pytest.mark.parametrize("missing", ["t_nope", "no_schema.t_nope", "`t nope`"])
def test_a_table_name_that_is_none_is_named(refused, images, listed, missing):
    refused(TableNotFoundError, 3, f"no table '{missing}' in the catalog", missing, listed)
    refused(TableNotFoundError, 3, f"no table '{missing}' in the catalog", images, missing)


def test_a_malformed_table_name_is_a_usage_error(refused, images, listed):
    message = "neither a path .* nor a table name"
    refused(SettingsError, 2, message, "a b", listed)
    refused(SettingsError, 2, message, images, "a..b")
    refused(SettingsError, 2, message, images, listed, output="a.b.c.d")


def test_a_table_name_with_images_format_parquet_is_a_usage_error(refused, spark, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id STRING, image BINARY) USING delta")
    message = "--images-format parquet: give a path with a slash"
    refused(SettingsError, 2, message, name, listed, images_format="parquet")


def test_a_view_is_refused(refused, spark, images, listed, name):
    spark.sql(f"CREATE VIEW {name} AS SELECT 'a' AS image_id, 'b' AS id")
    refused(TableFormatError, 3, name, name, listed)
    refused(TableFormatError, 3, name, images, name)


def test_a_temporary_view_is_refused(refused, spark, images, listed, name):
    spark.sql("SELECT 'a' AS image_id, 'b' AS id").createTempView(name)
    try:
        refused(TableFormatError, 3, name, name, listed)
        refused(TableFormatError, 3, name, images, name)
    finally:
        spark.catalog.dropTempView(name)


def test_a_parquet_table_of_the_catalog_is_refused_with_the_way_out(refused, spark, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id STRING) USING parquet")
    message = f"table '{name}' is parquet, not Delta: give the path of its directory"
    refused(TableFormatError, 3, message, name, listed)


# Files in a list directory


def test_a_text_file_in_the_list_directory_is_passed_over_aloud(
    spark, remove, images, listed, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("dedup_lib"), "propagate", True)
    (listed / "summary.txt").write_text("1 duplicate")
    (listed / "empty.json").touch()
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        report = remove(images, listed, None, dry_run=True)
    assert report.counts["removed_rows"] == 1
    warnings = [record.getMessage() for record in caplog.records]
    for stray in ("summary.txt", "empty.json"):
        assert any(stray in text and "no Parquet file" in text for text in warnings)


@pytest.mark.parametrize("place", ["_x.parquet", ".x.parquet", "_temporary/0/x.parquet"])
def test_hidden_parquet_in_the_list_directory_is_not_skipped_in_silence(
    remove, images, listed, caplog, monkeypatch, place
):
    monkeypatch.setattr(logging.getLogger("dedup_lib"), "propagate", True)
    write_list(listed / place, ["a"])
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        try:
            remove(images, listed, None, dry_run=True)
            told = caplog.text
        except InputError as error:
            told = str(error)
    assert "x.parquet" in told or "_temporary" in told


# Safety limits


@pytest.mark.parametrize("ids", [[], [None, None]])
def test_an_empty_list_stops_the_run(refused, images, tmp_path, ids):
    listed = write_list(tmp_path / "list/1.parquet", ids).parent
    refused(EmptyListError, 4, "no ID at all.*Use --allow-empty-list", images, listed)
    refused(EmptyListError, 4, "no ID at all", images, listed, allow_no_matches=True)


def test_an_empty_list_that_is_allowed_removes_nothing(spark, remove, images, tmp_path):
    lists = [
        write_list(tmp_path / "without_rows/1.parquet", []),
        write_list(tmp_path / "nulls/1.parquet", [None, None]),
    ]
    report = remove(images, lists, tmp_path / "out", allow_empty_list=True)
    assert (report.counts["removed_rows"], report.counts["kept_rows"]) == (0, 4)
    expected = row_digests(spark.read.parquet(str(images)))
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


def test_a_list_that_matches_nothing_stops_the_run_unless_allowed(
    spark, remove, refused, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["A", " a", "a ", "nope", None]).parent
    message = "none of the 4 list entries is an ID of the image table.*--allow-no-matches"
    refused(NoMatchesError, 4, message, images, listed)
    refused(NoMatchesError, 4, message, images, listed, allow_empty_list=True)
    report = remove(images, listed, tmp_path / "out", allow_no_matches=True)
    assert (report.counts["removed_rows"], report.counts["list_unmatched_ids"]) == (0, 4)
    expected = row_digests(spark.read.parquet(str(images)))
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


def test_too_large_a_share_stops_the_run_unless_the_limit_is_raised(
    spark, remove, refused, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["a", "b", "c", "d"]).parent
    message = r"removes 4 of 4 rows \(1\.0000\), more than --max-removed-fraction 0\.9"
    refused(RemovedFractionError, 4, message, images, listed)
    remove(images, listed, tmp_path / "out", max_removed_fraction=1)
    output = spark.read.parquet(str(tmp_path / "out"))
    assert output.count() == 0
    assert output.columns == ["image_id", "image", "width", "caption", "tags"]


def test_a_limit_that_is_passed_leaves_a_report_with_full_counts(remove, images, listed, tmp_path):
    """A dry run, too, ends in the error, and its plan is kept."""
    (report_file, kept_plan) = (tmp_path / "report.json", tmp_path / "plan")
    with pytest.raises(RemovedFractionError):
        remove(
            images,
            listed,
            None,
            dry_run=True,
            max_removed_fraction=0.2,
            report=str(report_file),
            removed_output=str(kept_plan),
        )
    text = report_file.read_text()
    for part in ('"class": "RemovedFractionError"', '"input_rows": 4', '"removed_rows": 1'):
        assert part in text
    assert pq.read_table(kept_plan, columns=["image_id"]).to_pydict() == {"image_id": ["b"]}


@pytest.mark.parametrize("percent", [0, 1, 7, 10, 29, 57, 58, 70, 99, 100])
def test_a_share_that_equals_the_limit_is_within_it(percent):
    check_removed_fraction(input_rows=100, removed_rows=percent, max_removed_fraction=percent / 100)
    if percent < 100:
        with pytest.raises(RemovedFractionError):
            check_removed_fraction(
                input_rows=100, removed_rows=percent + 1, max_removed_fraction=percent / 100
            )


# What is already at the output


def test_an_output_that_exists_is_not_replaced_unasked(refused, images, listed, tmp_path):
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    message = "/out' exists. Use --output-mode overwrite to replace it, or choose another place"
    refused(OutputExistsError, 5, message, images, listed)
    refused(OutputExistsError, 5, message, images, listed, output_format="delta")


def make_file(out):
    write_parquet(image_rows(["old"]), out)


def make_text(out):
    out.mkdir()
    (out / "thesis.txt").write_text("six years of work, and not a table")


def make_text_beside_parquet(out):
    write_parquet(image_rows(["old"]), out / "1.parquet")
    (out / "_notes.txt").write_text("don't lose this")


def make_sub_directories(out):
    write_parquet(image_rows(["old"]), out / "one/1.parquet")
    write_parquet(image_rows(["old"]), out / "other/1.parquet")


def make_text_after_parquet(out):
    write_parquet(image_rows(["old"]), out / "1.parquet")
    (out / "thesis.txt").write_text("six years of work, and not a table")


@pytest.mark.parametrize(
    "make",
    [
        make_file,
        make_text,
        make_text_beside_parquet,
        make_text_after_parquet,
        make_sub_directories,
    ],
)
def test_what_is_no_table_is_not_replaced_even_when_asked(refused, images, listed, tmp_path, make):
    make(tmp_path / "out")
    text = refused(OutputExistsError, 5, "not replaced", images, listed, output_mode="overwrite")
    assert "/out'" in text


def test_a_table_of_the_other_format_is_not_replaced(
    refused, images, listed, delta_images, tmp_path
):
    before = tree_digest(delta_images)
    message = "is a Delta table: replacing it by Parquet would destroy its log"
    overwrite = {"output_mode": "overwrite"}
    refused(OutputExistsError, 5, message, images, listed, output=delta_images, **overwrite)
    assert tree_digest(delta_images) == before
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    message = "exists and is no Delta table: it is not replaced"
    refused(OutputExistsError, 5, message, images, listed, output_format="delta", **overwrite)


def test_a_kept_plan_that_exists_is_not_replaced_unasked(refused, images, listed, tmp_path):
    write_parquet(image_rows(["old"]), tmp_path / "plan/1.parquet")
    plan = str(tmp_path / "plan")
    refused(OutputExistsError, 5, "/plan' exists", images, listed, removed_output=plan)


def test_an_output_table_that_exists_is_not_replaced_unasked(refused, spark, images, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id STRING) USING delta")
    message = f"output '{name}' exists. Use --output-mode overwrite"
    refused(OutputExistsError, 5, message, images, listed, output=name)


@pytest.mark.parametrize("output_mode", ["error", "overwrite"])
@pytest.mark.parametrize(
    "kind", ["TABLE {} (image_id STRING) USING parquet", "VIEW {} AS SELECT 'a' AS image_id"]
)
def test_an_output_table_that_is_no_delta_table_is_not_replaced(
    refused, spark, images, listed, name, kind, output_mode
):
    spark.sql(f"CREATE {kind.format(name)}")
    refused(OutputExistsError, 5, name, images, listed, output=name, output_mode=output_mode)
