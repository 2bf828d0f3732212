"""What the tests of Iceberg tables share."""

from pathlib import Path

import pytest

from tests.support.spark.settings import HAS_ICEBERG
from tests.support.tables.made import write_list

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items if not HAS_ICEBERG else ():
        if item.path.is_relative_to(HERE):
            reason = "this Spark has no Iceberg runtime among its jars"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def listed(tmp_path):
    """A list of two images of the tables, and of one that is not there."""
    return write_list(tmp_path / "list", ["i3", "i17", "unknown"])


@pytest.fixture
def remove_here(remove):
    """remove_here(images, list, **settings)."""

    def remove_here(images, lists, **settings):
        return remove(images, lists, None, method="in-place", **settings)

    return remove_here
