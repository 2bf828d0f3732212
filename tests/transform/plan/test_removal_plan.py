"""The plan: which side is broadcast, what is read, and that every way finds the same rows."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import StringType

from dedup_lib.errors import UnsupportedError
from dedup_lib.lists.removal_list import read_removal_list
from dedup_lib.methods.spark_engine import apply, choose_strategy
from dedup_lib.plan import id_join, id_scan, list_sizes, removal_plan
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.session.conf import session_settings
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.settings import DuplicateIds
from tests.support.spark.plans import physical_plan
from tests.support.tables.made import image_rows, write_list, write_parquet
from tests.support.tables.pinned import pinned_images

pytestmark = pytest.mark.usefixtures("as_shipped")

SMALL, LARGE = IdSizes(10, 0, 100), IdSizes(10**9, 0, 10**11)


@pytest.fixture
def inputs(spark, tmp_path):
    images = image_rows(["a", "b", None, "b", "c", "d"])
    write_parquet(images, tmp_path / "images/1.parquet")
    write_parquet(images.slice(0, 2), tmp_path / "images/2.parquet")
    write_list(tmp_path / "one.parquet", ["b", None, "b", "x"])
    write_list(tmp_path / "two.parquet", ["b", "d"])
    table = pinned_images(spark, tmp_path / "images")
    lists = [
        read_list(spark, tmp_path / f"{name}.parquet", table.id_type) for name in ("one", "two")
    ]
    return table, lists


def read_list(spark, path, id_type):
    return read_removal_list(
        Session(spark, open_storage(spark)),
        DuplicateIds(str(path)),
        image_id_type=id_type,
    )


def planned_rows(table, lists, **sizes):
    found = removal_plan.find_rows(table, lists, **sizes)
    return removal_plan.finish_plan(found, lists, table.id_type)


def test_a_list_too_long_for_a_broadcast_is_read_for_its_nulls_and_not_weighed(
    spark, tmp_path, monkeypatch
):
    """All of it: no statistic says where the NULLs are."""
    monkeypatch.setattr(id_join, "BROADCAST_LIMIT_BYTES", 48)
    ids = pa.table({"id": ["not NULL", "nor this", "b", None]})
    path = write_parquet(ids, tmp_path / "list.parquet", row_group_size=2, use_dictionary=False)
    lists = [read_list(spark, path, StringType())]
    sizes, distinct = list_sizes.count_entries(lists, "matched")
    assert (sizes, distinct) == (IdSizes(4, 1, 0), None)
    content = path.read_bytes()
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    path.write_bytes(content[:start] + b"\xff" * 8 + content[start + 8 :])
    with pytest.raises(Exception, match="FAILED_READ_FILE"):
        list_sizes.count_entries([read_list(spark, path, StringType())], "matched")


@pytest.mark.parametrize(
    ("image_ids", "list_ids", "join"),
    [
        (LARGE, SMALL, "BroadcastHashJoin"),
        (SMALL, LARGE, "BroadcastHashJoin [hash"),
        (LARGE, LARGE, "ShuffledHashJoin"),
    ],
)
def test_g1_every_way_to_join_finds_the_same_rows_and_reads_ids_only(
    inputs, image_ids, list_ids, join
):
    table, lists = inputs
    planned = planned_rows(table, lists, image_ids=image_ids, list_ids=list_ids)
    rows = [
        (row.image_id, row.row_index, [reason.list_location[-11:] for reason in row.reasons])
        for row in planned.collect()
    ]
    both = ["one.parquet", "two.parquet"]
    assert sorted(rows) == [
        ("b", 1, both),
        ("b", 1, both),
        ("b", 3, both),
        ("d", 5, ["two.parquet"]),
    ]
    physical = physical_plan(planned)
    assert join in physical
    read = {line.split("ReadSchema: ")[1] for line in physical.splitlines() if "ReadS" in line}
    position = ",_tmp_metadata_row_index:bigint"
    image_schemas = {"struct<image_id:string>", f"struct<image_id:string{position}>"}
    assert read <= {"struct<id:string>", *image_schemas}


def test_the_schema_of_a_plan_is_the_stated_one(inputs):
    table, lists = inputs
    planned = planned_rows(table, lists, image_ids=SMALL, list_ids=SMALL)
    stated = removal_plan.plan_schema(table.frame.schema["image_id"].dataType)
    assert [(f.name, f.dataType.simpleString()) for f in planned.schema] == [
        (f.name, f.dataType.simpleString()) for f in stated
    ]


def test_counts_of_a_plan(inputs):
    table, lists = inputs
    planned = planned_rows(table, lists, image_ids=SMALL, list_ids=SMALL)
    counts = removal_plan.count_plan(planned)
    assert (counts.removed_rows, counts.matched_ids, counts.matched_id_bytes) == (4, 2, 2)
    assert removal_plan.count_plan(planned.repartition(3)).digest == counts.digest
    assert removal_plan.count_plan(planned.limit(3)).digest != counts.digest


def test_the_more_ids_the_more_partitions(spark, monkeypatch):
    """Or the longer they are; more than the session has only if both sides are shuffled."""
    monkeypatch.setattr(id_join, "cores", lambda _: 50)

    def settings(*sizes, join="shuffle both", **others):
        return id_join.shuffle_settings(spark, join, *sizes, **others)

    few, many, long = IdSizes(10, 0, 100), IdSizes(10**9, 0, 10**10), IdSizes(10**7, 0, 2**36)
    assert settings(few, few) == {}
    for sizes in ((few, many), (many, few)):
        assert settings(*sizes) == {"spark.sql.shuffle.partitions": "2001"}
        assert settings(*sizes, join="broadcast list") == {}
    assert settings(few, long) == {"spark.sql.shuffle.partitions": "2049"}
    with session_settings(spark, {"spark.sql.shuffle.partitions": "3000"}):
        for join in ("shuffle both", "broadcast list"):
            assert settings(few, many, join=join) == {"spark.sql.shuffle.partitions": "2001"}
            assert settings(few, few, join=join) == {"spark.sql.shuffle.partitions": "200"}
        assert settings(few, few, only_more=True) == {}
        assert settings(few, IdSizes(10**7, 0, id_bytes=0)) == {}  # they may be long


def test_positions_are_shuffled_by_file_and_not_as_bitmaps(inputs):
    table, lists = inputs
    planned = planned_rows(table, lists, image_ids=SMALL, list_ids=SMALL)
    plan = physical_plan(apply(table, planned, "row-positions"))
    of_bitmaps = plan[plan.index("bitmap_construct_agg") :]
    assert of_bitmaps.index("partial_bitmap") < of_bitmaps.index("hashpartitioning(file_path")
    assert "hashpartitioning(file_path" not in of_bitmaps[: of_bitmaps.index("partial_bitmap")]


def test_auto_takes_ids_while_they_are_small_and_positions_past_that():
    limit = id_join.BROADCAST_LIMIT_BYTES
    row = id_scan.BROADCAST_ROW_OVERHEAD_BYTES + 16
    at_limit, above = limit // row, limit // row + 1
    for ids, strategy in ((at_limit, "broadcast-ids"), (above, "row-positions")):
        counts = PlanCounts(ids, ids, 16 * ids, digest="")
        assert choose_strategy("auto", counts, has_row_index=True) == strategy


def test_without_row_indexes_ids_are_broadcast_or_it_is_said_why_not():
    some = PlanCounts(0, 3_000_000, 16 * 3_000_000, digest="")
    many = PlanCounts(0, 10**9, 10**10, digest="")
    assert choose_strategy("auto", some, has_row_index=False) == "broadcast-ids"
    with pytest.raises(UnsupportedError, match="enableDeletionVectors"):
        choose_strategy("auto", many, has_row_index=False)
    with pytest.raises(UnsupportedError, match="enableDeletionVectors"):
        choose_strategy("row-positions", some, has_row_index=False)


def test_id_bytes_are_counted_as_stored(spark, tmp_path):
    write_parquet(pa.table({"image_id": ["é", "ab", None]}), tmp_path / "images/1.parquet")
    table = pinned_images(spark, tmp_path / "images")
    (file,) = id_scan.count_files(table)
    assert (file.num_rows, file.num_nulls, file.id_bytes) == (3, 1, 4)
