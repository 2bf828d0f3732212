"""All or nothing: faults in this process, the journal, the lock, the kept plan."""

import errno
import json
import os
import time
from pathlib import Path

import pytest

from dedup_lib.delta.format import DeltaFormat
from dedup_lib.errors import (
    ConflictError,
    DiskFullError,
    InputChangedError,
    OutputExistsError,
    RemovedFractionError,
    RunKeyError,
    SettingsError,
    VerificationError,
)
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.parquet.format import ParquetFormat
from dedup_lib.plan import id_scan
from dedup_lib.publish import locks, owners
from dedup_lib.session.open_storage import open_storage
from tests.support.faults.in_process import StoppedError
from tests.support.tables.made import (
    image_rows,
    names_in,
    note_of,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    write_parquet(image_rows(["a", "b", None, "c"]), folder / "images/1.parquet")
    write_parquet(image_rows(["d", "e"]), folder / "images/2.parquet")
    return folder / "images", write_list(folder / "list.parquet", ["b", "d"])


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def ids(spark, path, table_format="parquet"):
    rows = spark.read.format(table_format).load(str(path)).collect()
    return sorted((row.image_id for row in rows), key=repr)


KEPT = ["a", "c", "e", None]


@pytest.mark.classic("it has no renames of its own that could fail")
def test_the_second_rename_failing_puts_the_old_output_back(
    spark, remove, inputs, folder, monkeypatch
):
    write_parquet(image_rows(["old"]), folder / "out/1.parquet")
    before = tree_digest(folder)
    storage = type(open_storage(spark))
    rename = storage.rename

    def fail_second(self, source, target):
        if source.endswith("/output"):
            raise StoppedError
        rename(self, source, target)

    monkeypatch.setattr(storage, "rename", fail_second)
    with pytest.raises(StoppedError):
        remove(*inputs, folder / "out", output_mode="overwrite")
    assert tree_digest(folder) == before


def after_rewrite(monkeypatch, do):
    """Let something happen when all files are staged, before they are verified."""
    rewrite = Rewrite.write

    def rewriting(self, plan, *given):
        staged = rewrite(self, plan, *given)
        do(self.attempt)
        return staged

    monkeypatch.setattr(Rewrite, "write", rewriting)


@pytest.mark.parametrize("engine", ["arrow", "spark"])
@pytest.mark.parametrize("damage", ["delete", "truncate", "empty"])
def test_g10_a_staged_file_that_is_damaged_is_noticed_and_nothing_is_published(
    spark, remove, inputs, folder, monkeypatch, damage, engine
):
    damaged = []

    def damage_one(_):
        path = max(folder.rglob("output/*.parquet"))
        damaged.append(path.name)
        if damage == "delete":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:100] if damage == "truncate" else b"")
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)

    after_rewrite(monkeypatch, damage_one)
    with pytest.raises(VerificationError) as refused:
        remove(*inputs, folder / "out", engine=engine)
    assert damage == "delete" or damaged[0] in str(refused.value)
    assert names_in(folder) == []


def test_g10_a_delta_commit_that_is_wrong_is_named_with_the_command_that_undoes_it(
    spark, remove, inputs, folder, monkeypatch
):
    remove(*inputs, folder / "out", output_format="delta")
    monkeypatch.setattr(DeltaFormat, "count_rows", lambda *_: 3)
    with pytest.raises(VerificationError, match=r"RESTORE TABLE .* TO VERSION AS OF 0"):
        remove(*inputs, folder / "out", output_format="delta", output_mode="overwrite")


@pytest.mark.parametrize("engine", ["arrow", "spark"])
@pytest.mark.parametrize("change", ["replace", "delete"])
def test_g8_an_image_file_that_changes_during_the_run_is_noticed(
    spark, remove, inputs, folder, monkeypatch, change, engine
):
    def change_one(_):
        path = inputs[0] / "1.parquet"
        if change == "delete":
            path.unlink()
        else:
            write_parquet(image_rows(["a", "b", "f"]), path)

    after_rewrite(monkeypatch, change_one)
    with pytest.raises(InputChangedError, match=r"1\.parquet"):
        remove(*inputs, folder / "out", engine=engine)
    assert names_in(folder) == []


