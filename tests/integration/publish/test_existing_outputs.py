"""What is already at the output is replaced only when asked, and only by its like."""

import pytest

from dedup_lib.errors import OutputExistsError
from tests.support.tables.made import image_rows, tree_digest, write_parquet


def test_an_output_that_exists_is_not_replaced_unasked(refused, images, listed, tmp_path):
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    message = "/out' exists. Use --output-mode overwrite to replace it, or choose another location"
    refused(OutputExistsError, 5, message, images, listed)
    refused(OutputExistsError, 5, message, images, listed, output_format="delta")


def make_file(out):
    write_parquet(image_rows(["old"]), out)


def make_text(out):
    out.mkdir()
    (out / "thesis.txt").write_text("six years of work, and not a table")


def make_text_beside_parquet(out):
    write_parquet(image_rows(["old"]), out / "1.parquet")
    (out / "_notes.txt").write_text("don't lose this")


def make_sub_directories(out):
    write_parquet(image_rows(["old"]), out / "one/1.parquet")
    write_parquet(image_rows(["old"]), out / "other/1.parquet")


def make_text_after_parquet(out):
    write_parquet(image_rows(["old"]), out / "1.parquet")
    (out / "thesis.txt").write_text("six years of work, and not a table")


@pytest.mark.parametrize(
    "make",
    [
        make_file,
        make_text,
        make_text_beside_parquet,
        make_text_after_parquet,
        make_sub_directories,
    ],
)
def test_what_is_no_table_is_not_replaced_even_when_asked(refused, images, listed, tmp_path, make):
    make(tmp_path / "out")
    text = refused(OutputExistsError, 5, "not replaced", images, listed, output_mode="overwrite")
    assert "/out'" in text


def test_a_table_of_the_other_format_is_not_replaced(
    refused, images, listed, delta_images, tmp_path
):
    before = tree_digest(delta_images)
    message = "is a Delta table: replacing it with Parquet would destroy its log"
    overwrite = {"output_mode": "overwrite"}
    refused(OutputExistsError, 5, message, images, listed, output=delta_images, **overwrite)
    assert tree_digest(delta_images) == before
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    message = "exists and is not a Delta table: it is not replaced"
    refused(OutputExistsError, 5, message, images, listed, output_format="delta", **overwrite)


def test_a_kept_plan_that_exists_is_not_replaced_unasked(refused, images, listed, tmp_path):
    write_parquet(image_rows(["old"]), tmp_path / "plan/1.parquet")
    plan = str(tmp_path / "plan")
    refused(OutputExistsError, 5, "/plan' exists", images, listed, removed_output=plan)


def test_an_output_table_that_exists_is_not_replaced_unasked(refused, spark, images, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id STRING) USING delta")
    message = f"output '{name}' exists. Use --output-mode overwrite"
    refused(OutputExistsError, 5, message, images, listed, output=name)


@pytest.mark.parametrize("output_mode", ["error", "overwrite"])
@pytest.mark.parametrize(
    "kind", ["TABLE {} (image_id STRING) USING parquet", "VIEW {} AS SELECT 'a' AS image_id"]
)
def test_an_output_table_that_is_no_delta_table_is_not_replaced(
    refused, spark, images, listed, name, kind, output_mode
):
    spark.sql(f"CREATE {kind.format(name)}")
    refused(OutputExistsError, 5, name, images, listed, output=name, output_mode=output_mode)
