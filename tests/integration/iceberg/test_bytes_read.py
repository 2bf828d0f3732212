"""In place: a deletion and its verification read IDs and positions, and no images."""

import pyarrow as pa

from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.iceberg import V3, iceberg_table
from tests.support.tables.made import write_list, write_parquet

NUM_ROWS, IMAGE_BYTES = 200, 500_000


def test_under_one_percent_of_the_table_is_read_and_written(spark, remove_here, tmp_path):
    ids = [f"image-{number:08}" for number in range(NUM_ROWS)]
    images = pa.table({"image_id": ids, "image": [bytes(IMAGE_BYTES)] * NUM_ROWS})
    images = images.append_column("shard", pa.array([0] * NUM_ROWS, pa.int32()))
    write_parquet(images, tmp_path / "1.parquet", compression="none", use_dictionary=False)
    name = iceberg_table(spark, None, V3)
    spark.sql(f"CALL ice.system.add_files('{name}', '`parquet`.`{tmp_path}/1.parquet`')")
    listed = write_list(tmp_path / "list.parquet", ids[::3])
    newest = newest_stage(spark)
    report = remove_here(name, listed)
    assert report.counts["removed_rows"] == 67
    own = stages_since(spark, newest)
    assert sum(stage.inputBytes() for stage in own) < 0.01 * NUM_ROWS * IMAGE_BYTES
    assert sum(stage.outputBytes() for stage in own) < 0.01 * NUM_ROWS * IMAGE_BYTES