def test_g8_files_that_are_added_during_the_run_are_not_in_the_output(
    spark, remove, inputs, folder, monkeypatch
):
    read_ids = id_scan.read_ids

    def adding(*args):
        write_parquet(image_rows(["new"]), inputs[0] / "3.parquet")
        return read_ids(*args)

    monkeypatch.setattr(id_scan, "read_ids", adding)
    remove(*inputs, folder / "out")
    assert (inputs[0] / "3.parquet").exists()
    assert ids(spark, folder / "out") == KEPT


def test_g8_another_writer_that_was_quicker_wins(spark, remove, inputs, folder, monkeypatch):
    promote = ParquetFormat.promote

    def late(*args):
        write_parquet(image_rows(["other"]), folder / "out/1.parquet")
        promote(*args)

    monkeypatch.setattr(ParquetFormat, "promote", late)
    with pytest.raises(ConflictError):
        remove(*inputs, folder / "out")
    assert ids(spark, folder / "out") == ["other"]


def died_replacing(folder, **journal):
    """The old output where it was moved to, and the journal that says so."""
    write_parquet(image_rows(["old"]), folder / ".out.dedup-old-1/1.parquet")
    moved = {"old": ".out.dedup-old-1", "run": "run-1"} | journal
    (folder / ".out.dedup-journal").write_text(json.dumps(moved))


@pytest.mark.parametrize("mode", ["error", "overwrite"])
# As another machine spells the same place, and where something made the directory since.
@pytest.mark.parametrize("old", [".out.dedup-old-1", "file:/mnt/x/.out.dedup-old-1"])
@pytest.mark.parametrize("is_empty_there", [False, True])
def test_g6_a_replacement_that_died_between_its_renames_is_mended(
    spark, remove, inputs, folder, mode, old, is_empty_there
):
    died_replacing(folder, old=old)
    if is_empty_there:
        (folder / "out").mkdir()
    if mode == "error":
        with pytest.raises(OutputExistsError):
            remove(*inputs, folder / "out")
        assert ids(spark, folder / "out") == ["old"]
    else:
        remove(*inputs, folder / "out", output_mode=mode)
        assert ids(spark, folder / "out") == KEPT
    assert names_in(folder) == ["out"]


@pytest.mark.parametrize("text", ["", "[]", '{"old"'])
def test_g6_a_journal_that_was_cut_off_loses_no_output(spark, remove, inputs, folder, text):
    died_replacing(folder)
    (folder / ".out.dedup-journal").write_text(text)
    with pytest.raises(OutputExistsError):
        remove(*inputs, folder / "out")
    assert ids(spark, folder / "out") == ["old"]
    assert names_in(folder) == ["out"]


def test_g6_a_replacement_that_died_after_its_renames_is_tidied(spark, remove, inputs, folder):
    write_parquet(image_rows(["new"]), folder / "out/1.parquet")
    (folder / "out/_remove_duplicates.json").write_text('{"run": "run-1"}')
    died_replacing(folder)
    remove(*inputs, folder / "out", output_mode="overwrite")
    assert names_in(folder) == ["out"]


def test_g6_the_old_output_is_not_deleted_for_what_another_writer_made_there_since(
    spark, remove, inputs, folder
):
    died_replacing(folder)
    write_parquet(image_rows(["another"]), folder / "out/1.parquet")
    before = tree_digest(folder)
    with pytest.raises(ConflictError, match="the earlier output is at") as conflict:
        remove(*inputs, folder / "out", output_mode="overwrite")
    assert conflict.value.exit_code == 5
    assert tree_digest(folder) == before


def owner(**changes):
    values = json.loads(owners.owner_text("other"))
    return json.dumps(values | changes)


def test_g8_a_lock_that_is_held_ends_the_run_and_leaves_lock_and_output(
    spark, remove, inputs, folder
):
    lock = folder / ".out.dedup-lock"
    lock.write_text(owner(host="elsewhere"))
    with pytest.raises(ConflictError):
        remove(*inputs, folder / "out")
    assert names_in(folder) == [".out.dedup-lock"]


