"""A clone and a deletion in place read IDs and footers: what images weigh is no matter."""

import shutil

import pyarrow as pa
import pytest

from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.made import write_list, write_parquet

# A read of a file's end or of one of its columns is counted as Hadoop's buffer of 64 KB at least:
# so row groups must be of a real size for the share to be that of a real table.
NUM_ROWS = 200
LIGHT, HEAVY = 500_000, 1_600_000


def make_images(folder, image_bytes):
    """Two files of one row group each."""
    ids = [f"image-{number:08}" for number in range(NUM_ROWS)]
    for part in range(2):
        half = ids[part::2]
        table = pa.table({"image_id": half, "image": [bytes([part]) * image_bytes] * len(half)})
        path = folder / f"{part}.parquet"
        write_parquet(table, path, compression="none", use_dictionary=False)
    return write_list(folder.parent / f"{folder.name}.parquet", ids[::3])


@pytest.fixture(scope="module")
def inputs(spark, tmp_path_factory):
    """By weight: a Delta table over files of that weight, and a list of every third ID."""
    made = {}
    for image_bytes in (LIGHT, HEAVY):
        folder = tmp_path_factory.mktemp("weighed") / f"of_{image_bytes}"
        listed = make_images(folder, image_bytes)
        spark.sql(f"CONVERT TO DELTA parquet.`{folder}` NO STATISTICS").collect()
        made[image_bytes] = (folder, listed)
    yield made
    for folder, _ in made.values():
        shutil.rmtree(folder)


@pytest.mark.parametrize("method", ["clone", "in-place"])
def test_under_one_percent_of_the_table_is_read_and_no_more_of_heavier_images(
    spark, remove, inputs, tmp_path, method
):
    read = {}
    for image_bytes, (images, listed) in inputs.items():
        newest = newest_stage(spark)
        if method == "clone":
            remove(images, listed, tmp_path / f"out-{image_bytes}", method=method)
        else:
            remove(images, listed, None, method=method, enable_deletion_vectors=True)
        own = stages_since(spark, newest)
        read[image_bytes] = sum(stage.inputBytes() for stage in own)
        assert read[image_bytes] < 0.01 * NUM_ROWS * image_bytes
        assert sum(stage.outputBytes() for stage in own) < 0.01 * NUM_ROWS * image_bytes
    assert read[HEAVY] < 1.05 * read[LIGHT]
