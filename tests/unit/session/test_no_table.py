"""A name that the catalog does not have."""

import pytest
from pyspark.errors import PySparkException

from dedup_lib.session.no_table import no_table


class Session:
    """A session with settings, or one that hides them."""

    def __init__(self, settings):
        self.settings = settings
        self.conf = self

    @property
    def getAll(self):  # noqa: N802  # as Spark calls it
        if self.settings is None:
            raise PySparkException("hidden")
        return self.settings


SETTINGS = {"spark.sql.catalog.ice": "x", "spark.sql.catalog.ice.type": "y", "spark.other": "z"}


@pytest.mark.parametrize("name", ["t", "db.t", "ice.db.t", "spark_catalog.db.t", "`ice`.db.t"])
def test_where_the_catalog_may_be_right_only_the_table_is_missing(name):
    assert str(no_table(Session(SETTINGS), name)) == f"there is no table {name!r} in the catalog."


def test_a_first_part_that_is_no_catalog_is_told_with_the_catalogs():
    said = str(no_table(Session(SETTINGS), "nocat.db.t"))
    assert "the session has no catalog 'nocat', but ice, spark_catalog." in said
    assert "no catalog" not in str(no_table(Session(None), "nocat.db.t"))
