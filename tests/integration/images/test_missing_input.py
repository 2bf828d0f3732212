"""Tables, lists and columns that are not there, or not what they were taken for."""

import logging

import pyarrow as pa
import pytest

from dedup_lib.errors import (
    AmbiguousListError,
    InputError,
    MissingColumnError,
    NoImageRowsError,
    SettingsError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
)
from tests.support.tables.made import image_rows, write_list, write_parquet


def test_a_missing_image_table_is_named(refused, listed, tmp_path):
    refused(TableNotFoundError, 3, "image table .*/nope' does not exist", tmp_path / "nope", listed)


def test_a_missing_list_is_named(refused, images, listed, tmp_path):
    lists = [listed, tmp_path / "nope"]
    refused(TableNotFoundError, 3, "removal list .*/nope' does not exist", images, lists)


@pytest.mark.classic("a pattern is refused as such")
def test_a_pattern_is_not_expanded_and_the_message_says_so(refused, images, listed):
    message = r"\*\.parquet' does not exist \(patterns such as \* are not expanded"
    refused(TableNotFoundError, 3, message, images / "*.parquet", listed)
    refused(TableNotFoundError, 3, message, images, listed / "*.parquet")


def test_a_missing_image_id_column_is_named_with_the_nearest_that_may_hold_ids(
    refused, images, listed
):
    """A column of images is nearer by name."""
    message = "has no column 'Images'"
    text = refused(MissingColumnError, 3, message, images, listed, image_id_column="Images")
    assert "columns: 'image_id', 'image', 'width', 'caption', 'tags'" in text
    assert "Did you mean 'image_id'? Use --image-id-column." in text


def test_in_place_of_a_missing_list_column_one_with_image_ids_is_suggested(
    refused, remove, images, tmp_path, spark
):
    """Not one with a similar name and another type; and of pairs not one alone."""

    def message_for(columns, **settings):
        listed = write_parquet(pa.table(columns), tmp_path / "list/1.parquet").parent
        return refused(MissingColumnError, 3, "has no column", images, listed, **settings)

    named = {"width": ["b"], "unique_id": ["b"], "idx": [1], "phash": ["f0"], "label": ["a"]}
    advice = "Did you mean 'unique_id'? It holds image IDs: --duplicate-id-column unique_id."
    assert message_for(named).endswith(f"'phash', 'label'). {advice}")
    listed = tmp_path / "list"
    report = remove(images, listed, None, dry_run=True, duplicate_id_column="unique_id")
    assert report.counts["removed_rows"] == 1

    found = spark.createDataFrame([(None, 1.5), ("c", 0.5)], "uid string, id_score double")
    found.write.format("delta").save(str(tmp_path / "delta"))
    message = "Did you mean 'uid'[?] It holds image IDs: --duplicate-id-column uid"
    refused(MissingColumnError, 3, message, images, tmp_path / "delta")

    text = message_for({"id1": ["a", "b"], "id2": ["b", "x"], "distance": [0.5, 0.5]})
    assert "Columns 'id1', 'id2' hold image IDs, so the list may hold pairs of duplicates" in text
    assert "--keeper-column, if its images stay, or with --partner-column" in text
    assert "Did you mean" not in text

    keepers = {"id": ["b"], "kept": ["a"], "keepr_": [2]}
    assert message_for(keepers, keeper_column="keepr").endswith("IDs: --keeper-column kept.")
    scored = keepers | {"scor": ["x"], "sc": [0.5]}
    text = message_for(scored, keeper_column="kept", score_column="score", eps=0.1)
    assert text.endswith("Did you mean 'sc'? Use --score-column.")


def test_without_an_image_id_in_a_list_only_a_column_of_the_ids_type_is_suggested(
    refused, images, tmp_path
):
    for name, columns, advice in (
        ("one", {"idx": [1], "ids": ["x"]}, " Did you mean 'ids'? Use --duplicate-id-column."),
        ("other", {"idx": [1], "label": ["a"]}, "'label'). Use --duplicate-id-column."),
        ("pairs", {"id1": ["x"], "id2": ["y"]}, "'id2'). Use --duplicate-id-column."),
    ):
        listed = write_parquet(pa.table(columns), tmp_path / f"{name}/1.parquet").parent
        text = refused(MissingColumnError, 3, "has no column 'id'", images, listed)
        assert text.endswith(advice)


