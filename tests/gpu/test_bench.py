"""make bench-gpu as far as it goes without a GPU: it ends, times the CPU, and says so."""

import re

import pytest

from tests.benchmarks import gpu
from tests.benchmarks.gpu import Case, check_same_rows, table

CASES = [Case("small images", "i", "l", 2_000_000_000)]


def found(rows=("1", "2"), seconds=1.0):
    return [{"plan": [seconds, 9.0, 0.0], "apply": [2 * seconds] * 3, "rows": [*rows]}]


def test_a_table_without_a_gpu_has_the_cpus_seconds():
    line = table(CASES, {"arrow": found(seconds=3.0), "spark": found()}).splitlines()[-1]
    assert line == "| small images | 2.00 | 1.0 s | - | - | 6.0 s | 2.0 s | - | - |"


def test_a_table_with_a_gpu_has_its_ratios():
    results = {"arrow": found(), "spark": found(seconds=3.0), "gpu": found(seconds=2.0)}
    line = table(CASES, results).splitlines()[-1]
    assert line.endswith("| 2.00 | 3.0 s | 2.0 s | 1.50 | 2.0 s | 6.0 s | 4.0 s | 1.50 |")


def test_other_rows_are_an_error():
    with pytest.raises(SystemExit, match="small images: other rows came out"):
        check_same_rows(CASES, {"spark": found(), "gpu": found(rows=("1", "3"))})


def test_without_a_gpu_the_cpu_is_timed_and_that_is_said(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(gpu, "gpu_name", lambda: None)
    monkeypatch.setattr(gpu, "IMAGE_BYTES", (20_000,))
    monkeypatch.setattr(gpu, "LONG_LIST", 1_000)
    monkeypatch.setattr(gpu, "run_way", small_heap(gpu.run_way))
    gpu.main(["--gigabytes", "0.002", "--rounds", "1", "--folder", str(tmp_path / "bench")])
    printed = capfd.readouterr().out
    assert printed.rstrip().endswith(gpu.NO_GPU)
    assert "The rows of all ways are the same in each case." in printed
    assert len(re.findall(r"^\| .* s \| - \| - \| .* s \| .* s \| - \| - \|$", printed, re.M)) == 3
    assert not (tmp_path / "bench").exists()


def small_heap(run_way):
    """As the command does it, on a machine of 4 GB."""

    def run(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpu.os, "sysconf", lambda _: 2**16)
            return run_way(*arguments)

    return run
