"""WebDataset shards: samples go with all their members, and what stays keeps its bytes."""

import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import Settings, run
from dedup_lib.errors import (
    AmbiguousListError,
    InputChangedError,
    OutputExistsError,
    PlanMismatchError,
    RunKeyError,
    SettingsError,
    TableFormatError,
    UnreadableFileError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.executor.shards import rewrite_tasks
from dedup_lib.files import rewrite
from dedup_lib.publish.workspace import Workspace
from dedup_lib.session import file_tasks
from dedup_lib.webdataset.shard_engine import ShardEngine
from tests.integration.shards.conftest import sample, write_shard
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet
from tests.support.tables.made_shards import member, tar_of, without_end


def members_of(path):
    """The names and data of all members, in order, as Python's tarfile reads them."""
    with tarfile.open(path) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar.getmembers()]


def keys_in(directory):
    members = (name for shard in directory.glob("*.tar") for name, _ in members_of(shard))
    return sorted({name.partition(".")[0] for name in members})


@pytest.mark.parametrize("images_format", ["auto", "webdataset"])
def test_samples_go_with_all_their_members(remove_from, shards, listed, tmp_path, images_format):
    out = tmp_path / "out"
    report = remove_from(shards, listed, out, images_format=images_format).as_dict()
    assert names_in(tmp_path) == ["list", "out", "shards"]
    assert sorted(path.name for path in out.iterdir()) == ["00000.tar", "00001.tar"]
    stayed = [(name, data) for name, data in members_of(shards / "00000.tar") if "a1" not in name]
    assert members_of(out / "00000.tar") == stayed
    assert (out / "00001.tar").read_bytes() == (shards / "00001.tar").read_bytes()
    assert (report["engine"], report["inputs"]["images"]["format"]) == ("arrow", "webdataset")
    counts = report["counts"]
    found = [counts[name] for name in ("input_rows", "removed_rows", "kept_rows")]
    assert [*found, counts["list_unmatched_ids"]] == [6, 1, 5, 1]


def test_what_stays_is_the_same_to_the_byte(remove_from, shards, listed, tmp_path):
    """The extended headers, too: a new writer would make other ones."""
    before = (shards / "00000.tar").read_bytes()
    with tarfile.open(shards / "00000.tar") as tar:
        offsets = {info.name: info.offset for info in tar.getmembers()}
    first, last = offsets["a1.jpg"], offsets["a2.jpg"]
    remove_from(shards, listed, tmp_path / "out")
    after = (tmp_path / "out/00000.tar").read_bytes()
    kept = before[:first] + before[last:].rstrip(b"\0")
    assert after.rstrip(b"\0") == kept
    assert len(after) % 10_240 == 0


def test_the_plan_names_samples_by_shard_and_position(remove_from, shards, listed, tmp_path):
    remove_from(shards, listed, None, dry_run=True, removed_output=str(tmp_path / "plan"))
    (row,) = pq.read_table(tmp_path / "plan").to_pylist()
    assert (row["image_id"], row["row_index"]) == ("a1", 1)
    assert row["file_path"].endswith("/shards/00000.tar")
    assert names_in(tmp_path) == ["list", "plan", "shards"]


def test_a_dry_run_without_a_directory_finds_the_same_rows(
    remove_from, shards, listed, tmp_path, monkeypatch
):
    """On a cluster there is none; each task has one shard, and each query two tasks."""
    write_shard(shards / "00002.tar", "c0", "c1")
    reports = []
    for name in ("copied", "listed"):
        plan = str(tmp_path / name)
        reports.append(remove_from(shards, listed, None, dry_run=True, removed_output=plan))
        monkeypatch.setattr(Workspace, "_temporary_directory", lambda *_: None)
        monkeypatch.setattr(file_tasks, "_BYTES_PER_TASK", 1)
        monkeypatch.setattr(file_tasks, "_TASKS_IN_A_QUERY", 2)
    assert reports[0].counts == reports[1].counts
    assert reports[1].counts["input_rows"] == 8
    plans = [pq.read_table(tmp_path / name).to_pylist() for name in ("copied", "listed")]
    assert plans[0] == plans[1]
    write_shard(shards / "00001.tar").write_bytes(b"")
    with pytest.raises(UnreadableFileError, match="the file is empty"):
        remove_from(shards, listed, None, dry_run=True)


