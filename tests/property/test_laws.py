"""What holds for every table and list, by comparison with a Python set."""

import shutil
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup_lib import remove_duplicates
from dedup_lib.executor.file_task import RowSelection
from dedup_lib.files import rewrite
from dedup_lib.lists.removal_list import read_removal_list
from dedup_lib.methods.spark_engine import apply
from dedup_lib.plan import id_scan, removal_plan
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.settings import DuplicateIds
from tests.support.tables.made import delta_table, write_list, write_parquet
from tests.support.tables.pinned import pinned_images

SLOW = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
STRATEGIES = ("broadcast-ids", "row-positions")
STRINGS = ["", "a", "A", "a ", " a", "01", "1", "é", "e\u0301", "\0", "x" * 300]
NUMBERS = [0, -1, 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]
strings, numbers = st.sampled_from(STRINGS), st.sampled_from(NUMBERS)


@st.composite
def cases(draw):
    """Files of (possibly repeated, possibly NULL) IDs, and lists of such."""
    kind, ids = draw(st.sampled_from([(pa.string(), strings), (pa.int64(), numbers)]))
    maybe = st.none() | ids
    files = draw(st.lists(st.lists(maybe, max_size=12), min_size=1, max_size=3))
    lists = draw(st.lists(st.lists(maybe, max_size=8), min_size=1, max_size=3))
    return kind, files, lists


def write_case(case, folder):
    kind, files, lists = case
    shutil.rmtree(folder, ignore_errors=True)
    for number, ids in enumerate(files):
        payload = pa.array([f"{number}:{row}".encode() for row in range(len(ids))], pa.binary())
        table = pa.table({"image_id": pa.array(ids, kind), "image": payload})
        write_parquet(table, folder / f"images/{number}.parquet", row_group_size=3)
    for number, ids in enumerate(lists):
        write_list(folder / f"lists/{number}.parquet", ids, id_type=kind)
    rows = Counter(
        (image_id, f"{number}:{row}".encode())
        for number, ids in enumerate(files)
        for row, image_id in enumerate(ids)
    )
    listed = {image_id for ids in lists for image_id in ids if image_id is not None}
    kept = Counter({row: n for row, n in rows.items() if row[0] not in listed})
    return rows, kept


def multiset(frame):
    return Counter((row["image_id"], bytes(row["image"])) for row in frame.collect())


@SLOW
@given(case=cases())
def test_g1_every_engine_strategy_and_join_keeps_what_the_set_model_keeps(spark, tmp_path, case):
    rows, kept = write_case(case, tmp_path / "case")
    images = pinned_images(spark, tmp_path / "case/images")
    lists = [
        read_removal_list(
            Session(spark, open_storage(spark)),
            DuplicateIds(f"{tmp_path}/case/lists/{number}.parquet"),
            image_id_type=images.id_type,
        )
        for number in range(len(case[2]))
    ]
    small, large = id_scan.IdSizes(1, 0, 1), id_scan.IdSizes(10**9, 0, 10**11)
    for image_ids, list_ids in ((large, small), (small, large), (large, large)):
        planned = removal_plan.find_rows(
            images, lists, image_ids=image_ids, list_ids=list_ids
        ).localCheckpoint()
        removed = planned.select("image_id", "file_path", "row_index")
        assert planned.count() == removed.distinct().count() == (rows - kept).total()
    for strategy in STRATEGIES:
        assert multiset(apply(images, planned, strategy)) == kept
    rewrite.rewrite(
        spark,
        images,
        id_scan.count_files(images),
        planned,
        staged=f"file:{tmp_path}/case/out",
        partial=f"file:{tmp_path}/case/partial",
        options={},
        selection=RowSelection("remove", images.id_column),
        keeps_empty=not kept,
        materialise=lambda frame: frame.localCheckpoint(),
    )
    written = spark.read.schema(images.frame.schema).parquet(f"{tmp_path}/case/out")
    assert multiset(written) == kept


@SLOW
@given(case=cases())
def test_g1_the_lazy_function_keeps_what_the_set_model_keeps_and_does_no_more_twice(
    spark, tmp_path, case
):
    _, kept = write_case(case, tmp_path / "case")
    images = spark.read.parquet(f"{tmp_path}/case/images")
    listed = spark.read.parquet(f"{tmp_path}/case/lists")
    once = remove_duplicates(images, listed).localCheckpoint()
    assert multiset(once) == kept
    assert multiset(remove_duplicates(once, listed)) == kept


def test_g1_every_method_on_delta_keeps_what_the_set_model_keeps(spark, remove, tmp_path):
    """Every ID in every file, some of them twice, and every other one listed."""
    files = [[*STRINGS, None, *STRINGS[:number], None] for number in range(3)]
    case = (pa.string(), files, [[*STRINGS[::2], None, STRINGS[0]]])
    _, kept = write_case(case, tmp_path)
    images = delta_table(
        spark.read.parquet(f"{tmp_path}/images"), tmp_path / "delta", enableDeletionVectors="true"
    )
    given = {"output_format": "delta", "max_removed_fraction": 1.0}
    remove(images, tmp_path / "lists", tmp_path / "rewrite", method="rewrite", **given)
    remove(images, tmp_path / "lists", tmp_path / "clone", method="clone", **given)
    del given["output_format"]
    remove(images, tmp_path / "lists", None, method="in-place", **given)
    for table in ("rewrite", "clone", "delta"):
        assert multiset(spark.read.format("delta").load(f"{tmp_path}/{table}")) == kept


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g1_a_run_on_its_own_output_removes_nothing(spark, remove, tmp_path, strategy):
    ids = ["a", "b", None, "b", "c"]
    write_case((pa.string(), [ids, ids], [["b", "x", None]]), tmp_path)
    first = remove(tmp_path / "images", tmp_path / "lists", tmp_path / "1", strategy=strategy)
    again = remove(
        tmp_path / "1",
        tmp_path / "lists",
        tmp_path / "2",
        strategy=strategy,
        allow_no_matches=True,
    )
    assert first.counts["removed_rows"] == 4
    assert again.counts["removed_rows"] == 0
    outputs = [multiset(spark.read.parquet(f"{tmp_path}/{name}")) for name in (1, 2)]
    assert outputs[0] == outputs[1]
