"""A Delta table to delete from in place, and a list."""

import pytest

from tests.support.tables.in_place import IDS, LISTED
from tests.support.tables.made import delta_table, image_rows, write_list, write_parquet


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", LISTED)


@pytest.fixture(scope="module")
def made_rows(spark, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "1.parquet"
    return spark.read.parquet(str(write_parquet(image_rows(IDS), path)))


@pytest.fixture
def images(made_rows, tmp_path):
    return delta_table(made_rows, tmp_path / "images", enableDeletionVectors="true")


@pytest.fixture
def remove_here(remove):
    """remove_here(images, list, **settings)."""

    def remove_here(images, lists, **settings):
        return remove(images, lists, None, method="in-place", **settings)

    return remove_here
