"""Removal lists as producers write them, and how they are counted."""

import json
import logging
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    ColumnTypeError,
    EmptyListError,
    MissingColumnError,
    TableFormatError,
    TableNotFoundError,
)
from dedup_lib.plan import id_join, list_sizes, removal_plan
from dedup_lib.session.conf import session_settings
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet
from tests.support.tables.pandas_files import VERSIONS, write_by_pandas

# Many small queries each.
IDS = ["a", "b", None, "c", "d", "b", "e", "f", "g", "h", "i", "j"]


@pytest.fixture
def images(tmp_path):
    """An image table of two files: b is there twice, and one ID is missing."""
    write_parquet(image_rows(IDS[:4]), tmp_path / "images/1.parquet")
    return write_parquet(image_rows(IDS[4:]), tmp_path / "images/2.parquet").parent


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: the report, and each removed ID with the lists that name it, in order."""

    def planned(images, *lists, **settings):
        plan = tmp_path / f"plan-{uuid.uuid4().hex}"
        report = run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=tuple(
                    item if isinstance(item, DuplicateIds) else DuplicateIds(str(item))
                    for item in lists
                ),
                removed_output=str(plan),
                dry_run=True,
                **settings,
            ),
        )
        rows = pq.read_table(plan).to_pylist()
        return report, sorted(
            (row["image_id"], [reason["list_location"] for reason in row["reasons"]])
            for row in rows
        )

    return planned


@pytest.fixture
def logged(caplog):
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        yield caplog


@pytest.fixture
def name(spark):
    """A free name for a table in the catalog."""
    free = f"t_{uuid.uuid4().hex}"
    yield free
    spark.sql(f"DROP TABLE IF EXISTS {free}")


def write_null_typed_list(path, num_rows):
    """Write a list as pandas does where it knows no type: Parquet INT32 with logical type Null."""
    write_parquet(pa.table({"id": pa.nulls(num_rows)}), path)
    field = pq.ParquetFile(path).schema.column(0)
    assert (field.physical_type, str(field.logical_type)) == ("INT32", "Null")
    return path


# What a list may be


def test_a_list_may_be_a_file_a_directory_partitions_or_a_delta_table(
    spark, planned, images, tmp_path, name
):
    """All in one run; the plan tells which list named which row."""
    one_file = write_list(tmp_path / "one file.parquet", ["a"])
    no_suffix = write_list(tmp_path / "part-00000", ["b"])
    directory = tmp_path / "lists/several"
    write_list(directory / "1.parquet", ["c"])
    write_list(directory / "2.PARQUET", ["d"])
    write_list(directory / "3.parq", ["e"])
    write_list(directory / "part-4", ["f"])
    partitions = tmp_path / "lists/dt=x"
    write_list(partitions / "dt=2026-01-01/h=1/1.parquet", ["g"])
    write_list(partitions / "dt=2026-01-02/h=%20/1.parquet", ["b"])
    written_by_spark = tmp_path / "lists/by_spark"
    spark.createDataFrame([("h", 0.5)], "id string, score double").write.parquet(
        str(written_by_spark)
    )
    delta = tmp_path / "lists/delta"
    for ids in (["i"], ["not yet"]):
        frame = spark.createDataFrame([(one,) for one in ids], "id string")
        frame.write.format("delta").mode("append").save(str(delta))
    spark.sql(f"DELETE FROM delta.`{delta}` WHERE id = 'not yet'")
    frame = spark.createDataFrame([("j",), ("b",)], "id string")
    frame.write.format("delta").saveAsTable(name)

    lists = [one_file, no_suffix, directory, partitions, written_by_spark, delta]
    report, rows = planned(images, *lists, name, max_removed_fraction=1)
    (first, bare, many, parts, spark_made, log) = (f"file:{place}" for place in lists)
    expected = {
        "a": [first],
        "b": [bare, parts, name],
        "c": [many],
        "d": [many],
        "e": [many],
        "f": [many],
        "g": [parts],
        "h": [spark_made],
        "i": [log],
        "j": [name],
    }
    assert rows == sorted((one, expected[one]) for one in IDS if one is not None)

    described = report.inputs["duplicate_ids"]
    assert [item["location"] for item in described] == [
        *(f"file:{place}" for place in lists),
        name,
    ]
    assert [item["format"] for item in described] == ["parquet"] * 5 + ["delta"] * 2
    assert [item["version"] for item in described] == [None] * 5 + [2, 0]
    prints = [item["fingerprint"] for item in described]
    assert len({text for text in prints if text is not None}) == 5
    assert prints[5:] == [None, None]


def test_a_list_that_is_given_twice_counts_twice_and_removes_once(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a", "x"])
    report, rows = planned(images, listed, listed.parent)
    assert rows == [("a", [f"file:{listed}", f"file:{listed.parent}"])]
    assert (report.counts["list_rows"], report.counts["list_distinct_ids"]) == (4, 2)


def test_a_fingerprint_tells_another_list(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a"]).parent

    def fingerprint():
        return planned(images, listed)[0].inputs["duplicate_ids"][0]["fingerprint"]

    first = fingerprint()
    assert fingerprint() == first
    write_list(listed / "2.parquet", ["b"])
    assert fingerprint() != first


def test_the_id_column_may_have_any_name(planned, images, tmp_path):
    columns = {"a": "a.b", "c": "a b", "d": "`x`", "e": "ID", "f": "image_id", "g": "list_index"}
    lists = [
        DuplicateIds(
            str(write_list(tmp_path / f"list/{one}.parquet", [one], column=column)), column
        )
        for one, column in columns.items()
    ]
    _, rows = planned(images, *lists)
    assert [row[0] for row in rows] == list(columns)


def test_each_list_may_have_an_id_column_of_its_own(planned, images, tmp_path):
    one = write_list(tmp_path / "one/1.parquet", ["a"], column="docs_to_remove")
    other = write_list(tmp_path / "other/1.parquet", ["c"], column="_curator_dedup_id")
    third = write_list(tmp_path / "third/1.parquet", ["d"], column="key")
    both = pa.table({"key": ["x"], "docs_to_remove": ["e"]})
    fourth = write_parquet(both, tmp_path / "fourth/1.parquet")
    _, rows = planned(
        images,
        DuplicateIds(str(one), id_column="docs_to_remove"),
        DuplicateIds(str(other), "_curator_dedup_id"),
        third,
        DuplicateIds(str(fourth), "docs_to_remove"),
        duplicate_id_column="key",
    )
    assert [row[0] for row in rows] == ["a", "c", "d", "e"]


def test_other_columns_of_a_list_may_differ_from_file_to_file(planned, images, tmp_path):
    listed = tmp_path / "list"
    write_parquet(pa.table({"id": ["a"], "shard": [1]}), listed / "1.parquet")
    write_parquet(pa.table({"shard": ["x"], "id": ["c"]}), listed / "2.parquet")
    write_parquet(pa.table({"id": pa.array(["d"], pa.large_string())}), listed / "3.parquet")
    _, rows = planned(images, listed)
    assert [row[0] for row in rows] == ["a", "c", "d"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32()], ids=str)
def test_g2_integer_ids_match_exactly(planned, tmp_path, kind):
    big = 2**53 if kind == pa.int64() else 2**31 - 3
    ids = [0, -1, 1, None, big, big + 1, big + 2]
    rows = image_rows(ids, id_type=kind)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    entries = [big + 1, -1, 7, None]
    listed = write_list(tmp_path / "list/1.parquet", entries, id_type=kind)
    write_null_typed_list(tmp_path / "list/0.parquet", 0)
    report, rows = planned(images, listed.parent)
    assert [row[0] for row in rows] == [-1, big + 1]
    assert report.counts["list_unmatched_ids"] == 1


def test_g2_string_ids_match_to_the_byte(planned, tmp_path):
    ids = ["1", "01", " 1", "1 ", "A", "a", "é", "e\u0301", "", "a\nb", "null", "<b>"]
    images = write_parquet(image_rows(ids), tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", ["1", "a", "é", "", "a\nb", "null"])
    _, rows = planned(images, listed)
    assert [row[0] for row in rows] == sorted(["1", "a", "é", "", "a\nb", "null"])


def test_long_lists_are_joined_in_more_partitions(planned, spark, images, tmp_path, monkeypatch):
    """A task can't spill its hash table of IDs."""
    monkeypatch.setattr(id_join, "ROWS_PER_PARTITION", 1)
    monkeypatch.setattr(id_join, "BROADCAST_LIMIT_BYTES", 0)
    found, find_rows = [], removal_plan.find_rows

    def noting(*arguments, **named):
        found.append(spark.conf.get("spark.sql.shuffle.partitions"))
        return find_rows(*arguments, **named)

    monkeypatch.setattr(removal_plan, "find_rows", noting)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    _, rows = planned(images, write_list(tmp_path / "list/1.parquet", ["b", "nope"]))
    assert [row[0] for row in rows] == ["b", "b"]
    assert found == ["13"]  # the table has 12 rows
    assert spark.conf.get("spark.sql.shuffle.partitions") == before


