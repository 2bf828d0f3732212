"""Tables by three-level names, also in a schema whose catalog tells no place, as Unity's don't."""

import pytest

from dedup_lib.delta import format as delta_format
from dedup_lib.errors import SettingsError
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet

RAW, UNIQUE = "spark_catalog.default.raw_images", "spark_catalog.default.`unique_images`"


@pytest.fixture
def listed(spark, tmp_path):
    place = write_parquet(image_rows(["a", "b", None]), tmp_path / "images/1.parquet").parent
    spark.read.parquet(str(place)).write.format("delta").saveAsTable(RAW)
    yield write_list(tmp_path / "list/1.parquet", ["b"]).parent
    for name in (RAW, UNIQUE):
        spark.sql(f"DROP TABLE IF EXISTS {name}")


@pytest.mark.classic("over Connect a commit keeps no files beside it")
def test_three_level_names_where_the_catalog_tells_no_place(
    spark, remove, listed, tmp_path, monkeypatch
):
    place = "table:/spark_catalog/default/u"
    monkeypatch.setattr(delta_format, "new_table_root", lambda *_: place)
    with pytest.raises(SettingsError, match="give --work-location"):
        remove(RAW, listed, UNIQUE)
    work = tmp_path / "work"
    report = remove(RAW, listed, UNIQUE, work_location=f"{work}/")
    assert report.counts["removed_rows"] == 1
    assert sorted(row.image_id or "" for row in spark.table(UNIQUE).collect()) == ["", "a"]
    assert not names_in(work)


def test_in_place_by_a_three_level_name(spark, remove, listed):
    remove(RAW, listed, None, method="in-place", enable_deletion_vectors=True, run_key="k")
    assert spark.table(RAW).count() == 2
    assert remove(RAW, listed, None, method="in-place", run_key="k").repeated