@pytest.mark.parametrize("why", ["dead process", "dead process of the same number", "old", "empty"])
def test_g8_a_lock_that_was_left_is_taken_over(spark, remove, inputs, folder, why):
    lock = folder / ".out.dedup-lock"
    texts = {
        "dead process": owner(pid=2**22 + 1),
        "dead process of the same number": owner(process="another"),
        "old": owner(host="elsewhere"),
        "empty": "",
    }
    lock.write_text(texts[why])
    if why in ("old", "empty"):
        long_ago = time.time() - locks.LOCK_TAKEOVER_SECONDS - 1
        os.utime(lock, (long_ago, long_ago))
    remove(*inputs, folder / "out")
    assert names_in(folder) == ["out"]


def test_g8_directories_that_killed_runs_left_are_swept_but_not_those_of_living_ones(
    spark, remove, inputs, folder
):
    for name, text in (("dead", owner(pid=2**22 + 1)), ("alive", owner(host="elsewhere"))):
        (folder / f".out.dedup-{name}").mkdir()
        (folder / f".out.dedup-{name}/owner.json").write_text(text)
    remove(*inputs, folder / "out")
    assert names_in(folder) == [".out.dedup-alive", "out"]


@pytest.mark.classic("an executor deletes the directory at once")
def test_g7_a_deletion_that_was_cut_off_is_done_by_the_next_run(
    spark, remove, inputs, folder, monkeypatch
):
    """Killed while it tidied up: what says whose the directory is goes last."""
    storage = type(open_storage(spark))
    delete, deleted = storage.delete, []

    def delete_once(self, location):
        if ".out.dedup-" in location and deleted:
            raise StoppedError
        deleted.append(location)
        delete(self, location)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", delete_once)
        patch.setattr(owners, "_PROCESS_TOKEN", "one that is dead by now")
        with pytest.raises(StoppedError):
            remove(*inputs, folder / "out", max_removed_fraction=0.01)
    (left,) = names_in(folder)
    assert "owner.json" in names_in(folder / left)
    remove(*inputs, folder / "out")
    assert names_in(folder) == ["out"]


def test_g7_what_is_left_beside_an_output_is_found_though_work_is_elsewhere(
    spark, remove, inputs, folder
):
    (folder / "work").mkdir()
    for place in (folder / ".out.dedup-dead", folder / "work/.out.dedup-dead"):
        place.mkdir()
        (place / "owner.json").write_text(owner(pid=2**22 + 1))
    remove(*inputs, folder / "out", work_location=str(folder / "work"))
    assert names_in(folder) == ["out", "work"]
    assert names_in(folder / "work") == []


def test_g16_a_report_that_cant_be_written_hides_no_error(remove, inputs, folder, monkeypatch):
    replace = Path.replace

    def no_room(self, target):
        if target.name == "report.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", no_room)
    report = str(folder / "report.json")
    with pytest.raises(RemovedFractionError):
        remove(*inputs, folder / "out", max_removed_fraction=0.01, report=report)
    with pytest.raises(DiskFullError):
        remove(*inputs, folder / "out", report=report)
    assert names_in(folder) == ["out"]


@pytest.mark.parametrize("key", ["monday", None])
def test_g7_a_run_with_nothing_left_to_do_tidies_up_what_a_killed_one_left(
    spark, remove, inputs, folder, key
):
    """Killed before it said whose its directory is, while it published, and taking over a lock."""
    remove(*inputs, folder / "out", run_key=key)
    for directory in (".out.dedup-empty", ".out.dedup-old-empty", ".out.dedup-1-companion"):
        (folder / directory).mkdir()
    (folder / ".out.dedup-1-companion/data").write_text("a table refers to it")
    for lock in (".out.dedup-lock", ".out.dedup-stale-lock-1"):
        (folder / lock).write_text(owner(pid=2**22 + 1))
    if key is None:
        with pytest.raises(OutputExistsError):
            remove(*inputs, folder / "out")
    else:
        assert remove(*inputs, folder / "out", run_key=key).repeated
    assert names_in(folder) == [".out.dedup-1-companion", ".out.dedup-old-empty", "out"]


