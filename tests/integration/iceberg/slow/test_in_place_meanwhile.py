"""In place: others change the table meanwhile, or the branch is not as planned."""

import os

import pytest
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import ConflictError, PlanOutdatedError, VerificationError
from dedup_lib.iceberg import branch, delete
from dedup_lib.publish.owners import owner_name
from tests.support.tables.iceberg import head, iceberg_table, refs, rows

REWRITE_ALL = "map('rewrite-all', 'true'))"


def before(monkeypatch, module, name, act, *, times=1):
    """Let something happen before a step of the run, the first times."""
    step, left = getattr(module, name), [act] * times

    def acting(*args, **options):
        if left:
            left.pop()()
        return step(*args, **options)

    monkeypatch.setattr(module, name, acting)


def test_rows_that_are_appended_meanwhile_are_planned_anew(
    spark, remove_here, listed, monkeypatch, tmp_path
):
    name = iceberg_table(spark)

    def append():
        late = rows(spark, 40).where("image_id IN ('i17', 'i4')")
        late.writeTo(name).append()

    before(monkeypatch, branch, "publish", append)
    report = remove_here(name, listed, run_key="monday", removed_output=str(tmp_path / "plan"))
    assert (report.counts["input_rows"], report.counts["removed_rows"]) == (42, 3)
    assert spark.table(name).count() == 39
    assert spark.read.parquet(str(tmp_path / "plan")).count() == 3
    assert spark.table(f"{name}.history").count() == 3
    assert refs(spark, name) == ["main"]


def test_an_approved_plan_is_not_widened(spark, remove, remove_here, listed, monkeypatch, tmp_path):
    name, plan = iceberg_table(spark), str(tmp_path / "plan")
    remove(name, listed, None, method="in-place", dry_run=True, removed_output=plan)
    before(monkeypatch, branch, "publish", lambda: rows(spark, 1).writeTo(name).append())
    with pytest.raises(ConflictError, match="--apply-plan") as error:
        remove_here(name, [], apply_plan=plan)
    assert not isinstance(error.value, PlanOutdatedError)
    assert (spark.table(name).count(), refs(spark, name)) == (41, ["main"])


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {name} WHERE image_id = 'i3'",
        "CALL ice.system.rewrite_data_files(table => '{name}', options => " + REWRITE_ALL,
    ],
    ids=["delete", "compact"],
)
def test_any_other_change_meanwhile_is_a_conflict(
    spark, remove_here, listed, monkeypatch, statement
):
    name = iceberg_table(spark)
    before(monkeypatch, branch, "publish", lambda: spark.sql(statement.format(name=name)))
    with pytest.raises(ConflictError, match="Run again"):
        remove_here(name, listed)
    assert spark.table(name).where("image_id = 'i17'").count() == 1
    assert refs(spark, name) == ["main"]


def test_snapshots_that_expire_meanwhile_change_nothing(spark, remove_here, listed, monkeypatch):
    name = iceberg_table(spark)
    rows(spark, 10, start=40).writeTo(name).append()
    expire = (
        f"CALL ice.system.expire_snapshots(table => '{name}', retain_last => 1, "
        "older_than => TIMESTAMP '2999-01-01 00:00:00')"
    )
    before(monkeypatch, branch, "publish", lambda: spark.sql(expire))
    remove_here(name, listed)
    assert (spark.table(name).count(), spark.table(f"{name}.snapshots").count()) == (48, 2)


@pytest.mark.parametrize(
    ("module", "step"), [(delete, "delete_ids"), (delete, "verify"), (branch, "publish")]
)
def test_a_run_whose_branch_is_dropped_ends_and_main_stays(
    spark, remove_here, listed, monkeypatch, module, step
):
    name = iceberg_table(spark)
    before_it = head(spark, name)

    def drop():
        (other,) = set(refs(spark, name)) - {"main"}
        spark.sql(f"ALTER TABLE {name} DROP BRANCH `{other}`")

    before(monkeypatch, module, step, drop)
    with pytest.raises(ConflictError, match="branch"):
        remove_here(name, listed)
    assert (head(spark, name), refs(spark, name)) == (before_it, ["main"])


