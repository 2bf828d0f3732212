"""IDs of two types, or of one that IDs may not have: nothing is cast in silence."""

import datetime as dt
import decimal

import pyarrow as pa
import pytest

from dedup_lib.errors import ColumnTypeError
from tests.support.tables.made import image_rows, write_list, write_parquet

pytestmark = pytest.mark.usefixtures("as_shipped")


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
def test_g2_list_ids_of_another_type_are_refused(
    refused, tmp_path, image_ids, image_type, list_ids, list_type, message
):
    rows = image_rows(image_ids, id_type=image_type)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", list_ids, id_type=list_type).parent
    text = refused(ColumnTypeError, 3, message, images, listed)
    assert "Nothing is cast in silence" in text
    assert "--duplicate-id-column" in text


def test_g2_list_files_of_two_types_are_refused(refused, images, listed):
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
def test_g2_image_ids_of_a_type_that_ids_may_not_have_are_refused(
    refused, tmp_path, value, kind, message
):
    rows = image_rows([value], id_type=kind)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", [value], id_type=kind).parent
    text = refused(ColumnTypeError, 3, f"column 'image_id' {message}", images, listed)
    assert "must be string, bigint or int" in text
    assert "Cast it where the table is made" in text


@pytest.mark.parametrize("collated", ["images", "list"])
def test_g2_collated_ids_are_refused(spark, refused, images, listed, tmp_path, collated):
    column = "image_id" if collated == "images" else "id"
    frame = spark.sql(f"SELECT 'B' COLLATE UNICODE_CI AS {column}, binary('x') AS image")
    frame = frame if collated == "images" else frame.drop("image")
    frame.write.parquet(str(tmp_path / "collated"))
    places = {"images": images, "list": listed, collated: tmp_path / "collated"}
    refused(ColumnTypeError, 3, "(?i)collate unicode_ci", places["images"], places["list"])


def test_g2_padded_char_ids_are_refused(spark, refused, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id CHAR(5), image BINARY) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES ('b', binary('x'))")
    refused(ColumnTypeError, 3, r"column 'image_id' is char\(5\)", name, listed)