def test_a_list_file_without_the_id_column_is_named(refused, images, listed):
    write_list(listed / "2.parquet", ["a"], column="key")
    message = r"its files have their IDs in other columns: .*1\.parquet' has id; .*parquet' has key"
    refused(AmbiguousListError, 3, message, images, listed)
    write_parquet(pa.table({"key": ["a"], "why": ["x"]}), listed / "2.parquet")
    message = r"file '.*/list/2\.parquet' has no column 'id' \(columns: 'key', 'why'\)"
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


@pytest.mark.parametrize("stray", [None, "notes.md", "_SUCCESS"])
def test_a_list_directory_without_parquet_is_an_error(refused, images, tmp_path, stray):
    (tmp_path / "list").mkdir()
    if stray is not None:
        (tmp_path / "list" / stray).write_text("id\nb\n")
    refused(TableNotFoundError, 3, "/list' holds neither a Parquet file", images, tmp_path / "list")


def test_a_list_that_is_a_file_of_another_kind_is_an_error(refused, images, tmp_path):
    (tmp_path / "list.pkl").write_text("b\n")
    refused(
        UnreadableFileError,
        3,
        r"list\.pkl' is neither a Parquet file",
        images,
        tmp_path / "list.pkl",
    )


def test_a_list_directory_of_directories_alone_is_an_error(refused, images, tmp_path):
    write_list(tmp_path / "list/duplicates/1.parquet", ["b"])
    write_list(tmp_path / "list/pairwise_results/1.parquet", ["a"])
    message = (
        r"holds only directories \(duplicates, pairwise_results\): give the directory of the list"
    )
    refused(TableFormatError, 3, message, images, tmp_path / "list")


# Formats and names


def test_g15_a_delta_table_read_as_parquet_is_refused(refused, delta_images, listed):
    message = "is a Delta table: .*Use --images-format delta"
    refused(TableFormatError, 3, message, delta_images, listed, images_format="parquet")


@pytest.mark.parametrize("images_format", ["auto", "parquet"])
def test_g15_a_part_of_a_delta_table_read_as_parquet_is_refused(
    refused, delta_images, listed, images_format
):
    """Its log is what tells deleted rows from the others."""
    partition = delta_images / "part=2"
    refused(TableFormatError, 3, "Delta", partition, listed, images_format=images_format)


def test_a_parquet_directory_read_as_delta_is_refused(refused, images, listed):
    message = "is not a Delta table: it has no _delta_log"
    refused(TableFormatError, 3, message, images, listed, images_format="delta")


@pytest.mark.parametrize("missing", ["t_nope", "no_schema.t_nope", "`t nope`"])
def test_a_table_name_that_is_none_is_named(refused, images, listed, missing):
    refused(TableNotFoundError, 3, f"no table '{missing}' in the catalog", missing, listed)
    refused(TableNotFoundError, 3, f"no table '{missing}' in the catalog", images, missing)


def test_a_malformed_table_name_is_a_usage_error(refused, images, listed):
    message = "is not a path .*, and not a table name"
    refused(SettingsError, 2, message, "a b", listed)
    refused(SettingsError, 2, message, images, "a..b")
    words = "has one to three parts; and the session has no Iceberg catalog 'a'"
    refused(SettingsError, 2, words, images, listed, output="a.b.c.d")


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


def test_a_csv_table_of_the_catalog_is_to_be_written_anew(refused, spark, images, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id STRING) USING csv")
    message = f"table '{name}' is csv, not Delta: read it with Spark, write it as Parquet"
    refused(TableFormatError, 3, message, name, listed)
    refused(TableFormatError, 3, message, images, name)


# Files in a list directory


def test_a_text_file_in_the_list_directory_is_passed_over_aloud(
    spark, remove, images, listed, tmp_path, caplog
):
    (listed / "summary.txt").write_text("1 duplicate")
    (listed / "empty.json").touch()
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        report = remove(images, listed, None, dry_run=True)
    assert report.counts["removed_rows"] == 1
    warnings = [record.getMessage() for record in caplog.records]
    for stray in ("summary.txt", "empty.json"):
        assert any(stray in text and "neither a Parquet file" in text for text in warnings)


@pytest.mark.parametrize("place", ["_x.parquet", ".x.parquet", "_temporary/0/x.parquet"])
def test_hidden_parquet_in_the_list_directory_is_not_skipped_in_silence(
    remove, images, listed, caplog, place
):
    write_list(listed / place, ["a"])
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        try:
            remove(images, listed, None, dry_run=True)
            told = caplog.text
        except InputError as error:
            told = str(error)
    assert "x.parquet" in told or "_temporary" in told
