"""What is written besides the rows that stay: all rows with marks, or the duplicates alone."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import SettingsError, UnsupportedError, VerificationError
from dedup_lib.executor import rewrite_file
from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.kept_rows import Keeper
from dedup_lib.methods import spark_engine
from dedup_lib.parquet import ParquetFormat
from tests.support.tables.made import (
    delta_table,
    image_rows,
    names_in,
    row_digests,
    write_list,
    write_parquet,
)

IDS = ["a", "b", None, "c", "d", "b", "e", "f", "g", "h"]
PAIRS = [("b", "a"), ("c", "b"), ("g", "x")]  # c leads to a through b; x is in no row
KEPT = {"b": "a", "c": "a", "g": None, "h": None}
WAYS = [
    {"engine": "arrow"},
    {"engine": "spark", "strategy": "broadcast-ids"},
    {"engine": "spark", "strategy": "row-positions"},
]
ADDED = ["is_duplicate", "kept_image_id"]


@pytest.fixture
def lists(tmp_path):
    """Pairs for b, c and g; and a plain list for h."""
    rows = {"id": [one for one, _ in PAIRS], "max_id": [other for _, other in PAIRS]}
    scores = {"cosine_sim_score": pa.array([0.9] * len(PAIRS), pa.float32())}
    write_parquet(pa.table(rows | scores), tmp_path / "pairs/cluster_0.parquet")
    return [tmp_path / "pairs", write_list(tmp_path / "plain/1.parquet", ["h"])]


@pytest.fixture
def images(tmp_path):
    """Three files in two partitions; the last loses nothing."""
    for name, ids in (("p=1/1", IDS[:5]), ("p=2/2", IDS[5:]), ("p=2/3", ["y", "z"])):
        write_parquet(image_rows(ids), tmp_path / f"images/{name}.parquet")
    return tmp_path / "images"


def marks(frame):
    """Each row's ID, whether it is a duplicate, and what is kept for it."""
    rows = frame.select("image_id", "is_duplicate", "kept_image_id").collect()
    return sorted((str(row[0]), row[1], row[2]) for row in rows)


EXPECTED_MARKS = sorted((str(one), one in KEPT, KEPT.get(one)) for one in [*IDS, "y", "z"])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_extract_writes_the_duplicates_alone(spark, remove, images, lists, tmp_path, way):
    report = remove(images, lists, tmp_path / "out", action="extract", eps=0.2, **way)
    before = spark.read.parquet(str(images))
    after = spark.read.schema(before.schema).parquet(str(tmp_path / "out"))
    assert row_digests(after) == row_digests(before.where(F.col("image_id").isin(*KEPT)))
    assert (report.counts["removed_rows"], report.counts["kept_rows"]) == (5, 7)
    assert (report.action, report.output["num_rows"]) == ("extract", 5)
    if report.engine == "arrow":
        assert names_in(tmp_path / "out/p=2") == ["2.parquet"]


@pytest.mark.parametrize("way", WAYS[:2], ids=lambda way: "-".join(way.values()))
def test_annotate_writes_every_row_with_its_mark(spark, remove, images, lists, tmp_path, way):
    report = remove(images, lists, tmp_path / "out", action="annotate", eps=0.2, **way)
    before = spark.read.parquet(str(images))
    after = spark.read.parquet(str(tmp_path / "out"))
    assert marks(after) == EXPECTED_MARKS
    assert row_digests(after.drop("is_duplicate", "kept_image_id")) == row_digests(before)
    assert (report.counts["kept_rows"], report.output["num_rows"]) == (7, 12)
    if report.engine == "arrow":
        assert names_in(tmp_path / "out/p=2") == ["2.parquet", "3.parquet"]


def test_annotate_and_extract_from_delta_to_delta(spark, remove, images, lists, tmp_path):
    table = delta_table(spark.read.parquet(str(images)), tmp_path / "delta")
    both = {"eps": 0.2, "output_format": "delta"}
    remove(table, lists, tmp_path / "marked", action="annotate", **both)
    assert marks(spark.read.format("delta").load(str(tmp_path / "marked"))) == EXPECTED_MARKS
    remove(table, lists, tmp_path / "gone", action="extract", **both)
    gone = spark.read.format("delta").load(str(tmp_path / "gone"))
    assert sorted(row.image_id for row in gone.collect()) == ["b", "b", "c", "g", "h"]


