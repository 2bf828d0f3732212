"""Iceberg's errors, as Spark passes them on."""

import pytest

from dedup_lib.errors import ConflictError
from dedup_lib.iceberg.errors import conflict, is_lost_race

RACE = "org.apache.iceberg.exceptions.CommitFailedException: Version 5 already exists: /w/v5.json"


@pytest.mark.parametrize(
    "text",
    [
        RACE,
        "org.apache.iceberg.exceptions.ValidationException: Found concurrently added DV for a",
        "Cannot fast-forward: main is not an ancestor of b",
        "org.apache.iceberg.exceptions.ValidationException: Cannot use branch (does not exist): b",
    ],
)
def test_a_refused_commit_is_a_conflict(text):
    found = conflict("cat.db.t", RuntimeError(f"An error occurred:\n{text}\n\tat x.Y(Z.java:1)"))
    assert isinstance(found, ConflictError)
    assert "Run again" in str(found)
    assert "Z.java" not in str(found)


def test_any_other_error_is_none():
    assert conflict("cat.db.t", RuntimeError("OutOfMemoryError")) is None


def test_only_a_lost_race_may_be_run_again_as_it_is():
    assert is_lost_race(RuntimeError(RACE))
    assert not is_lost_race(RuntimeError("Cannot fast-forward: main is not an ancestor of b"))
