"""Shards, settings and changes that end a run: nothing is published."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from dedup_lib import Settings, run
from dedup_lib.errors import (
    ColumnTypeError,
    EmptyListError,
    InputChangedError,
    NoMatchesError,
    OverlapError,
    PlanMismatchError,
    RemovedFractionError,
    SettingsError,
    TableFormatError,
    UnreadableFileError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.executor.shards import rewrite_tasks
from dedup_lib.files import rewrite
from dedup_lib.webdataset import format as webdataset_format
from dedup_lib.webdataset.sample_ids import count_samples
from dedup_lib.webdataset.shard_engine import ShardEngine
from tests.integration.shards.conftest import keys_in, write_shard
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet
from tests.support.tables.made_shards import link, tar_of, without_end

AS_SHARDS = {"output_format": "webdataset"}
BROKEN = {
    "cut in a header": (lambda content: content[:700], "needs the bytes up to"),
    "cut in data": (lambda content: without_end(content)[:-600], "less than a block"),
    "a flipped byte": (lambda content: b"x" + content[1:], "byte 0"),
    "no bytes": (lambda _: b"", "the file is empty"),
    "joined by cat": (lambda content: content + content, "joined by cat"),
    "gzip that is cut": (lambda content: gzip.compress(content)[:-9], "Truncated compressed"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_g4_a_broken_shard_is_refused_before_anything_is_written(refused, shards, listed, fault):
    change, words = BROKEN[fault]
    path = shards / "00001.tar"
    path.write_bytes(change(path.read_bytes()))
    refused(
        UnreadableFileError, 3, rf"00001\.tar.*{words}", shards, listed, output_format="webdataset"
    )


@pytest.mark.parametrize("given", [{}, {"dry_run": True, "output": None}, {"action": "extract"}])
def test_a_link_whose_target_goes_is_refused_before_anything_is_written(
    refused, shards, listed, monkeypatch, given
):
    monkeypatch.setattr(ShardEngine, "write", None)
    gone, stays = ("b1.jpg", "a1.png") if given.get("action") == "extract" else ("a1.jpg", "b1.png")
    (shards / "00002.tar").write_bytes(tar_of(gone, link(stays, gone)))
    words = rf"00002\.tar' has the link '{stays}' to '{gone}' at byte 1024"
    refused(UnreadableFileError, 3, words, shards, listed, **given, **AS_SHARDS)


def test_links_that_keep_their_target_end_no_run(remove_from, shards, listed, tmp_path):
    (shards / "00002.tar").write_bytes(tar_of("a1.jpg", link("a1.png", "a1.jpg"), "c.jpg"))
    remove_from(shards, listed, tmp_path / "out")
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b1", "b2", "c"]


def test_a_shard_without_an_end_is_read_and_said(remove_from, shards, listed, tmp_path, caplog):
    path = shards / "00001.tar"
    path.write_bytes(without_end(path.read_bytes()))
    remove_from(shards, listed, tmp_path / "out")
    assert "1 shards have no zero blocks at their end" in caplog.text
    assert (tmp_path / "out/00001.tar").read_bytes().endswith(bytes(1024))
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b1", "b2"]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"engine": "spark"}, UnreadableFileError, "without --engine spark"),
        ({"output": "default.images_without"}, UnsupportedError, "CONVERT TO DELTA"),
        ({"output_format": "delta", "since_last_run": True}, UnsupportedError, "can't follow"),
        ({"method": "clone"}, UnreadableFileError, "--method rewrite"),
        ({"images_format": "parquet"}, TableFormatError, "--images-format webdataset"),
    ],
)
def test_what_shards_can_not_do_ends_before_any_work(
    refused, shards, listed, settings, error, words
):
    refused(error, error.exit_code, words, shards, listed, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples_per_shard": 5} | AS_SHARDS, "--shard-size and --samples-per-shard are for"),
        ({"strategy": "row-positions"} | AS_SHARDS, "only the spark engine has strategies"),
        ({"target_file_size": "1MB"} | AS_SHARDS, "only the spark engine has"),
        ({"image_id_column": "__key__"} | AS_SHARDS, "leave --image-id-column out"),
        ({"image_id_column": "nothing"} | AS_SHARDS, "leave --image-id-column out"),
        ({"method": "in-place", "output": None}, "in-place"),
    ],
)
def test_settings_that_shards_have_no_use_for_are_exit_2(refused, shards, listed, settings, words):
    refused(UnsupportedError, 2, words, shards, listed, **settings)


def test_where_ids_are_in_samples_is_no_setting_of_tables(refused, listed, tmp_path):
    write_parquet(image_rows(["a1", "b"]), tmp_path / "images/1.parquet")
    words = "--image-id-from is for WebDataset shards"
    refused(SettingsError, 2, words, tmp_path / "images", listed, image_id_from="json:uid")


def test_a_kept_plan_is_applied_to_the_same_ids_alone(remove_from, spark, shards, listed, tmp_path):
    plan = str(tmp_path / "plan")
    remove_from(shards, listed, None, dry_run=True, removed_output=plan)
    given = {"images": str(shards), "output": str(tmp_path / "out"), "apply_plan": plan}
    with pytest.raises(PlanMismatchError):
        run(spark, Settings(**given, **AS_SHARDS, image_id_from="json:uid"))
    run(spark, Settings(**given, **AS_SHARDS))
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b1", "b2"]


@pytest.mark.parametrize("given", ["", "keys", "json:", "parquet:", "curator:0", "curator:x"])
def test_where_ids_are_is_checked_at_once(remove_from, shards, listed, tmp_path, given):
    with pytest.raises(
        SettingsError, match="--image-id-from must be key, json:FIELD, parquet:FIELD"
    ):
        remove_from(shards, listed, tmp_path / "out", image_id_from=given)


def test_g10_other_ids_at_the_planned_positions_end_the_run(
    remove_from, shards, listed, tmp_path, monkeypatch
):
    """As if the shard had been changed, with the same number of samples, after the plan."""

    def other_ids(_, run, plan, output, attempt):
        def task(*given):
            return rewrite_tasks.rewrite_shard(*given, {})

        return rewrite.write(run, plan, output, attempt, id_column="json:uid", rewrite_one=task)

    monkeypatch.setattr(ShardEngine, "write", other_ids)
    with pytest.raises(VerificationError, match="other IDs than the plan"):
        remove_from(shards, listed, tmp_path / "out")
    assert names_in(tmp_path) == ["list", "shards"]


ALL = ["a0", "a1", "a2", "b0", "b1", "b2"]
WRONG = {
    "no ID": ({"ids": [None]}, EmptyListError, 4, "hold no ID"),
    "foreign IDs": ({"ids": ["A1", "a1 ", "x"]}, NoMatchesError, 4, "none of the 3 list entries"),
    "all IDs": ({"ids": ALL}, RemovedFractionError, 4, "removes 6 of 6 rows"),
    "numbers": ({"ids": [1], "id_type": pa.int64()}, ColumnTypeError, 3, "bigint.*string"),
}


@pytest.mark.parametrize("name", WRONG)
def test_g2_g11_a_wrong_list_stops_the_run(refused, shards, tmp_path, name):
    given, error, code, words = WRONG[name]
    listed = write_list(tmp_path / "list/1.parquet", **given).parent
    refused(error, code, words, shards, listed, **AS_SHARDS)


@pytest.mark.parametrize("output", ["shards", "shards/inside", "shards/../list/..", "list"])
def test_g5_an_output_over_shards_or_their_list_is_refused(
    refused, shards, listed, tmp_path, output
):
    given = AS_SHARDS | {"output": tmp_path / output}
    refused(OverlapError, 2, "Choose a separate location", shards, listed, **given)


@pytest.mark.parametrize("name", ["00000.tar", "00001.tar"])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_g8_a_shard_that_changes_during_the_run_ends_it(
    remove_from, shards, listed, tmp_path, monkeypatch, name, is_deleted
):
    write = ShardEngine.write

    def changing(self, *arguments):
        (shards / name).unlink()
        if not is_deleted:
            write_shard(shards / name, "a0", "a1", "a2", "a3")
        return write(self, *arguments)

    monkeypatch.setattr(ShardEngine, "write", changing)
    with pytest.raises(InputChangedError, match=name):
        remove_from(shards, listed, tmp_path / "out")
    assert names_in(tmp_path) == ["list", "shards"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d/a1.jpg", "without the suffix '.jpg'"),
        ("./d/a1", "if schemes .* and slashes in front made no difference"),
        ("00000_000001", "use --image-id-from curator"),
    ],
)
def test_lists_in_another_spelling_than_the_keys_get_a_hint(refused, tmp_path, name, words):
    write_shard(tmp_path / "shards/00000.tar", "d/a0", "d/a1", "d/a2")
    listed = write_list(tmp_path / "list/1.parquet", [name]).parent
    refused(NoMatchesError, 4, words, tmp_path / "shards", listed, output_format="webdataset")


def test_a_shard_is_read_once_more_only_if_no_task_has_read_it(
    remove_from, shards, listed, tmp_path, monkeypatch
):
    """The task that writes a shard reads its headers anew; a copied one is read at the end."""
    read = []
    monkeypatch.setattr(
        webdataset_format,
        "count_samples",
        lambda session, files: read.extend(files) or count_samples(session, files),
    )
    remove_from(shards, listed, tmp_path / "out")
    assert [file.path.rpartition("/")[2] for file in read] == ["00001.tar"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:700]), "staged output is broken"),
        (lambda path: path.with_name("00001.tar").write_bytes(b""), "staged output is broken"),
        (lambda path: path.unlink(), "5 rows.* 3|3 rows.* 5"),
        (lambda path: write_shard(path.with_name("x.tar"), "c"), "5 rows.* 6|6 rows.* 5"),
    ],
    ids=["cut", "empty", "deleted", "another"],
)
def test_g10_a_staged_shard_that_changes_is_noticed_and_nothing_is_published(
    remove_from, shards, listed, tmp_path, monkeypatch, change, words
):
    """A task has counted the samples of the first shard; the second was only copied."""
    write = ShardEngine.write

    def changing(self, run, plan, output, attempt):
        staged = write(self, run, plan, output, attempt)
        change(Path(staged.location.removeprefix("file:")) / "00000.tar")
        return staged

    monkeypatch.setattr(ShardEngine, "write", changing)
    with pytest.raises(VerificationError, match=words):
        remove_from(shards, listed, tmp_path / "out")
    assert names_in(tmp_path) == ["list", "shards"]
