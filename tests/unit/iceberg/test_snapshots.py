"""Which snapshots are part of main, and which runs made them."""

import pytest

from dedup_lib.iceberg.history import NOTE, Snapshot, Snapshots


def snapshot(snapshot_id, parent_id, operation="append", note=None):
    summary = {} if note is None else {NOTE: note}
    return Snapshot(snapshot_id, parent_id, operation, summary)


KEYED = '{"run_key": "monday"}'


def snapshots(*made, main, was_main=()):
    return Snapshots({one.snapshot_id: one for one in made}, {"main": main}, was_main)


def found(it, key="run_key", value="monday"):
    one = it.find_run(key, value)
    return one and (one[0].snapshot_id, one[1])


ONE, TWO = snapshot(1, None), snapshot(2, 1, "overwrite", KEYED)


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        pytest.param(snapshots(ONE, TWO, main=2, was_main=(1, 2)), (2, False), id="head"),
        pytest.param(
            snapshots(ONE, TWO, snapshot(3, 2), main=3, was_main=(1, 2, 3)),
            (2, False),
            id="ancestor",
        ),
        pytest.param(snapshots(ONE, TWO, main=1, was_main=(1,)), None, id="on a branch"),
        pytest.param(snapshots(ONE, TWO, main=1, was_main=(1, 2, 1)), (2, True), id="rolled back"),
        pytest.param(
            snapshots(ONE, TWO, snapshot(3, 1, note=KEYED), main=3, was_main=(1, 2, 1, 3)),
            (3, False),
            id="rolled back, then run again",
        ),
        pytest.param(snapshots(ONE, main=1, was_main=(1, 2)), None, id="expired"),
        pytest.param(
            snapshots(ONE, snapshot(2, 1, note="[1"), main=2, was_main=(1, 2)), None, id="no note"
        ),
        pytest.param(snapshots(main=None), None, id="no snapshot"),
    ],
)
def test_a_run_counts_where_its_snapshot_is_or_was_part_of_main(it, expected):
    assert found(it) == expected
    assert found(it, value=None) == expected
    assert found(it, value="tuesday") is None


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([ONE], True),
        ([ONE, snapshot(2, 1), snapshot(3, 2)], True),
        ([ONE, snapshot(2, 1), snapshot(3, 2, "replace")], False),
        ([ONE, snapshot(2, 1, "overwrite"), snapshot(3, 2)], False),
        ([ONE, snapshot(3, 2)], False),  # snapshot 2 has expired
        ([ONE, snapshot(2, None)], False),  # replaced, or rolled back
    ],
)
def test_main_has_only_grown_where_each_snapshot_since_then_appended(made, expected):
    assert snapshots(*made, main=made[-1].snapshot_id).has_only_grown(1) is expected


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        pytest.param(snapshots(ONE, TWO, main=2, was_main=(1, 2)), [2, 1], id="head"),
        pytest.param(snapshots(ONE, TWO, main=2, was_main=(2,)), [2, 1], id="published together"),
        pytest.param(
            snapshots(ONE, TWO, main=1, was_main=(1, 2, 1)), ["rollback", 1], id="rolled back"
        ),
        pytest.param(
            snapshots(ONE, TWO, main=2, was_main=(1, 2, 1, 2)), [2, 1], id="and forward again"
        ),
        pytest.param(
            snapshots(ONE, TWO, snapshot(3, 1), main=3, was_main=(1, 2, 1, 3)),
            [3, "rollback", 1],
            id="rolled back, then written",
        ),
        pytest.param(
            snapshots(ONE, snapshot(3, 1), main=3, was_main=(1, 2, 1, 3)), [3, 1], id="expired"
        ),
        pytest.param(snapshots(main=None), [], id="no snapshot"),
    ],
)
def test_the_commits_of_main_and_whether_it_was_rolled_back(it, expected):
    found = [one.version if one.name != "rollback" else one.name for one in it.operations()]
    assert found == expected