def test_overwrite_keeps_its_hands_off_what_is_no_table(spark, remove, inputs, folder):
    cases = {
        "notes": {"a.txt": b"precious"},
        "mixed": {"1.parquet": b"PAR1 no", "thesis.tex": b"precious"},
        "nested": {"a/b/c.parquet": b"x"},
    }
    for name, files in cases.items():
        for path, data in files.items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_bytes(data)
    (folder / "file").write_bytes(b"precious")
    spark.range(1).write.format("delta").save(f"{folder}/delta")
    write_parquet(image_rows(["old"]), folder / "parquet/1.parquet")
    before = tree_digest(folder)
    for name in (*cases, "file", "delta"):
        with pytest.raises(OutputExistsError):
            remove(*inputs, folder / name, output_mode="overwrite")
    with pytest.raises(OutputExistsError):
        remove(*inputs, folder / "parquet", output_mode="overwrite", output_format="delta")
    assert tree_digest(folder) == before


def test_a_dry_run_writes_the_report_and_the_plan_and_nothing_else(
    spark, remove, inputs, folder, tmp_path
):
    before = tree_digest(tmp_path / "in")
    report = remove(
        *inputs, folder / "out", dry_run=True,
        report=f"{folder}/report.json", removed_output=f"{folder}/plan",
    )  # fmt: skip
    assert names_in(folder) == ["plan", "report.json"]
    assert json.loads((folder / "report.json").read_text())["status"] == "dry_run"
    assert report.counts["kept_rows"] == 4
    assert report.seconds.keys() == {"plan", "check"}
    plan = spark.read.parquet(f"{folder}/plan").collect()
    assert sorted((row.image_id, row.row_index) for row in plan) == [("b", 1), ("d", 0)]
    assert tree_digest(tmp_path / "in") == before


def test_the_kept_plan_obeys_the_output_mode(spark, remove, inputs, folder):
    plan = f"{folder}/plan"
    remove(*inputs, None, dry_run=True, removed_output=plan)
    for dry_run in (True, False):
        with pytest.raises(OutputExistsError):
            remove(*inputs, folder / "out", dry_run=dry_run, removed_output=plan)
    remove(*inputs, folder / "out", removed_output=plan, output_mode="overwrite")
    assert names_in(folder) == ["out", "plan"]