def test_ids_in_json(remove_from, shards, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["uid-b2"]).parent
    report = remove_from(shards, listed, tmp_path / "out", image_id_from="json:uid")
    assert report.counts["removed_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a0", "a1", "a2", "b0", "b1"]


def test_a_sample_without_the_field_has_no_id_and_stays(remove_from, tmp_path):
    members = [*sample("a0"), member("a1.jpg", b"1"), member("a1.json", b"[]")]
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/1.tar").write_bytes(tar_of(*members))
    listed = write_list(tmp_path / "list/1.parquet", ["uid-a0"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out", image_id_from="json:uid")
    assert report.counts["null_id_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a1"]


def test_duplicates_alone(remove_from, shards, listed, tmp_path):
    report = remove_from(shards, listed, tmp_path / "out", action="extract")
    assert report.output["num_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a1"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00000.tar"]


def test_a_shard_that_loses_all_is_left_out(remove_from, shards, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a0", "a1", "a2"]).parent
    remove_from(shards, listed, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00001.tar"]


def test_members_of_no_sample_stay_even_if_all_samples_go(remove_from, tmp_path):
    (tmp_path / "shards").mkdir()
    others = ["__x.jpg", "readme", "dir/.h.jpg"]
    (tmp_path / "shards/0.tar").write_bytes(tar_of("1.jpg", *others))
    (tmp_path / "shards/1.tar").write_bytes(tar_of("2.jpg"))
    listed = write_list(tmp_path / "list/1.parquet", ["1"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert [name for name, _ in members_of(tmp_path / "out/0.tar")] == others
    assert report.counts["kept_rows"] == 1


def test_an_output_without_samples_is_one_empty_shard(remove_from, shards, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a0", "a1", "a2", "b0", "b1", "b2"]).parent
    remove_from(shards, listed, tmp_path / "out", max_removed_fraction=1.0)
    (only,) = (tmp_path / "out").iterdir()
    assert members_of(only) == []


def test_shards_in_directories_and_keys_in_two_shards(remove_from, tmp_path):
    write_shard(tmp_path / "shards/a/0.tar", "1", "2")
    write_shard(tmp_path / "shards/b/0.tar", "2", "3")
    listed = write_list(tmp_path / "list/1.parquet", ["2"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert report.counts["removed_rows"] == 2
    assert [name for name, _ in members_of(tmp_path / "out/b/0.tar")] == [
        "3.jpg",
        "3.json",
        "3.txt",
    ]


def test_pairs_are_followed_to_their_survivors(remove_from, shards, tmp_path):
    pairs = pa.table({"id": ["a1", "b1"], "keeper_id": ["a0", "a1"]})
    write_parquet(pairs, tmp_path / "list/1.parquet")
    report = remove_from(shards, tmp_path / "list", tmp_path / "out", keeper_column="keeper_id")
    assert report.as_dict()["keepers"]["surviving_here_ids"] == 2
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b2"]


def test_files_beside_the_shards_are_named_and_not_copied(remove_from, shards, listed, caplog):
    for name in ("00000.tar.idx", "00000_stats.json", "index.json", "00000.parquet"):
        (shards / name).write_text("{}")
    remove_from(shards, listed, shards.parent / "out")
    assert sorted(path.name for path in (shards.parent / "out").iterdir()) == [
        "00000.tar",
        "00001.tar",
    ]
    assert "4 files beside the shards are not copied" in caplog.text


def test_g8_the_same_key_again_is_not_applied_twice(remove_from, shards, listed, tmp_path):
    first = remove_from(shards, listed, tmp_path / "out", run_key="k")
    before = tree_digest(tmp_path / "out")
    again = remove_from(shards, listed, tmp_path / "out", run_key="k")
    assert (first.as_dict()["repeated"], again.as_dict()["repeated"]) == (False, True)
    assert tree_digest(tmp_path / "out") == before
    with pytest.raises(RunKeyError, match="other settings"):
        remove_from(shards, listed, tmp_path / "out", run_key="k", image_id_from="json:uid")


@pytest.mark.classic("Spark Connect has no renames, so it replaces nothing")
def test_an_output_of_shards_is_replaced_and_no_other(remove_from, shards, listed, tmp_path):
    remove_from(shards, listed, tmp_path / "out")
    listed_too = write_list(tmp_path / "list2/1.parquet", ["b1"]).parent
    remove_from(shards, listed_too, tmp_path / "out", output_mode="overwrite")
    assert keys_in(tmp_path / "out") == ["a0", "a1", "a2", "b0", "b2"]
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"notes\.txt"):
        remove_from(shards, listed, tmp_path / "out", output_mode="overwrite")
    assert (tmp_path / "out/notes.txt").exists()


@pytest.mark.classic("Spark Connect has no renames, so it replaces nothing")
@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_no_directory_of_shards_is_not_replaced(
    remove_from, shards, listed, tmp_path, is_file
):
    mine = tmp_path / "mine.tar" if is_file else tmp_path / "mine/backup.tar"
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"my backup" * 100)
    output = mine if is_file else mine.parent
    with pytest.raises(OutputExistsError, match=r"not replaced"):
        remove_from(shards, listed, output, output_mode="overwrite")
    assert mine.read_bytes() == b"my backup" * 100


def test_a_directory_is_no_shard_by_its_name(remove, listed, tmp_path):
    write_parquet(image_rows(["a1", "b"]), tmp_path / "images.tar/1.parquet")
    report = remove(tmp_path / "images.tar", listed, tmp_path / "out")
    assert report.inputs["images"]["format"] == "parquet"


def test_one_shard_alone(remove_from, shards, listed, tmp_path):
    remove_from(shards / "00000.tar", listed, tmp_path / "out")
    assert keys_in(tmp_path / "out") == ["a0", "a2"]


BROKEN = {
    "cut in a header": (lambda content: content[:700], "needs the bytes up to"),
    "cut in data": (lambda content: without_end(content)[:-600], "less than a block"),
    "a flipped byte": (lambda content: b"x" + content[1:], "byte 0"),
    "no bytes": (lambda _: b"", "the file is empty"),
    "joined by cat": (lambda content: content + content, "joined by cat"),
    "gzip": (lambda content: b"\x1f\x8b" + content, "gzip"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_shard_is_refused_before_anything_is_written(refused, shards, listed, fault):
    change, words = BROKEN[fault]
    path = shards / "00001.tar"
    path.write_bytes(change(path.read_bytes()))
    refused(
        UnreadableFileError, 3, rf"00001\.tar.*{words}", shards, listed, output_format="webdataset"
    )


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
        ({}, UnreadableFileError, "--output-format webdataset"),
        ({"output_format": "delta"}, UnreadableFileError, "--output-format webdataset"),
        ({"method": "clone"}, UnreadableFileError, "--method rewrite"),
        ({"images_format": "parquet"}, TableFormatError, "--images-format webdataset"),
    ],
)
def test_what_shards_can_not_do_ends_before_any_work(
    refused, shards, listed, settings, error, words
):
    refused(error, error.exit_code, words, shards, listed, **settings)


AS_SHARDS = {"output_format": "webdataset"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"action": "annotate"} | AS_SHARDS, "annotate"),
        ({"review": "review.html"} | AS_SHARDS, "--review"),
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


def test_tables_are_not_written_as_shards(refused, listed, tmp_path):
    write_parquet(image_rows(["a1", "b"]), tmp_path / "images/1.parquet")
    refused(
        UnsupportedError,
        2,
        "rewrites Parquet to WebDataset",
        tmp_path / "images",
        listed,
        output_format="webdataset",
    )


@pytest.mark.parametrize("given", ["", "keys", "json:", "curator:0", "curator:x"])
def test_where_ids_are_is_checked_at_once(remove_from, shards, listed, tmp_path, given):
    with pytest.raises(SettingsError, match="--image-id-from must be key, json:FIELD, curator or"):
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


@pytest.mark.parametrize("name", ["00000.tar", "00001.tar"])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_g5_a_shard_that_changes_during_the_run_ends_it(
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


def write_curators_shard(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_of(*names))


CURATOR = {"image_id_from": "curator"}


def test_curators_numbers_count_jpg_alone(remove_from, tmp_path):
    names = "0.jpg", "1.jpeg", "2.JPG", "3.png", "4.seg.jpg", "5.jpg"
    write_curators_shard(tmp_path / "shards/00000.tar", *names)
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    assert keys_in(tmp_path / "out") == ["0", "1", "2", "3", "4"]
    assert report.counts["null_id_rows"] == 4  # these were never compared


def test_a_long_name_of_pax_has_no_number(remove_from, tmp_path):
    (tmp_path / "shards").mkdir()
    long = "d" * 120 + ".jpg"
    (tmp_path / "shards/0.tar").write_bytes(tar_of(long, "1.jpg", form="pax"))
    listed = write_list(tmp_path / "list/1.parquet", ["0_000000"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    assert [name for name, _ in members_of(tmp_path / "out/0.tar")] == [long]


def test_one_name_in_two_folders_is_refused_with_numbers(refused, tmp_path):
    for folder in "ab":
        write_curators_shard(tmp_path / f"shards/{folder}/00000.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    words = r"two shards of one name, .*a/00000\.tar' and .*b/00000\.tar"
    given = CURATOR | {"output_format": "webdataset"}
    refused(TableFormatError, 3, words, tmp_path / "shards", listed, **given)


@pytest.mark.parametrize("name", ["00000_000002", "00001_000000", "group_00000_x2_000000"])
def test_numbers_that_name_no_image_are_refused(refused, tmp_path, name):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001", name]).parent
    given = CURATOR | {"output_format": "webdataset"}
    refused(
        AmbiguousListError, 3, "1 listed IDs name no image", tmp_path / "shards", listed, **given
    )


def test_the_same_numbers_are_refused_on_what_this_job_wrote(remove_from, refused, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "3.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    given = CURATOR | {"output_format": "webdataset", "output": tmp_path / "again"}
    refused(TableFormatError, 3, "was written by this job", tmp_path / "out", listed, **given)


def test_numbers_of_a_sample_that_is_torn_apart_are_refused(refused, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "1.txt", "2.txt")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    given = CURATOR | {"output_format": "webdataset"}
    refused(UnreadableFileError, 3, "lie apart", tmp_path / "shards", listed, **given)


def test_a_torn_sample_goes_with_all_its_members_by_its_key(remove_from, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "1.txt", "2.txt")
    listed = write_list(tmp_path / "list/1.parquet", ["1"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert [name for name, _ in members_of(tmp_path / "out/00000.tar")] == ["2.jpg", "2.txt"]


def test_shards_that_curator_read_together_are_numbered_together(remove_from, tmp_path):
    """In the order of their paths as text; the last one stands alone."""
    for number, names in {1: "ab", 2: "cd", 10: "ef"}.items():
        write_curators_shard(tmp_path / f"shards/shard-{number}.tar", *(f"{n}.jpg" for n in names))
    listed = write_list(
        tmp_path / "list/1.parquet",
        ["group_shard-1_x2_000001", "group_shard-1_x2_000002", "shard-2_000000"],
    )
    given = {"image_id_from": "curator:2", "max_removed_fraction": 1.0}
    remove_from(tmp_path / "shards", listed.parent, tmp_path / "out", **given)
    assert keys_in(tmp_path / "out") == ["a", "d", "f"]


def test_another_size_of_groups_is_refused(refused, tmp_path):
    for number in range(4):
        write_curators_shard(tmp_path / f"shards/{number}.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["group_0_x2_000003"]).parent
    given = {"output_format": "webdataset", "image_id_from": "curator:3", "allow_no_matches": True}
    refused(AmbiguousListError, 3, "name no image", tmp_path / "shards", listed, **given)
