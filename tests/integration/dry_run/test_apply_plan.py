"""--apply-plan: exactly the plan that a dry run kept, or nothing where anything has changed."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import (
    DedupError,
    OverlapError,
    PlanMismatchError,
    PlanRefusedError,
    RemovedFractionError,
    RunKeyError,
    TableNotFoundError,
    UnreadableFileError,
)
from dedup_lib.tables.directory import MANIFEST_NAME
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet

KEYS = ("input_rows", "removed_rows", "null_id_rows", "list_rows", "list_null_ids",
    "list_distinct_ids", "list_matched_ids", "list_unmatched_ids")  # fmt: skip


@pytest.fixture
def images(tmp_path):
    """IDs a, b twice, c; d, NULL, e."""
    write_parquet(image_rows(["a", "b", "b", "c"]), tmp_path / "images/1.parquet")
    return write_parquet(image_rows(["d", None, "e"]), tmp_path / "images/2.parquet").parent


@pytest.fixture
def pairs(tmp_path):
    """Pairs by which b and d go, and c does not; x is in no table."""
    rows = {
        "id": ["b", "d", "c", "x"],
        "max_id": ["a", "e", "a", "a"],
        "cosine_sim_score": [0.99, 0.95, 0.5, 0.99],
    }
    return write_parquet(pa.table(rows), tmp_path / "pairs/cluster_0.parquet").parent


@pytest.fixture
def table(spark, images, tmp_path):
    """The same images in a Delta table of one file, with deletion vectors."""
    writer = spark.read.parquet(str(images)).coalesce(1).write.format("delta")
    writer.option("delta.enableDeletionVectors", "true").save(str(tmp_path / "table"))
    return tmp_path / "table"


@pytest.fixture
def kept(remove, pairs, tmp_path):
    """Keep a plan: the dry run's report."""

    def kept(images, plan=tmp_path / "plan", lists=pairs, **settings):
        given = {"eps": 0.1} if lists == pairs else {}
        return remove(
            images, lists, None, dry_run=True, removed_output=str(plan), **given | settings
        )

    return kept


@pytest.fixture
def applied(remove, tmp_path):
    """Apply a plan."""

    def applied(images, plan=tmp_path / "plan", output=tmp_path / "out", **settings):
        return remove(images, [], output, apply_plan=str(plan), **settings)

    return applied


@pytest.fixture
def refused(applied, tmp_path):
    """Apply a plan, and check the error, and that no output is there."""

    def refused(error, words, images, **settings):
        with pytest.raises(DedupError, match=words) as caught:
            applied(images, **settings)
        assert caught.type is error
        assert not (tmp_path / "out").exists()
        return caught.value

    return refused


WAYS = {
    "arrow": {"engine": "arrow"},
    "broadcast-ids": {"engine": "spark", "strategy": "broadcast-ids"},
    "row-positions": {"engine": "spark", "strategy": "row-positions"},
    "annotate": {"action": "annotate"},
    "delta": {"output_format": "delta"},
    "clone": {"method": "clone"},
}


@pytest.mark.parametrize("way", WAYS)
def test_it_gives_what_the_run_with_the_lists_gives(
    remove, spark, images, pairs, kept, applied, tmp_path, way
):
    planned = kept(images)
    report = applied(images, **WAYS[way])
    expected = remove(images, pairs, tmp_path / "by-lists", eps=0.1, **WAYS[way])
    reader = spark.read.format("delta" if way in ("delta", "clone") else "parquet")
    found = [reader.load(f"{tmp_path}/{name}") for name in ("out", "by-lists")]
    assert row_digests(found[0]) == row_digests(found[1])
    assert report.counts == expected.counts
    assert report.keepers == expected.keepers == planned.keepers
    described = report.inputs["plan"]
    assert (described["format"], described["run"]) == ("parquet", planned.run)
    assert described["duplicate_ids"] == expected.inputs["duplicate_ids"]
    assert report.inputs["duplicate_ids"] == []