# Entries that name nothing


@pytest.mark.parametrize("is_long", [False, True])
def test_the_counts_are_exact_whatever_a_list_holds(
    planned, images, tmp_path, monkeypatch, is_long
):
    """Repeats, NULLs, unknown IDs, files without rows, and files that know no type."""
    if is_long:  # then only its NULLs are looked for before the join
        monkeypatch.setattr(list_sizes, "EXACT_LIST_COUNTS_LIMIT_ROWS", 0)
        monkeypatch.setattr(id_join, "BROADCAST_LIMIT_BYTES", 0)
    listed = tmp_path / "list"
    write_list(listed / "1.parquet", ["b", "b", None, "nope", "a"])
    write_list(listed / "2.parquet", ["b", "neither", None])
    write_list(listed / "3.parquet", [])
    write_null_typed_list(listed / "4.parquet", 0)
    write_null_typed_list(listed / "5.parquet", 3)
    write_list(listed / "6.parquet", [None], id_type=pa.int32())
    other = write_list(tmp_path / "other/1.parquet", ["a", "nope", None])
    report, rows = planned(images, listed, other)
    assert [row[0] for row in rows] == ["a", "b", "b"]
    assert report.counts == {
        "input_rows": 12,
        "kept_rows": 9,
        "removed_rows": 3,
        "null_id_rows": 1,
        "list_rows": 15,
        "list_null_ids": 7,
        "list_distinct_ids": None if is_long else 4,
        "list_matched_ids": 2,
        "list_unmatched_ids": None if is_long else 2,
    }


