"""Environments: which of them a command changes, and whether lock files agree."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def versions(lock: str) -> dict[str, set[str]]:
    """Return the locked versions of each package; markers may choose among several."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^(\S+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("name", ["build", "audit", "bench"])
def test_what_the_suite_has_too_is_of_the_same_version(name):
    suite, other = versions("requirements.lock"), versions(f"requirements-{name}.lock")
    shared = suite.keys() & other.keys()
    assert shared
    assert {package: other[package] for package in shared} == {
        package: suite[package] for package in shared
    }


def test_benchmarks_leave_the_environment_of_the_suite_alone():
    commands = subprocess.run(
        ["make", "--dry-run", "--always-make", "bench"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "requirements-bench.lock" in commands
    assert "-m tests.benchmarks" in commands
    assert ".venv" not in commands