def test_a_kept_plan_of_a_run_that_did_not_publish_does_not_block_the_retry(
    spark, remove, inputs, folder, monkeypatch
):
    plan = f"{folder}/plan"
    promote = ParquetFormat.promote

    def stop_second(self, session, staged, *rest):
        if staged.target.location.endswith("/out"):
            raise StoppedError
        promote(self, session, staged, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(ParquetFormat, "promote", stop_second)
        with pytest.raises(StoppedError):
            remove(*inputs, folder / "out", removed_output=plan)
    assert names_in(folder) == ["plan"]
    remove(*inputs, folder / "out", removed_output=plan)
    assert names_in(folder) == ["out", "plan"]
    with pytest.raises(OutputExistsError, match="plan"):
        remove(*inputs, folder / "out2", removed_output=plan)


def test_a_kept_plan_goes_into_a_delta_table_by_name(spark, remove, inputs, folder):
    try:
        remove(*inputs, folder / "out", removed_output="kept_plan")
        assert {row.image_id for row in spark.table("kept_plan").collect()} == {"b", "d"}
    finally:
        spark.sql("DROP TABLE IF EXISTS kept_plan")


def test_a_work_location_is_used_and_left_empty(spark, remove, inputs, folder, monkeypatch):
    seen = []
    after_rewrite(monkeypatch, lambda attempt: seen.append(attempt.directory))
    remove(*inputs, folder / "out", work_location=f"{folder}/work")
    assert f"{folder}/work/.out.dedup-" in seen[0]
    assert names_in(folder) == ["out", "work"]
    assert names_in(folder / "work") == []


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no second file system at hand")
def test_a_work_location_on_another_file_system_is_refused(remove, inputs, folder):
    with pytest.raises(SettingsError, match="another file system"):
        remove(*inputs, folder / "out", work_location="/dev/shm/dedup-work")


def test_the_target_file_size_decides_how_many_files_there_are(remove, folder, tmp_path):
    rows = image_rows([f"id-{n}" for n in range(400)])
    images = write_parquet(rows, tmp_path / "images/1.parquet", row_group_size=20).parent
    listed = write_list(tmp_path / "list.parquet", ["id-1"])
    for size in ("20KB", "1GB"):
        report = remove(images, listed, folder / size, target_file_size=size)
        settings = report.choices["settings"]["chosen"]
        assert int(settings["spark.sql.files.maxPartitionBytes"]) >= report.bytes["output"] // 10
    counts = [len(list((folder / size).glob("*.parquet"))) for size in ("20KB", "1GB")]
    assert counts[0] >= 4 > counts[1]


def test_the_manifest_and_the_marker_are_there_when_the_output_is(remove, inputs, folder):
    remove(*inputs, folder / "out")
    manifest = note_of(folder / "out")
    assert manifest["counts"]["kept_rows"] == 4
    assert (folder / "out/_SUCCESS").exists()


def test_what_a_run_sets_in_the_session_is_put_back(spark, remove, inputs, folder):
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    try:
        # Delta itself notes in the session which version it committed last: here always 0.
        remove(*inputs, folder / "first", output_format="delta")
        before = {row.key: row.value for row in spark.sql("SET").collect()}
        remove(*inputs, folder / "out")
        remove(*inputs, folder / "delta", output_format="delta")
        assert {row.key: row.value for row in spark.sql("SET").collect()} == before
    finally:
        spark.conf.unset("spark.sql.files.ignoreCorruptFiles")


def test_rows_come_out_of_overwritten_tables_as_they_went_in(spark, remove, inputs, folder):
    for table_format in ("parquet", "delta"):
        for _ in range(2):
            remove(
                *inputs, folder / table_format,
                output_format=table_format, output_mode="overwrite",
            )  # fmt: skip
    frames = [spark.read.format(name).load(f"{folder}/{name}") for name in names_in(folder)]
    outputs = [row_digests(frame) for frame in frames]
    assert outputs[0] == outputs[1]
    assert names_in(folder) == ["delta", "parquet"]


def test_files_of_a_table_that_a_killed_run_was_making_are_named(spark, remove, inputs):
    """The state between the first data file and the catalog's knowing of the table."""
    warehouse = spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:")
    left = Path(warehouse) / "half_made" / "part-0.parquet"
    write_parquet(image_rows(["x"]), left)
    with pytest.raises(OutputExistsError, match="Delete the directory"):
        remove(*inputs, "half_made")
    assert left.exists()


@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_g7_the_same_run_key_is_one_run(spark, remove, inputs, folder, output_format):
    images, listed = inputs
    settings = {"output_format": output_format, "run_key": "monday"}
    first = remove(images, listed, folder / "out", **settings)
    before = tree_digest(folder / "out")
    again = remove(images, listed, folder / "out", **settings)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.counts == first.counts
    shown = remove(images, listed, folder / "out", dry_run=True, **settings)
    assert (shown.status, shown.repeated, shown.counts) == ("dry_run", True, first.counts)
    with pytest.raises(RunKeyError, match="other settings"):
        remove(images, listed, folder / "out", removed_output=str(folder / "gone"), **settings)
    with pytest.raises(OutputExistsError):
        remove(images, listed, folder / "out", **{**settings, "run_key": "tuesday"})
    assert tree_digest(folder / "out") == before
    assert names_in(folder) == ["out"]
    replacing = {**settings, "output_mode": "overwrite"}
    assert remove(images, listed, folder / "out", **replacing).repeated
    replaced = remove(images, listed, folder / "out", **{**replacing, "run_key": "tuesday"})
    assert not replaced.repeated
    assert ids(spark, folder / "out", output_format) == KEPT
