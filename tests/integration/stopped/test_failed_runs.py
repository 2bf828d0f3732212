"""Runs that an exception or a full disk stops, in each phase: a reader sees the old or the new."""

import shutil
import subprocess

import pytest

from dedup_lib import cli, run
from dedup_lib.errors import DiskFullError
from dedup_lib.report import PHASES
from tests.support.faults.cases import CASES, check_done, left_behind
from tests.support.faults.in_process import StoppedError, stop_at

pytestmark = pytest.mark.classic("a disk is filled beside a driver of this process")

MB = 1 << 20
# New shards are killed, in test_killed_runs; here those that replace others are enough.
NAMES = [name for name in CASES if name != "shards"]


def seen_and_left(spark, case, folder):
    return case.seen(spark, folder), left_behind(folder)


@pytest.mark.parametrize("name", NAMES)
def test_g6_g7_a_run_that_fails_in_any_phase_leaves_what_was_and_the_retry_converges(
    spark, tmp_path, monkeypatch, name
):
    case = CASES[name]
    case.lay_out(spark, tmp_path)
    inputs, before = case.inputs_digest(tmp_path), case.seen(spark, tmp_path)
    settings = cli.parse(case.arguments(tmp_path))
    for phase in PHASES:
        with monkeypatch.context() as patch:
            stop_at(patch, phase)
            with pytest.raises(StoppedError):
                run(spark, settings)
        seen, left = seen_and_left(spark, case, tmp_path)
        assert left == []
        assert case.inputs_digest(tmp_path) == inputs
        if seen == "new":
            break
        assert seen == before, phase
    assert run(spark, settings).repeated
    check_done(spark, case, tmp_path, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_g7_without_a_key_a_second_run_changes_nothing_that_the_first_did(spark, tmp_path, name):
    case = CASES[name]
    case.lay_out(spark, tmp_path)
    inputs = case.inputs_digest(tmp_path)
    for code in (0, case.code_when_done):
        assert cli.run_command(case.arguments(tmp_path, is_keyed=False)) == code
        assert seen_and_left(spark, case, tmp_path) == ("new", [])
    assert case.inputs_digest(tmp_path) == inputs


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    made = subprocess.run(mount, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no disk can be mounted: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_g6_a_full_disk_leaves_what_was_and_once_there_is_room_the_retry_converges(
    spark, small_disk, name
):
    """A little more room for each try, so that the disk is full in one phase after the other."""
    case = CASES[name]
    case.lay_out(spark, small_disk)
    inputs, before = case.inputs_digest(small_disk), case.seen(spark, small_disk)
    settings = cli.parse(case.arguments(small_disk))
    failures = 0
    for free_kilobytes in (0, 8, 24, 48, 96):
        fill(small_disk, free_kilobytes)
        try:
            run(spark, settings)
        except DiskFullError:
            failures += 1
        (small_disk / "ballast").unlink()
        assert case.inputs_digest(small_disk) == inputs
        if (seen := case.seen(spark, small_disk)) == "new":
            break
        assert seen == before
    assert failures > 0
    run(spark, settings)
    check_done(spark, case, small_disk, inputs)


def fill(place, free_kilobytes):
    """Leave a disk so much room, and no more."""
    free = shutil.disk_usage(place).free - free_kilobytes * 1024
    with (place / "ballast").open("wb") as stream:
        while free > 0:
            free -= stream.write(bytes(min(free, MB)))
