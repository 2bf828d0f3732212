"""Names of datasets, as OpenLineage has them."""

import pytest

from dedup_lib.lineage import dataset_name


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:/data/images", ("file", "/data/images")),
        ("s3a://bucket/some/images", ("s3://bucket", "some/images")),
        ("s3://bucket", ("s3://bucket", "/")),
        ("gs://bucket/images", ("gs://bucket", "images")),
        ("hdfs://host:8020/images", ("hdfs://host:8020", "/images")),
        (
            "abfss://container@account.dfs.core.windows.net/images",
            ("abfss://container@account.dfs.core.windows.net", "images"),
        ),
        ("catalog.schema.images", ("nightly", "catalog.schema.images")),
    ],
)
def test_a_location_has_the_name_by_which_other_tools_know_it(location, expected):
    assert dataset_name(location, "nightly") == expected
