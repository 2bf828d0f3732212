"""Records that are tables of a catalog, of runs that delete in place and don't publish."""

import pytest

from dedup_lib.errors import ConflictError, OutputExistsError
from dedup_lib.iceberg import delete
from dedup_lib.methods import records
from tests.support.faults.in_process import StoppedError
from tests.support.tables.iceberg import iceberg_table, new_name, rows

DROP = "DROP TABLE IF EXISTS"


@pytest.fixture(params=["iceberg", "delta"])
def record(request, spark, name):
    """A free name of a table of a format."""
    yield (free := new_name() if request.param == "iceberg" else name)
    spark.sql(f"{DROP} {free}")


def stop(*_, **__):
    raise StoppedError


def ids(spark, table):
    return sorted(row["image_id"] for row in spark.table(table).collect())


@pytest.fixture
def stopped(remove_here, listed, record, monkeypatch):
    """Stop a run before it publishes, or after it."""

    def stopped(images, module=delete, step="delete_ids"):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, stop)
            with pytest.raises(StoppedError):
                remove_here(images, listed, removed_output=record)

    return stopped


def test_a_plan_that_is_made_anew_replaces_its_record(
    spark, remove_here, listed, record, monkeypatch
):
    images, verify = iceberg_table(spark), delete.verify

    def late(*arguments):
        monkeypatch.setattr(delete, "verify", verify)
        rows(spark, 40).where("image_id IN ('i17', 'i4')").writeTo(images).append()
        verify(*arguments)

    monkeypatch.setattr(delete, "verify", late)
    remove_here(images, listed, removed_output=record)
    assert (spark.table(images).count(), ids(spark, record)) == (39, ["i17", "i17", "i3"])
    with pytest.raises(OutputExistsError, match="exists"):
        remove_here(images, listed, removed_output=record, allow_no_matches=True)


def test_the_record_of_what_was_deleted_stays(spark, remove_here, listed, record, stopped):
    images = iceberg_table(spark)
    stopped(images, records, "finish")
    assert spark.table(images).count() == 38
    for _ in range(2):
        with pytest.raises(OutputExistsError, match="exists"):
            remove_here(images, listed, removed_output=record, allow_no_matches=True)
    assert ids(spark, record) == ["i17", "i3"]


def test_a_record_that_others_wrote_to_is_theirs(spark, remove_here, listed, record, stopped):
    images = iceberg_table(spark)
    stopped(images)
    spark.table(record).limit(1).writeTo(record).append()
    with pytest.raises(OutputExistsError, match="exists"):
        remove_here(images, listed, removed_output=record)
    assert (spark.table(images).count(), spark.table(record).count()) == (40, 3)


def test_the_record_of_a_run_that_ended_early_is_dropped_by_a_person(
    spark, remove_here, listed, record, stopped
):
    """It may be the only list of what was removed: nobody can tell from the table."""
    images = iceberg_table(spark)
    stopped(images)
    with pytest.raises(ConflictError, match="DROP TABLE") as caught:
        remove_here(images, listed, removed_output=record)
    assert ids(spark, record) == ["i17", "i3"]
    spark.sql("DROP TABLE" + str(caught.value).split("DROP TABLE")[1].split(". Then")[0])
    remove_here(images, listed, removed_output=record)
    assert ids(spark, record) == ["i17", "i3"]