def test_rows_go_in_place_and_only_once(spark, table, kept, applied):
    planned = kept(table)
    report = applied(table, output=None, method="in-place", run_key="k")
    assert {key: report.counts[key] for key in KEYS} == {key: planned.counts[key] for key in KEYS}
    rows = spark.read.format("delta").load(str(table))
    assert sorted(row.image_id or "" for row in rows.collect()) == ["", "a", "c", "e"]
    assert applied(table, output=None, method="in-place", run_key="k").repeated
    with pytest.raises(PlanMismatchError, match="version: was 0, is 1"):
        applied(table, output=None, method="in-place")


def test_a_plan_may_be_a_delta_table(spark, images, kept, applied, name, tmp_path):
    kept(images, name)
    spark.sql(f"OPTIMIZE {name}")
    report = applied(images, name)
    assert (report.counts["removed_rows"], report.inputs["plan"]["format"]) == (3, "delta")
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'd'")
    with pytest.raises(PlanMismatchError, match=r"it has 2 rows .* and had 3"):
        applied(images, name, tmp_path / "other")


def test_what_was_protected_stays(remove, images, pairs, kept, applied, tmp_path):
    marks = tmp_path / "marks.jsonl"
    marks.write_text('{"id": "b"}\n')
    planned = kept(images, protect_ids=(str(marks),))
    report = applied(images)
    assert "b" in pq.read_table(tmp_path / "out")["image_id"].to_pylist()
    assert report.protected == planned.protected
    assert report.protected["spared_rows"] == 2


def test_a_dry_run_tells_whether_it_can_be_applied(images, kept, applied, tmp_path):
    kept(images)
    report = applied(images, output=None, dry_run=True, removed_output=str(tmp_path / "again"))
    assert (report.status, report.counts["removed_rows"]) == ("dry_run", 3)
    applied(images, tmp_path / "again")
    write_parquet(image_rows(["f"]), images / "3.parquet")
    with pytest.raises(PlanMismatchError):
        applied(images, output=None, dry_run=True)


def test_a_plan_without_rows_is_one(images, kept, applied):
    kept(images, eps=0.0, allow_empty_list=True)
    assert applied(images).counts["removed_rows"] == 0


def test_other_files_are_told(images, kept, refused):
    kept(images)
    write_parquet(image_rows(["f"]), images / "3.parquet")
    error = refused(PlanMismatchError, "fingerprint of the files: was '.*', is '", images)
    assert error.exit_code == 3
    (images / "3.parquet").unlink()
    write_parquet(image_rows(["d", None, "e"]), images / "2.parquet")  # at another time
    refused(PlanMismatchError, "fingerprint of the files", images)


def test_another_table_or_column_is_told(spark, images, kept, refused, tmp_path):
    kept(images)
    shutil.copytree(images, tmp_path / "copy")
    refused(PlanMismatchError, "image table: was '.*/images', is '.*/copy'", tmp_path / "copy")
    refused(
        PlanMismatchError,
        "image ID column: was 'image_id', is 'caption'",
        images,
        image_id_column="caption",
    )
    refused(
        PlanMismatchError,
        "type of the image IDs: was string, is int",
        images,
        image_id_column="width",
    )


def test_a_table_that_was_made_anew_is_told(spark, images, table, kept, refused):
    kept(table)
    shutil.rmtree(table)
    spark.read.parquet(str(images)).coalesce(1).write.format("delta").save(str(table))
    refused(PlanMismatchError, "ID of the Delta table: was", table, output_format="delta")


def edited(plan, change):
    """Change the rows of a plan, and leave its note."""
    rows = change(pq.read_table(plan))
    for path in plan.glob("*.parquet"):
        path.unlink()
    pq.write_table(rows, plan / "edited.parquet")


