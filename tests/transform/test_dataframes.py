"""Dropping rows: by IDs, by positions, and the lazy API."""

import re

import chispa
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

import dedup_lib
from dedup_lib.errors import ColumnTypeError, MissingColumnError
from dedup_lib.methods.spark_engine import keep_by_ids, keep_by_positions
from dedup_lib.parquet import ParquetFormat
from dedup_lib.plan.position_bitmaps import ROWS_PER_BITMAP, position_bitmaps
from tests.support.spark.plans import optimized_plan, physical_plan

pytestmark = pytest.mark.usefixtures("as_shipped")

IMAGES = "image_id string, image binary, width int"
ROWS = [("a", b"1", 1), ("b", b"2", 2), (None, b"3", 3), ("b", b"4", 4), ("c", b"5", 5)]
KEPT = [("a", b"1", 1), (None, b"3", 3), ("c", b"5", 5)]


def test_g1_rows_that_share_an_id_go_together_and_null_stays(spark):
    images = spark.createDataFrame(ROWS, IMAGES)
    removed = spark.createDataFrame([("b",), ("x",)], "some_id string")
    kept = keep_by_ids(images, "image_id", removed)
    chispa.assert_df_equality(kept, spark.createDataFrame(KEPT, IMAGES), ignore_row_order=True)


@pytest.mark.parametrize("kind", ["string", "bigint", "smallint", "decimal(20,0)", "binary"])
def test_g1_the_join_is_a_plain_left_anti_join_that_casts_no_id(spark, tmp_path, kind):
    """The word after the side is whether it is aware of NULLs, as NOT IN is."""
    spark.sql(f"SELECT CAST('1' AS {kind}) AS image_id").write.parquet(f"{tmp_path}/images")
    spark.sql(f"SELECT CAST('2' AS {kind}) AS id").write.parquet(f"{tmp_path}/list")
    images, listed = (spark.read.parquet(f"{tmp_path}/{name}") for name in ("images", "list"))
    for kept in (
        keep_by_ids(images, "image_id", listed),
        dedup_lib.remove_duplicates(images, listed),
    ):
        assert re.search(r"LeftAnti, Build\w+, false", physical_plan(kept))
        assert "LeftAnti" in optimized_plan(kept)
        assert "cast(" not in optimized_plan(kept)


def test_the_lazy_function_works_in_transform(spark):
    images = spark.createDataFrame(ROWS, IMAGES)
    listed = spark.createDataFrame([("b",), (None,), ("b",), ("x",)], "dup string")
    kept = images.transform(dedup_lib.remove_duplicates, listed, duplicate_id_column="dup")
    chispa.assert_df_equality(kept, spark.createDataFrame(KEPT, IMAGES), ignore_row_order=True)


def test_the_lazy_function_takes_odd_column_names(spark):
    images = spark.createDataFrame([(1, "x"), (2, "y")], "`the.id` bigint, `a b` string")
    listed = spark.createDataFrame([(2,)], "`x.y` bigint")
    kept = dedup_lib.remove_duplicates(
        images, listed, image_id_column="the.id", duplicate_id_column="x.y"
    )
    expected = spark.createDataFrame([(1, "x")], "`the.id` bigint, `a b` string")
    chispa.assert_df_equality(kept, expected)


@pytest.mark.parametrize(
    ("image_type", "list_type"),
    [
        ("string", "bigint"),
        ("bigint", "string"),
        ("bigint", "int"),
        ("int", "bigint"),
        ("bigint", "double"),
        ("bigint", "decimal(20,0)"),
        ("double", "double"),
        ("binary", "string"),
        ("decimal(20,0)", "decimal(18,0)"),
        ("decimal(20,2)", "decimal(20,2)"),
        ("date", "date"),
        ("string collate UNICODE_CI", "string"),
    ],
)
def test_g2_types_that_differ_or_are_none_for_ids_are_refused(spark, image_type, list_type):
    images = spark.sql(f"SELECT CAST(NULL AS {image_type}) AS image_id")
    listed = spark.sql(f"SELECT CAST(NULL AS {list_type}) AS id")
    with pytest.raises(ColumnTypeError):
        dedup_lib.remove_duplicates(images, listed)


