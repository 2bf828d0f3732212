"""Statements that move branches are run again where another commit came first."""

from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from dedup_lib.errors import ConflictError, PublishError
from dedup_lib.iceberg import branch
from dedup_lib.iceberg.history import Snapshot, Snapshots

RACE = PySparkException("CommitFailedException: Table metadata refresh is required")
UNKNOWN = (
    ": org.apache.iceberg.exceptions.CommitStateUnknownException: Server error\n"
    "Cannot determine whether the commit was successful or not\n\tat x.Y(Z.java:1)"
)
ONE, TWO, THREE = (Snapshot(2**40 + n, 2**40 + n - 1, "append", {}) for n in range(3))
BY_ID = {one.snapshot_id: one for one in (ONE, TWO, THREE)}
OWN = branch.Branch("cat.db.t", "`cat`.`db`.`t`", "dedup-1", ONE.snapshot_id)


class Session:
    """Fails the first statements; the others succeed."""

    def __init__(self, errors):
        self.errors = list(errors)
        self.conf = SimpleNamespace(get=lambda *_: "a catalog")

    def sql(self, statement):
        if self.errors:
            raise self.errors.pop(0)
        moved = {"previous_ref": ONE.snapshot_id, "updated_ref": TWO.snapshot_id}
        return SimpleNamespace(collect=lambda: [moved])


def published(monkeypatch, errors, heads):
    """What `publish` says, where main's head is one after another."""
    heads = iter(heads)
    monkeypatch.setattr(
        branch,
        "read_snapshots",
        lambda *_: Snapshots(
            BY_ID, {"main": next(heads).snapshot_id, "dedup-1": TWO.snapshot_id}, ()
        ),
    )
    return branch.publish(Session(errors), OWN, TWO.snapshot_id)


def test_a_lost_race_is_run_again_while_main_stays(monkeypatch):
    assert published(monkeypatch, [RACE] * 3, [ONE, ONE, ONE, ONE, TWO])
    with pytest.raises(ConflictError):
        published(monkeypatch, [RACE] * 4, [ONE] * 5)


def test_main_that_moved_elsewhere_is_not_published_to(monkeypatch):
    sibling = Snapshot(7, ONE.snapshot_id, "append", {})
    monkeypatch.setitem(BY_ID, 7, sibling)
    assert not published(monkeypatch, [RACE], [ONE, sibling])
    assert not published(monkeypatch, [], [sibling])


@pytest.mark.parametrize("head", [TWO, THREE])
def test_a_lost_answer_is_looked_up(monkeypatch, head):
    assert published(monkeypatch, [PySparkException("timed out")], [ONE, head])


def test_an_unknown_error_where_main_stays_is_raised(monkeypatch):
    with pytest.raises(PySparkException, match="timed out"):
        published(monkeypatch, [PySparkException("timed out")], [ONE, ONE])


def test_a_catalog_that_fails_is_told_with_what_was_published(monkeypatch):
    lost = PySparkException(UNKNOWN)
    with pytest.raises(PublishError, match=r"nothing was published .* Server error"):
        published(monkeypatch, [lost], [ONE, ONE])
    assert published(monkeypatch, [lost], [ONE, TWO])

    def no_answer(*_):
        if looks.pop():
            raise PySparkException("RESTException: refused")
        return Snapshots(BY_ID, {"main": ONE.snapshot_id, "dedup-1": TWO.snapshot_id}, ())

    looks = [True, False]
    monkeypatch.setattr(branch, "read_snapshots", no_answer)
    both = rf"main may be at snapshot {TWO.snapshot_id} .* or {ONE.snapshot_id} "
    with pytest.raises(PublishError, match=both):
        branch.publish(Session([lost]), OWN, TWO.snapshot_id)


def test_a_branch_whose_answer_is_lost_is_made_again():
    """That it is there already is then no surprise."""
    session = Session([PySparkException(UNKNOWN), PySparkException("dedup-1 already exists")])
    with pytest.MonkeyPatch.context() as patch:
        heads = {"dedup-1": ONE.snapshot_id}
        patch.setattr(branch, "read_snapshots", lambda *_: Snapshots(BY_ID, heads, ()))
        branch.create(session, OWN, ONE.snapshot_id)
    assert session.errors == []


def test_main_that_was_rolled_back_and_a_branch_of_others_are_not_published(monkeypatch):
    """Iceberg itself would fast-forward an ancestor, and a commit of others on the branch."""
    earlier = Snapshot(2**40 - 1, None, "append", {})
    assert not published(monkeypatch, [], [earlier])
    monkeypatch.setattr(
        branch,
        "read_snapshots",
        lambda *_: Snapshots(BY_ID, {"main": ONE.snapshot_id, "dedup-1": THREE.snapshot_id}, ()),
    )
    with pytest.raises(ConflictError, match="dropped or changed"):
        branch.publish(Session([]), OWN, TWO.snapshot_id)