def test_a_branch_that_others_changed_is_not_published(spark, remove_here, listed, monkeypatch):
    name = iceberg_table(spark)
    before_it = head(spark, name)

    def append():
        (other,) = set(refs(spark, name)) - {"main"}
        rows(spark, 1, start=40).writeTo(f"{name}.`branch_{other}`").append()

    before(monkeypatch, delete, "own_snapshot", append)
    with pytest.raises(ConflictError, match="dropped or changed"):
        remove_here(name, listed)
    assert (head(spark, name), refs(spark, name)) == (before_it, ["main"])


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids.where("image_id <> 'i3'"),
        lambda ids: ids.union(ids.sparkSession.sql("SELECT 'i4'")),
        lambda ids: ids.select(F.regexp_replace("image_id", "^i3$", "i4").alias("image_id")),
    ],
    ids=["fewer", "more", "others"],
)
def test_a_branch_that_hides_other_rows_than_planned_is_not_published(
    spark, remove_here, listed, monkeypatch, change
):
    name = iceberg_table(spark)
    before_it = head(spark, name)
    planned = delete.Plan.removed_ids.fget
    monkeypatch.setattr(delete.Plan, "removed_ids", property(lambda plan: change(planned(plan))))
    with pytest.raises(VerificationError, match="not published"):
        remove_here(name, listed)
    assert (head(spark, name), refs(spark, name)) == (before_it, ["main"])


def test_a_publication_that_moves_another_branch_is_noticed(
    spark, remove_here, listed, monkeypatch
):
    name = iceberg_table(spark)
    monkeypatch.setattr(branch, "MAIN", "Main")
    with pytest.raises(VerificationError, match="refs and history"):
        remove_here(name, listed)
    assert spark.table(name).count() == 40


def test_an_answer_that_is_lost_does_not_fail_a_run_that_is_published(
    spark, remove_here, listed, monkeypatch
):
    """The statement is sent again, as Spark Connect may, and then fails."""
    name = iceberg_table(spark)
    publish, drop = branch.publish, branch.drop

    def twice(spark, own, snapshot):
        assert publish(spark, own, snapshot)
        assert publish(spark, own, snapshot)
        drop(spark, own.table, own.name)
        return publish(spark, own, snapshot)

    monkeypatch.setattr(branch, "publish", twice)
    assert remove_here(name, listed).counts["removed_rows"] == 2
    assert spark.table(name).count() == 38


def test_of_branches_only_those_of_dead_runs_are_dropped(
    spark, remove_here, listed, caplog, tmp_path
):
    name = iceberg_table(spark)
    live = owner_name("000000000001")
    start, pid, _, machine = owner_name("000000000002").rsplit("-", 3)
    dead, elsewhere = f"{start}-{pid}-before-{machine}", f"{start}-{pid}-before-elsewhere"
    for one in (live, dead, elsewhere, "dedup-of-a-person"):
        spark.sql(f"ALTER TABLE {name} CREATE BRANCH `{one}`")
    remove_here(name, listed, dry_run=True)
    assert dead in refs(spark, name)
    remove_here(name, listed)
    assert refs(spark, name) == sorted([live, elsewhere, "dedup-of-a-person", "main"])
    warned = "\n".join(one.getMessage() for one in caplog.records if one.levelname == "WARNING")
    assert elsewhere in warned
    assert dead not in warned
    assert str(os.getpid()) in live


def test_of_two_runs_with_one_key_one_applies_and_the_other_repeats(
    spark, remove_here, listed, monkeypatch
):
    name = iceberg_table(spark)
    reports = []
    settings = Settings(
        images=name,
        duplicate_ids=(DuplicateIds(str(listed)),),
        method="in-place",
        run_key="monday",
    )
    other = spark.newSession()
    before(monkeypatch, branch, "publish", lambda: reports.append(run(other, settings)))
    reports.append(remove_here(name, listed, run_key="monday"))
    assert [report.repeated for report in reports] == [False, True]
    assert [report.output["version"] for report in reports] == [head(spark, name)] * 2
    assert (spark.table(name).count(), refs(spark, name)) == (38, ["main"])
