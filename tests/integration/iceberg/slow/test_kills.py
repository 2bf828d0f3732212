"""In place: runs that are killed between the steps; a retry with the same key converges."""

import pytest

from tests.support.processes.runs import stopped_runs
from tests.support.spark.settings import EXTENSIONS, INTERPRETED, iceberg_catalog
from tests.support.tables.iceberg import iceberg_table, refs
from tests.support.tables.made import write_list

pytestmark = pytest.mark.classic("it starts processes of its own")
# Where a run is stopped, and whether readers then see the rows go.
STOPS = {"deleted": False, "verify": False, "published": True}
FLAGS = ("--method", "in-place", "--run-key", "monday")


@pytest.fixture(scope="module")
def killed(spark, tmp_path_factory):
    """The table of each stop, and its list."""
    folder = tmp_path_factory.mktemp("killed")
    listed = write_list(folder / "list", ["i3", "i17"])
    tables = {place: iceberg_table(spark) for place in STOPS}
    catalog = iceberg_catalog(spark.conf.get("spark.sql.catalog.ice.warehouse"))
    jobs = [
        (place, ("--images", name, "--duplicate-ids", str(listed), *FLAGS))
        for place, name in tables.items()
    ]
    settings = INTERPRETED | catalog | {"spark.sql.extensions": EXTENSIONS}
    stopped_runs("group", jobs, cwd=folder, settings=settings)
    return tables, listed


@pytest.mark.parametrize("place", STOPS)
def test_g6_g7_readers_see_all_or_nothing_and_the_same_key_converges(
    spark, remove_here, killed, place
):
    tables, listed = killed
    name, is_published = tables[place], STOPS[place]
    assert spark.table(name).count() == (38 if is_published else 40)
    assert len(refs(spark, name)) == 2
    report = remove_here(name, listed, run_key="monday")
    assert report.repeated is is_published
    assert report.counts["removed_rows"] == 2
    assert (spark.table(name).count(), refs(spark, name)) == (38, ["main"])
    # The retry's snapshot; the one of a killed run stays until snapshots expire.
    assert spark.table(f"{name}.history").count() == 2