@pytest.mark.parametrize("num_rows", [0, 2])
def test_a_list_that_knows_no_type_and_no_id_is_an_empty_list(planned, images, tmp_path, num_rows):
    listed = write_null_typed_list(tmp_path / "list/1.parquet", num_rows)
    with pytest.raises(EmptyListError):
        planned(images, listed)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_file_as_pandas_writes_it_holds_no_entry(planned, images, tmp_path, version):
    """Alone, and beside a file with IDs: NeMo Curator leaves one for clusters all unique."""
    listed = write_by_pandas(tmp_path / "duplicates/1.parquet", version, {"id": []})
    column = pq.ParquetFile(listed).schema.column(0)
    assert (column.physical_type, str(column.logical_type)) == (
        ("INT32", "Null") if version < "3" else ("BYTE_ARRAY", "String")
    )
    with pytest.raises(EmptyListError):
        planned(images, listed.parent)
    write_by_pandas(tmp_path / "duplicates/2.parquet", version, {"id": ["a", "c"]})
    report, rows = planned(images, listed.parent)
    assert [row[0] for row in rows] == ["a", "c"]
    assert report.inputs["duplicate_ids"][0]["taken_for"] == "NeMo Curator's duplicates"


def test_entries_of_a_file_that_is_not_null_are_not_taken_for_a_file_of_nulls(
    planned, images, tmp_path
):
    write_list(tmp_path / "list/1.parquet", ["a"])
    write_list(tmp_path / "list/2.parquet", [None, None, 7], id_type=pa.int32())
    with pytest.raises(ColumnTypeError, match=r"is int in file .*2\.parquet"):
        planned(images, tmp_path / "list")


