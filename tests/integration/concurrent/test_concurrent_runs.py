"""Runs beside other runs, and beside writers of what they read (G8)."""

import json
import os
import subprocess
import sys
import time

import pytest

from dedup_lib.errors import ConflictError
from dedup_lib.publish import locks
from dedup_lib.session.open_storage import open_storage
from tests.support.paths import ROOT
from tests.support.processes.runs import FLAGS, environment_with, ids, small_inputs
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet
from tests.support.tables.made_shards import read_image_shards, write_image_shard

pytestmark = pytest.mark.classic("it starts processes of its own")

RACING_JOBS = ROOT / "tests/support/faults/racing_jobs.py"
OVERWRITE = ("--output-mode", "overwrite")
SHARDS = ("--images", "in/shards", *FLAGS[2:], "--output-format", "webdataset")
RACES = {
    "a new output": ("publish", *FLAGS),
    "replacing": ("publish", *FLAGS, *OVERWRITE),
    "between the renames": ("replace", *FLAGS, *OVERWRITE),
    "new shards": ("publish", *SHARDS),
}
# The parties have lists of their own, so that each output tells whose it is.
KEPT = {"a": ["a", "c", "e", None], "b": ["b", "c", "d", None]}


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """Two processes, each with all RACES; where they worked, exit codes and reports by party."""
    folder = small_inputs(tmp_path_factory.mktemp("races"))
    write_image_shard(image_rows(["a", "b", "c", "d", "e"]), folder / "in/shards/0.tar")
    for number in (1, 2):
        write_parquet(image_rows(["old"]), folder / f"{number}/1.parquet")
    (folder / "meeting").mkdir()
    write_list(folder / "in/list-b.parquet", ["a", "e"])
    lists = {"a": "in/list/", "b": "in/list-b.parquet"}
    processes = {}
    for party, listed in lists.items():
        races = [
            [place, *flags[:3], listed, *flags[4:5], f"./{number}", *flags[6:]]
            for number, (place, *flags) in enumerate(RACES.values())
        ]
        processes[party] = subprocess.Popen(
            [sys.executable, RACING_JOBS, party, "meeting", json.dumps(races)],
            cwd=folder, env=environment_with(PYTHONPATH=str(ROOT)), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    try:
        outputs = {party: one.communicate(timeout=300) for party, one in processes.items()}
    finally:
        for one in processes.values():
            one.kill()
    failed = {
        party: outputs[party][1][-5000:] for party, one in processes.items() if one.returncode
    }
    assert not failed
    return folder, {
        party: dict(zip(RACES, map(json.loads, stdout.splitlines()), strict=True))
        for party, (stdout, _) in outputs.items()
    }


@pytest.fixture
def came_of(raced, spark):
    """Exit codes, messages and the rows of a race: came_of(name)."""
    folder, outcomes = raced

    def came_of(name):
        codes = {party: ended[name][0] for party, ended in outcomes.items()}
        errors = {party: ended[name][1]["error"] for party, ended in outcomes.items()}
        output = folder / str(list(RACES).index(name))
        if name == "new shards":
            return codes, errors, read_image_shards(output)["image_id"].to_pylist()
        return codes, errors, ids(spark, output)

    return came_of


@pytest.mark.parametrize("name", ["a new output", "new shards"])
def test_g8_of_two_processes_with_one_new_output_exactly_one_succeeds(came_of, name):
    codes, errors, rows = came_of(name)
    (winner,) = (party for party, code in codes.items() if code == 0)
    (loser,) = (party for party, code in codes.items() if code == 5)
    assert errors[loser]["class"] == "ConflictError"
    assert rows == [one for one in KEPT[winner] if one is not None or name == "a new output"]


def test_g8_outputs_of_two_processes_that_replace_one_never_mix(came_of):
    codes, _, rows = came_of("replacing")
    assert sorted(codes.values()) in ([0, 0], [0, 5])
    assert rows in [KEPT[party] for party, code in codes.items() if code == 0]


def test_g8_a_process_that_publishes_is_not_disturbed_by_another(came_of):
    codes, errors, rows = came_of("between the renames")
    assert codes == {"a": 0, "b": 5}
    assert "another run is publishing" in errors["b"]["message"]
    assert rows == KEPT["a"]


def test_g8_two_processes_leave_their_outputs_and_nothing_else(raced):
    folder, _ = raced
    assert set(names_in(folder)) == {"0", "1", "2", "3", "in", "job.toml", "meeting"}


def test_g8_a_lock_is_renewed_while_it_is_held_and_so_not_taken_over(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.01)
    storage, output = open_storage(spark), f"file:{tmp_path}/out"
    lock = tmp_path / ".out.dedup-lock"
    with locks.publishing_lock(storage, output, "one"):
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 60
        while lock.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with (
            pytest.raises(ConflictError),
            locks.publishing_lock(storage, output, "another"),
        ):
            pass
    assert names_in(tmp_path) == []
