import pytest

from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet

pytestmark = pytest.mark.usefixtures("as_shipped")


def test_the_listed_rows_go_and_the_others_stay(spark, remove, tmp_path):
    images = write_parquet(image_rows(["a", "b", None, "c"]), tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", ["b", "nope", None, "b"])
    report = remove(images, listed, tmp_path / "out")
    kept = spark.read.parquet(str(images)).where("image_id IS NULL OR image_id != 'b'")
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == row_digests(kept)
    assert report.counts["kept_rows"] == 3