@pytest.mark.parametrize(
    ("list_counts", "auto_limit_rows", "distinct", "unmatched"),
    [
        ("auto", None, 3, 1),
        ("exact", 1, 3, 1),
        ("matched", None, None, None),
        ("auto", 4, None, None),
        ("auto", 5, 3, 1),
    ],
)
def test_list_counts_says_what_is_counted(
    planned, images, tmp_path, monkeypatch, list_counts, auto_limit_rows, distinct, unmatched
):
    if auto_limit_rows is not None:
        monkeypatch.setattr(list_sizes, "EXACT_LIST_COUNTS_LIMIT_ROWS", auto_limit_rows)
    listed = write_list(tmp_path / "list/1.parquet", ["a", "b", "b", "nope", None])
    counts = planned(images, listed, list_counts=list_counts)[0].counts
    assert (counts["list_distinct_ids"], counts["list_unmatched_ids"]) == (distinct, unmatched)
    assert (counts["list_rows"], counts["list_null_ids"]) == (5, 1)
    assert (counts["list_matched_ids"], counts["removed_rows"]) == (2, 3)


# Faults of NeMo Curator's own removal stage


def test_curator_fault_a_wrong_column_name_removes_nothing_in_silence(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a"], column="image_id")
    with pytest.raises(MissingColumnError):
        planned(images, listed, duplicate_id_column="imageid")
    report, rows = planned(images, listed)  # the only column has the IDs, whatever its name
    assert [row[0] for row in rows] == ["a"]
    assert report.inputs["duplicate_ids"][0]["id_column"] == "image_id"


def test_g2_curator_fault_integer_ids_remove_nothing_in_silence(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", [1, 2], id_type=pa.int64())
    with pytest.raises(ColumnTypeError, match="is bigint"):
        planned(images, listed)


def test_curator_fault_a_null_in_the_list_removes_images_without_an_id(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", [None, "a", None])
    report, rows = planned(images, listed)
    assert [row[0] for row in rows] == ["a"]
    assert report.counts["null_id_rows"] == 1


def test_curator_fault_a_stray_text_file_fails_the_run(planned, images, tmp_path, logged):
    listed = write_list(tmp_path / "list/1.parquet", ["a"]).parent
    (listed / "removal_summary.txt").write_text("removed: 1")
    _, rows = planned(images, listed)
    assert [row[0] for row in rows] == ["a"]
    assert "removal_summary.txt" in logged.text


def test_curator_fault_a_nested_directory_is_read_as_if_every_id_were_to_go(
    planned, images, tmp_path, logged
):
    listed = write_list(tmp_path / "list/1.parquet", ["a"]).parent
    pairs = {"id": ["b", "c"], "max_id": ["a", "b"], "cosine_sim_score": [0.1, 0.2]}
    write_parquet(pa.table(pairs), listed / "pairwise_results/cluster_0.parquet")
    _, rows = planned(images, listed)
    assert [row[0] for row in rows] == ["a"]
    assert "pairwise_results" in logged.text


@pytest.mark.parametrize("spelling", ["{}", "file:{}", "file://{}"])
def test_curator_fault_a_path_to_one_file_or_a_uri_is_an_error(planned, images, tmp_path, spelling):
    listed = write_list(tmp_path / "list/1.parquet", ["a"])
    write_list(tmp_path / "list/2.parquet", ["b"])
    _, rows = planned(images, spelling.format(listed))
    assert rows == [("a", [f"file:{listed}"])]


def test_curator_fault_only_nested_directories_are_an_error_that_does_not_say_why(
    planned, images, tmp_path
):
    write_list(tmp_path / "list/duplicates/1.parquet", ["a"])
    with pytest.raises(
        TableFormatError, match=r"holds only directories .*give the directory of the"
    ):
        planned(images, tmp_path / "list")
    _, rows = planned(images, tmp_path / "list/duplicates")
    assert [row[0] for row in rows] == ["a"]


@pytest.mark.classic("pyarrow opens stores by itself, not by Hadoop's settings")
def test_curator_fault_a_path_on_s3_is_an_error(spark, planned, images, tmp_path):
    """Hadoop's overlay of file systems stands for the store: the location is not a local one."""
    write_list(tmp_path / "bucket/curator/duplicates/1.parquet", ["a"])
    overlay = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    settings = {
        "fs.s3.impl": overlay,
        "fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
        "fs.viewfs.mounttable.bucket.link./curator": f"file://{tmp_path}/bucket/curator",
    }
    with session_settings(spark, settings):
        _, rows = planned(images, "s3://bucket/curator/duplicates/")
    assert rows == [("a", ["s3://bucket/curator/duplicates"])]


@pytest.mark.parametrize(
    ("limit_bytes", "join"), [(100_000, "broadcast image IDs"), (100, "shuffle both")]
)
def test_curator_fault_every_worker_holds_the_whole_list_in_memory(
    planned, images, tmp_path, monkeypatch, limit_bytes, join
):
    """Past a limit, the list is not sent to workers: it goes past them, or each gets its share."""
    monkeypatch.setattr(id_join, "BROADCAST_LIMIT_BYTES", limit_bytes)
    listed = write_list(tmp_path / "list/1.parquet", ["a", *(f"unknown {n}" for n in range(3000))])
    report, rows = planned(images, listed)
    assert [row[0] for row in rows] == ["a"]
    choice = report.choices["plan join"]
    assert choice["chosen"] == join
    assert choice["list_bytes"] > limit_bytes


def test_curator_fault_it_reports_no_counts(planned, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["b", "b", "unknown", None])
    report, _ = planned(images, listed)
    counts = json.loads(report.to_json())["counts"]
    assert counts["input_rows"] == counts["kept_rows"] + counts["removed_rows"] == 12
    assert {name: counts[name] for name in counts if name.startswith("list_")} == {
        "list_rows": 4,
        "list_null_ids": 1,
        "list_distinct_ids": 2,
        "list_matched_ids": 1,
        "list_unmatched_ids": 1,
    }


def test_curator_fault_survivors_are_encoded_anew_and_lose_caption_and_metadata(
    spark, remove, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["b"])
    report = remove(images, listed, tmp_path / "out")
    expected = spark.read.parquet(str(images)).where("image_id IS NULL OR image_id != 'b'")
    output = spark.read.parquet(str(tmp_path / "out"))
    assert output.schema == expected.schema
    assert row_digests(output) == row_digests(expected)
    assert (report.counts["input_rows"], report.counts["kept_rows"]) == (12, 10)


# What Curator's own tests ask for


def test_curator_contract_no_parquet_in_the_list_directory_is_an_error(planned, images, tmp_path):
    (tmp_path / "list").mkdir()
    with pytest.raises(TableNotFoundError, match="holds neither a Parquet file"):
        planned(images, tmp_path / "list")


def test_curator_contract_the_default_column_is_id_and_unknown_ids_are_ignored(
    planned, images, tmp_path
):
    pairs = {"shard": ["d"], "id": ["a"]}
    write_parquet(pa.table(pairs), tmp_path / "list/1.parquet")
    write_list(tmp_path / "list/2.parquet", ["c", "unknown"])
    report, rows = planned(images, tmp_path / "list")
    assert [row[0] for row in rows] == ["a", "c"]
    assert report.counts["list_unmatched_ids"] == 1


def test_curator_contract_the_column_may_have_another_name(planned, images, tmp_path):
    listed = {"id": ["x"], "image_id": ["a"]}
    path = write_parquet(pa.table(listed), tmp_path / "list/1.parquet")
    _, rows = planned(images, path.parent, duplicate_id_column="image_id")
    assert [row[0] for row in rows] == ["a"]


def test_curator_contract_several_files_are_united(planned, images, tmp_path):
    for number, ids in enumerate((["a", "b"], ["b", "d"], ["j"])):
        write_list(tmp_path / f"list/{number}.parquet", ids)
    report, rows = planned(images, tmp_path / "list")
    assert [row[0] for row in rows] == ["a", "b", "b", "d", "j"]
    assert report.counts["list_rows"] == 5
