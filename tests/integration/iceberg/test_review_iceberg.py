"""--review of Iceberg tables: each row with its own picture, whatever its column was called."""

import html
import re
import uuid

import pytest

from dedup_lib.iceberg import format as iceberg_format
from dedup_lib.session.conf import session_settings
from tests.support.spark.settings import iceberg_catalog
from tests.support.tables.iceberg import V2
from tests.support.tables.made import write_list

pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
pytest.importorskip("PIL", reason="Pillow isn't installed")

from tests.support.review.made_review import encoded  # needs Pillow

OLD = ["i1", "i2"]
NEW = ["i11", "i12"]


def pictures(spark, ids):
    """A picture for each ID, whose width is 40 and the number in the ID; and a caption."""
    values = [
        (one, encoded((int(one[1:]), 90, 200), (40 + int(one[1:]), 30)), f"picture {one}", "ü%20")
        for one in ids
    ]
    columns = "image_id string, image binary, caption string, part string"
    return spark.createDataFrame(values, columns).coalesce(1)


@pytest.fixture
def table(spark, tmp_path):
    """A table whose location and partition need care in URIs; some rows of it were deleted."""
    catalog = f"ice_{uuid.uuid4().hex}"
    with session_settings(spark, iceberg_catalog(str(tmp_path / "ware %41#ü"), catalog)):
        writer = pictures(spark, ["i0", *OLD]).writeTo(f"{catalog}.db.t").partitionedBy("part")
        for key, value in V2.items():
            writer = writer.tableProperty(key, value)
        writer.create()
        spark.sql(f"DELETE FROM {catalog}.db.t WHERE image_id = 'i0'")
        yield f"{catalog}.db.t"


@pytest.fixture
def reviewed(remove, tmp_path):
    """The words of each pair of a review, by its ID; and how many pictures there are."""

    def reviewed(table):
        page = tmp_path / "review.html"
        listed = write_list(tmp_path / "list/1.parquet", [*OLD, *NEW])
        report = remove(
            table, listed, None, dry_run=True, review=str(page), max_removed_fraction=1.0
        )
        found = {}
        for article in re.findall(r"<article.*?</article>", page.read_text(), flags=re.DOTALL):
            words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", article)).split())
            found[re.search(r"\bi\d+", words)[0]] = words
        return found, report.review["pictures"]

    return reviewed


def size(image_id):
    return f"{40 + int(image_id[1:])} \N{MULTIPLICATION SIGN} 30"


def test_each_row_has_its_own_picture_also_in_files_with_an_older_name(spark, table, reviewed):
    spark.sql(f"ALTER TABLE {table} RENAME COLUMN image TO photo")
    spark.sql(f"ALTER TABLE {table} ADD COLUMN extra STRING FIRST")
    spark.sql(f"ALTER TABLE {table} RENAME COLUMN caption TO words")
    spark.sql(f"ALTER TABLE {table} ADD COLUMN caption STRING")
    later = pictures(spark, NEW).selectExpr(
        "'x' AS extra", "image_id", "image AS photo", "caption AS words", "part", "'new' AS caption"
    )
    later.writeTo(table).append()
    found, num_pictures = reviewed(table)
    assert num_pictures == 4
    for image_id in (*OLD, *NEW):
        assert size(image_id) in found[image_id]
        assert f"picture {image_id}" in found[image_id]


def test_an_image_column_that_was_made_anew_shows_nothing_of_the_old_one(spark, table, reviewed):
    spark.sql(f"ALTER TABLE {table} DROP COLUMN image")
    spark.sql(f"ALTER TABLE {table} ADD COLUMN image BINARY AFTER image_id")
    pictures(spark, NEW).writeTo(table).append()
    found, num_pictures = reviewed(table)
    assert num_pictures == 2
    assert "the file has no column 'image'" in found["i1"]
    assert size("i12") in found["i12"]


def test_where_the_metadata_file_can_t_be_read_no_picture_is_guessed(table, reviewed, monkeypatch):
    monkeypatch.setattr(iceberg_format, "read_fields", lambda *_: None)
    found, num_pictures = reviewed(table)
    assert num_pictures == 0
    assert "the names of the table's columns in the files are unknown" in found["i1"]
