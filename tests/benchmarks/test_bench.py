"""What the benchmark counts and saves of a run; the peers are real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import results
from tests.benchmarks.bench import Bench
from tests.benchmarks.cases import e_many_files, g_submit, h_shards
from tests.benchmarks.contenders import COPY, WEBDATASET, Contender
from tests.benchmarks.data import Made, Workload
from tests.benchmarks.peer_process import Processes
from tests.benchmarks.programs import timed
from tests.benchmarks.results import Run, Runs
from tests.benchmarks.shards import Shards

FILES = 5
ABSENT = Contender("absent", "no_such_peer")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    processes = Processes(tmp_path, shared=True)
    yield Bench("E", "small", tmp_path, processes, rounds=1)
    processes.stop()


@pytest.fixture
def made(bench: Bench) -> Made:
    """Files of about one size: a copy of 70 % of the bytes opens four of five."""
    return bench.make(Workload(rows=FILES * 10, image_bytes=1_000, files=FILES))


def saved(bench: Bench) -> Runs:
    return results.load(bench.folder / "results.json")["E"]


def test_counts_of_opens_are_saved_with_their_run(bench, made):
    bench.opens([COPY], {e_many_files.COUNTED: made})
    (run,) = saved(bench).of(e_many_files.COUNTED, COPY.name)
    assert run.details["file_opens"] == 4
    assert run.details["listings"] >= 1
    assert run.details["copied_bytes"] == made.kept_bytes


def test_counts_are_not_those_of_a_contender_that_is_left_out(bench, made):
    bench.warm([COPY, ABSENT], {e_many_files.NAME: made})
    bench.opens([COPY, ABSENT], {e_many_files.COUNTED: made})
    (run,) = saved(bench).of(e_many_files.COUNTED, COPY.name)
    assert run.details["file_opens"] == 4


def test_a_report_can_be_written_from_what_was_saved(bench, made):
    bench.warm([COPY], {e_many_files.NAME: made})
    bench.opens([COPY], {e_many_files.COUNTED: made})
    printed = "\n".join(e_many_files.report(Runs(bench.runs)))
    assert "\n".join(e_many_files.report(saved(bench))) == printed
    assert " 0.80 |" in printed


def test_a_whole_spark_submit_is_timed_and_its_output_checked(bench, made):
    plain = g_submit.Submitted("plain", g_submit.PREPARED, g_submit.CONF / "local.conf", job=None)
    with bench.output() as output:
        run = Run("G", "tiny", "plain", 0, files=FILES)
        run = timed(run, plain.command(made, output), env=plain.environment())
        assert bench.fault("tiny", ABSENT, made, output) is None
    assert run.error is None
    assert run.cpu_seconds > 0
    assert "| plain " in "\n".join(g_submit.report(Runs([run])))


def test_shards_are_copied_filtered_and_compared(bench, monkeypatch):
    monkeypatch.setattr(h_shards, "CONTENDERS", (COPY, WEBDATASET, ABSENT))
    monkeypatch.setattr(h_shards, "JOB_SHARDS", COPY)
    monkeypatch.setattr(h_shards, "SHARDS", {"small": (1, 2)})
    monkeypatch.setattr(h_shards, "SAMPLES", 20)
    h_shards.measure(bench, "small")
    ended = {run.contender: run.error for run in bench.runs}
    assert ended[COPY.name] is None
    assert ended[WEBDATASET.name] is None
    assert ended["absent"].startswith("not available")
    lines = "\n".join(h_shards.report(Runs(bench.runs))).splitlines()
    assert sum(line.startswith(f"| {WEBDATASET.name}") for line in lines) == 2
    removed = bench.make_shards(h_shards.workload(0.3, 1))
    assert len(removed.workload.kept_keys()) == 14


def test_shards_of_other_samples_are_no_result(bench):
    made = bench.make_shards(Shards(20, 2_000, files=1))
    assert bench.fault("shards", WEBDATASET, made, made.images) == (
        "wrong: 20 kept samples instead of 14"
    )
