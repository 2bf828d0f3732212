"""A run key counts where its snapshot is part of main."""

import json

import pytest

from dedup_lib.errors import RunKeyError, VerificationError
from dedup_lib.iceberg import branch
from tests.support.faults.in_process import StoppedError
from tests.support.tables.iceberg import head, iceberg_table, refs, rows


def test_a_run_is_repeated_once_and_not_behind_a_rollback(spark, remove_here, listed):
    name = iceberg_table(spark)
    before = head(spark, name)
    first = remove_here(name, listed, run_key="${env:HOME}")
    made = head(spark, name)
    rows(spark, 5).writeTo(name).append()
    again = remove_here(name, listed, run_key="${env:HOME}")
    assert (again.repeated, again.output["version"], again.counts) == (True, made, first.counts)
    assert spark.table(name).count() == 43
    with pytest.raises(RunKeyError, match="another list"):
        remove_here(name, [listed, listed], run_key="${env:HOME}")
    spark.sql(f"CALL ice.system.rollback_to_snapshot('{name}', {before})")
    with pytest.raises(RunKeyError, match="restored to an earlier version"):
        remove_here(name, listed, run_key="${env:HOME}")
    assert not remove_here(name, listed, run_key="another").repeated
    assert spark.table(name).count() == 38


@pytest.mark.parametrize("is_dropped", [True, False])
def test_a_branch_that_was_never_published_is_no_run(
    spark, remove_here, listed, monkeypatch, is_dropped
):
    name = iceberg_table(spark)

    def stop(*_):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(branch, "publish", stop)
        if not is_dropped:
            patch.setattr(branch, "drop", lambda *_: None)
        with pytest.raises(StoppedError):
            remove_here(name, listed, run_key="monday")
    assert (len(refs(spark, name)), spark.table(name).count()) == (1 + (not is_dropped), 40)
    report = remove_here(name, listed, run_key="monday")
    assert (report.repeated, report.counts["removed_rows"]) == (False, 2)
    assert refs(spark, name) == ["main"]


def test_a_snapshot_that_does_not_follow_the_verified_one_is_no_success(
    spark, remove_here, listed, monkeypatch
):
    name = iceberg_table(spark)
    report = remove_here(name, listed, run_key="monday")
    found = branch.read_snapshots(spark, name)
    version = report.output["version"]
    note = {**found.by_id[version].note, "planned_version": 1}
    spark.sql(f"CALL ice.system.rollback_to_snapshot('{name}', {found.by_id[version].parent_id})")
    key = "spark.sql.iceberg.snapshot-property.dedup-run"
    spark.conf.set(key, json.dumps(note))
    rows(spark, 1, start=40).writeTo(name).append()
    spark.conf.unset(key)
    with pytest.raises(VerificationError, match="was made for 1"):
        remove_here(name, listed, run_key="monday")