@pytest.mark.parametrize("way", WAYS[:2], ids=lambda way: "-".join(way.values()))
def test_where_nothing_is_a_duplicate_the_extract_is_an_empty_table(
    spark, remove, images, tmp_path, way
):
    nothing = write_list(tmp_path / "nothing/1.parquet", ["of another table"])
    given = {"action": "extract", "allow_no_matches": True, **way}
    assert remove(images, nothing, tmp_path / "out", **given).output["num_rows"] == 0
    empty = spark.read.parquet(str(tmp_path / "out"))
    assert (empty.count(), "image" in empty.columns) == (0, True)


def test_what_spark_and_pyarrow_know_of_an_annotated_file_is_what_is_in_it(
    spark, remove, lists, tmp_path
):
    """Spark goes by its own schema in the footer, pyarrow by its own: both get the columns."""
    table = image_rows(IDS).append_column("packed", pa.array(["x"] * 10).dictionary_encode())
    table = table.set_column(0, "image_id", table["image_id"].cast(pa.large_string()))
    schema = spark.createDataFrame([], "image_id string, image binary").schema
    of_spark = {"org.apache.spark.sql.parquet.row.metadata": schema.json(), "mine": "kept"}
    write_parquet(table.replace_schema_metadata(of_spark), tmp_path / "images/1.parquet")
    remove(tmp_path / "images", lists, tmp_path / "out", action="annotate", eps=0.2)
    after = pq.ParquetFile(tmp_path / "out/1.parquet")
    types = {field.name: str(field.type) for field in after.schema_arrow}
    assert types["kept_image_id"] == types["image_id"] == "large_string"
    assert types["packed"].startswith("dictionary<")
    assert not after.schema_arrow.field("is_duplicate").nullable
    key_values = after.metadata.metadata
    fields = json.loads(key_values[b"org.apache.spark.sql.parquet.row.metadata"])["fields"]
    assert [field["name"] for field in fields] == ["image_id", "image", *ADDED]
    assert key_values[b"mine"] == b"kept"
    assert marks(spark.read.parquet(str(tmp_path / "out"))) == EXPECTED_MARKS[:-2]


def test_integer_ids_keep_their_type_as_keepers(spark, remove, tmp_path):
    images = image_rows([1, 2, 3], id_type=pa.int32())
    write_parquet(images, tmp_path / "images/1.parquet")
    group = {"id": pa.array([3, 2], pa.int32()), "group": [7, 7]}
    write_parquet(pa.table(group), tmp_path / "groups/1.parquet")
    remove(tmp_path / "images", tmp_path / "groups", tmp_path / "out", action="annotate")
    frame = spark.read.parquet(str(tmp_path / "out"))
    assert frame.schema["kept_image_id"].dataType.simpleString() == "int"
    assert marks(frame) == [("1", False, None), ("2", False, None), ("3", True, 2)]


def test_a_table_that_has_such_a_column_already_is_refused(remove, images, lists, tmp_path):
    table = image_rows(IDS)
    table = table.append_column("Is_Duplicate", pa.array([True] * 10))
    write_parquet(table, tmp_path / "marked/1.parquet")
    with pytest.raises(UnsupportedError, match=r"has 'is_duplicate' already") as refused:
        remove(tmp_path / "marked", lists, tmp_path / "out", action="annotate", eps=0.2)
    assert refused.value.exit_code == 2
    remove(tmp_path / "marked", lists, tmp_path / "out", action="extract", eps=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "clone"}, "is for --method rewrite"),
        ({"method": "in-place"}, "is for --method rewrite"),
        ({"strategy": "row-positions"}, "can't write kept_image_id"),
    ],
)
def test_what_can_not_be_annotated_is_refused(remove, images, lists, tmp_path, settings, message):
    output = None if settings.get("method") == "in-place" else tmp_path / "out"
    with pytest.raises(SettingsError, match=message):
        remove(images, lists, output, action="annotate", eps=0.2, **settings)