TAMPERED = {
    "row left out": lambda rows: rows.slice(1),
    "row twice": lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]),
    "other ID": lambda rows: rows.set_column(
        0, "image_id", pc.replace_substring(rows["image_id"], "d", "e")
    ),
    "other place": lambda rows: rows.set_column(
        2, "row_index", pa.array([0] * len(rows), pa.int64())
    ),
    "other survivor": lambda rows: rows.set_column(
        4, "surviving_keeper_id", pa.array(["c"] * len(rows))
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_plan_that_was_edited_is_refused(images, kept, refused, tmp_path, how):
    kept(images)
    edited(tmp_path / "plan", TAMPERED[how])
    error = refused(PlanMismatchError, "has changed since it was kept", images)
    assert error.exit_code == 3


def test_a_plan_that_is_half_there_is_refused(images, kept, refused, tmp_path):
    kept(images)
    rows = without_note(tmp_path / "plan")
    refused(PlanMismatchError, "not a removal plan", images)
    note = json.loads(kept_note(rows))
    del note["made_for"]["digest"]
    (tmp_path / "plan" / MANIFEST_NAME).write_text(json.dumps(note))
    refused(PlanMismatchError, "not a removal plan", images)
    shutil.rmtree(tmp_path / "plan")
    refused(TableNotFoundError, "plan .* does not exist", images)


def without_note(plan):
    """Write a plan's file again without its note, and return its rows with the note."""
    (path,) = plan.glob("*.parquet")
    rows = pq.read_table(path)
    pq.write_table(rows.replace_schema_metadata(None), path)
    path.with_name(f".{path.name}.crc").unlink()
    return rows


def kept_note(rows):
    """The note in the metadata of a plan's first column."""
    columns = json.loads(rows.schema.metadata[b"org.apache.spark.sql.parquet.row.metadata"])
    return columns["fields"][0]["metadata"]["remove_duplicates"]


@pytest.mark.parametrize("is_of_earlier_build", [False, True])
def test_a_plan_that_was_copied_is_applied(images, kept, applied, tmp_path, is_of_earlier_build):
    """Without the hidden file beside it; also as an earlier build wrote it."""
    kept(images)
    copied = tmp_path / "elsewhere" / "plan"
    shutil.copytree(tmp_path / "plan", copied)
    if is_of_earlier_build:
        (copied / MANIFEST_NAME).write_text(kept_note(without_note(copied)))
    assert applied(images, plan=copied).counts["removed_rows"] == 3


def test_a_plan_that_is_damaged_is_refused(images, kept, refused, tmp_path):
    kept(images)
    path = next((tmp_path / "plan").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert refused(UnreadableFileError, "could not read an input file", images).exit_code == 3


def test_a_removal_list_is_no_plan(images, refused, tmp_path):
    write_list(tmp_path / "plan/1.parquet", ["b"])
    refused(PlanMismatchError, "not a removal plan", images)


def test_the_limit_of_the_rows_that_go_is_looked_at_anew(images, kept, refused, applied):
    with pytest.raises(RemovedFractionError):
        kept(images, max_removed_fraction=0.1)
    refused(RemovedFractionError, "removes 3 of 7", images, max_removed_fraction=0.2)
    assert applied(images, max_removed_fraction=0.5).counts["removed_rows"] == 3


def test_a_plan_that_passed_another_limit_is_not_applied(images, kept, refused, tmp_path):
    circle = {"id": ["a", "b"], "max_id": ["b", "a"], "cosine_sim_score": [0.9, 0.9]}
    path = write_parquet(pa.table(circle), tmp_path / "circle/cluster_0.parquet").parent
    with pytest.raises(DedupError):
        kept(images, lists=path, eps=0.2)
    error = refused(PlanRefusedError, "would be removed together with every image", images)
    assert error.exit_code == 4
    shutil.rmtree(tmp_path / "plan")
    kept(images, eps=None, eps_sweep="0.01,0.1")
    refused(PlanRefusedError, "Choose one with --eps", images)


def test_a_run_key_stands_for_the_plan(images, kept, applied, tmp_path):
    kept(images)
    kept(images, tmp_path / "other", eps=0.01)
    given = {"run_key": "k", "output_format": "delta"}
    applied(images, **given)
    write_parquet(image_rows(["f"]), images / "3.parquet")
    assert applied(images, **given).repeated  # though it could not be applied now
    with pytest.raises(RunKeyError):
        applied(images, tmp_path / "other", **given)


def test_the_output_can_not_be_the_plan(images, kept, applied, tmp_path):
    kept(images)
    with pytest.raises(OverlapError, match=r"is plan"):
        applied(images, output=tmp_path / "plan", output_mode="overwrite")