@pytest.mark.parametrize("ids", [["01", "1", " 1 "], [2**53, 2**53 + 1], [1, -1]])
def test_g2_only_the_very_same_id_matches(spark, ids):
    kind = "string" if isinstance(ids[0], str) else "bigint"
    images = spark.createDataFrame([(one,) for one in ids], f"image_id {kind}")
    listed = spark.createDataFrame([(ids[1],)], f"id {kind}")
    kept = dedup_lib.remove_duplicates(images, listed)
    assert {row[0] for row in kept.collect()} == set(ids) - {ids[1]}


def test_a_missing_column_is_named_with_its_nearest(spark):
    images = spark.createDataFrame(ROWS, IMAGES)
    with pytest.raises(MissingColumnError, match=r"Did you mean 'image_id'\?"):
        dedup_lib.remove_duplicates(images, images, image_id_column="imageid")


def plan_of(spark, path, listed):
    return dedup_lib.plan_removal(
        spark.read.parquet(str(path)), spark.createDataFrame([(i,) for i in listed], "id bigint")
    )


def test_a_plan_names_file_position_and_reason(spark, tmp_path):
    pq.write_table(pa.table({"image_id": [5, 6, 7]}), tmp_path / "a b%.parquet")
    (row,) = plan_of(spark, tmp_path, [6, 9]).collect()
    assert (row.image_id, row.row_index, row.surviving_keeper_id) == (6, 1, None)
    assert row.file_path.endswith("a%20b%25.parquet")
    assert [reason.asDict() for reason in row.reasons] == [
        {"list_location": None, "list_kind": "remove", "keeper_id": None, "score": None}
    ]


@pytest.mark.parametrize("vectorized", ["true", "false"])
def test_g1_positions_hold_over_bucket_borders_row_groups_and_splits(spark, tmp_path, vectorized):
    """Rows on both sides of each 32,768-row border, in files split into many tasks."""
    num_rows = 2 * ROWS_PER_BITMAP + 5
    for name in ("x%2Fy.parquet", "é=1.parquet"):
        ids = pa.array(range(num_rows), pa.int64())
        table = pa.table({"image_id": ids, "_metadata": ids, "__dedup_row_index": ids})
        pq.write_table(table, tmp_path / name, row_group_size=7_001)
    going = [0, 7, 8, ROWS_PER_BITMAP - 1, ROWS_PER_BITMAP, 2 * ROWS_PER_BITMAP, num_rows - 1]
    confs = {
        "spark.sql.files.maxPartitionBytes": "65536",
        "spark.sql.parquet.enableVectorizedReader": vectorized,
    }
    try:
        for key, value in confs.items():
            spark.conf.set(key, value)
        images = spark.read.parquet(str(tmp_path))
        bitmaps = position_bitmaps(plan_of(spark, tmp_path, going), "file_path")
        kept = keep_by_positions(images, bitmaps, ParquetFormat().row_places(images))
        assert images.select(F.spark_partition_id()).distinct().count() > 2
        assert kept.columns == images.columns
        counts = kept.groupBy("image_id").count()
        missing = spark.range(num_rows).join(counts, F.col("id") == F.col("image_id"), "left_anti")
        assert sorted(row.id for row in missing.collect()) == going
        assert counts.where("count != 2").isEmpty()
    finally:
        for key in confs:
            spark.conf.unset(key)


def test_bitmaps_end_with_their_last_set_byte(spark, tmp_path):
    pq.write_table(pa.table({"image_id": list(range(40_000))}), tmp_path / "a.parquet")
    bitmaps = position_bitmaps(plan_of(spark, tmp_path, [0, 9, ROWS_PER_BITMAP + 16]), "file_path")
    found = {row.bucket: bytes(row.bitmap) for row in bitmaps.collect()}
    assert found == {0: b"\x01\x02", 1: b"\x00\x00\x01"}