def test_g10_marks_that_are_not_the_plans_are_not_published(
    spark, remove, images, lists, tmp_path, monkeypatch
):
    """The rows are all there, so that only the marks can tell."""
    marks = spark.range(5).select((F.col("id") > 0).alias("is_duplicate"))
    monkeypatch.setattr(ParquetFormat, "read_column", lambda *_: marks)
    with pytest.raises(VerificationError, match="the plan marks 5 rows, but 4 were"):
        remove(images, lists, tmp_path / "out", action="annotate", eps=0.2)
    assert not (tmp_path / "out").exists()


def test_a_retry_with_the_same_key_and_another_action_is_refused(remove, images, lists, tmp_path):
    given = {"eps": 0.2, "run_key": "monday"}
    remove(images, lists, tmp_path / "out", action="annotate", **given)
    assert remove(images, lists, tmp_path / "out", action="annotate", **given).repeated
    with pytest.raises(Exception, match="a key identifies one run"):
        remove(images, lists, tmp_path / "out", **given)


def test_a_file_is_annotated_row_group_by_row_group(tmp_path):
    """Positions go on from one row group, and from one bitmap, to the next."""
    from tests.support.tables.arrow_tasks import bitmap, task

    num_rows = 32_768 + 10
    ids = [f"id-{number}" for number in range(num_rows)]
    source = write_parquet(pa.table({"image_id": ids}), tmp_path / "1.parquet", row_group_size=9000)
    rows = [0, 8_999, 9_000, 32_767, 32_768, num_rows - 1]
    of_buckets = [
        part._replace(
            keepers=[
                Keeper(row % 32_768, f"kept-{row}")
                for row in rows[1:]
                if row // 32_768 == part.bucket
            ]
        )
        for part in bitmap(*rows)
    ]
    wanted = RowSelection("annotate", "image_id")
    done = rewrite_file.rewrite(task(tmp_path, source), of_buckets, {}, wanted)
    assert done.num_rows == num_rows
    after = pq.read_table(tmp_path / "out/1.parquet")
    assert pq.ParquetFile(tmp_path / "out/1.parquet").num_row_groups == 4
    assert [n for n, goes in enumerate(after["is_duplicate"].to_pylist()) if goes] == rows
    kept = {n: one for n, one in enumerate(after["kept_image_id"].to_pylist()) if one is not None}
    assert kept == {row: f"kept-{row}" for row in rows[1:]}


def test_an_annotated_file_keeps_its_order_and_one_without_rows_its_place(tmp_path):
    from tests.support.tables.arrow_tasks import bitmap, task

    wanted, order = RowSelection("annotate", "image_id"), [pq.SortingColumn(0)]
    table = pa.table({"image_id": ["a", "b"]})
    source = write_parquet(table, tmp_path / "1.parquet", sorting_columns=order)
    rewrite_file.rewrite(task(tmp_path, source), bitmap(1), {}, wanted)
    after = pq.ParquetFile(tmp_path / "out/1.parquet")
    assert list(after.metadata.row_group(0).sorting_columns) == order
    source = write_parquet(table.slice(0, 0), tmp_path / "2.parquet")
    assert rewrite_file.rewrite(task(tmp_path, source), None, {}, wanted).num_rows == 0
    assert pq.read_table(tmp_path / "out/2.parquet").column_names == ["image_id", *ADDED]


@pytest.mark.parametrize("output_format", ["parquet", "delta"])
@pytest.mark.parametrize("action", ["remove", "extract", "annotate"])
def test_g10_other_ids_than_the_plans_are_not_published(
    remove, tmp_path, monkeypatch, action, output_format
):
    """As many rows as planned, so that only their IDs can tell."""
    write_parquet(image_rows(["a", "b", "c", None]), tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list.parquet", ["b"])
    write = spark_engine.apply

    def apply_wrongly(images, planned, strategy, action):
        wrong = F.when(F.col("image_id") == "a", "c").otherwise(F.col("image_id"))
        if action == "extract":
            wrong = F.lit("a")
        return write(images, planned, strategy, action).withColumn("image_id", wrong)

    monkeypatch.setattr(spark_engine, "apply", apply_wrongly)
    settings = {"engine": "spark", "action": action, "output_format": output_format}
    with pytest.raises(VerificationError, match="other IDs than the plan's were written"):
        remove(tmp_path / "images", listed, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(spark_engine, "apply", write)
    remove(tmp_path / "images", listed, tmp_path / "out", **settings)
