"""Image bytes are read once and written once; they are never shuffled."""

from random import Random

import pyarrow as pa
import pytest

from dedup_lib import plan_removal, remove_duplicates
from dedup_lib.methods import spark_engine
from dedup_lib.session.conf import session_settings
from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.made import write_list, write_parquet
from tests.support.tables.pinned import pinned_images

pytestmark = pytest.mark.usefixtures("as_shipped")

IMAGE_BYTES, NUM_ROWS = 10_000, 1_000


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heavy")
    ids = [f"image-{n}" for n in range(NUM_ROWS)]
    for part in range(2):
        random = Random(part)  # what could be compressed would hardly show in a shuffle
        images = [random.randbytes(IMAGE_BYTES) for _ in range(NUM_ROWS // 2)]
        images = pa.table({"image_id": ids[part::2], "image": images})
        path = folder / f"images/{part}.parquet"
        write_parquet(images, path, compression="none", use_dictionary=False)
    return folder / "images", write_list(folder / "list.parquet", ids[::3])


def shuffled_columns(frame) -> set[str]:
    """The columns that go through any exchange but a broadcast, by the physical plan."""
    plan = frame._jdf.queryExecution().executedPlan()
    nodes = [plan.initialPlan() if plan.nodeName() == "AdaptiveSparkPlan" else plan]
    found = set()
    while nodes:
        node = nodes.pop()
        children = node.children()
        nodes += [children.apply(index) for index in range(children.size())]
        if node.nodeName() == "Exchange":
            output = node.output()
            found |= {output.apply(index).name() for index in range(output.size())}
    return found


@pytest.mark.parametrize("strategy", ["broadcast-ids", "row-positions"])
def test_a_run_shuffles_ids_and_reads_each_image_once(spark, remove, inputs, tmp_path, strategy):
    images, listed = inputs
    newest = newest_stage(spark)
    remove(images, listed, tmp_path / "out", strategy=strategy)
    own = stages_since(spark, newest)
    shuffled = sum(stage.shuffleWriteBytes() for stage in own)
    read = sum(stage.inputBytes() for stage in own)
    assert shuffled < 0.02 * NUM_ROWS * IMAGE_BYTES
    assert read < 1.1 * NUM_ROWS * IMAGE_BYTES
    if spark.version < "4.1":  # which counts no byte that is read of several ranges at once
        assert read >= NUM_ROWS * IMAGE_BYTES


def test_a_cluster_that_optimizes_writes_shuffles_no_image_either(spark, remove, inputs, tmp_path):
    """Delta would bring the rows of all tasks together, to write fewer files."""
    images, listed = inputs
    newest = newest_stage(spark)
    with session_settings(spark, {"spark.databricks.delta.optimizeWrite.enabled": "true"}):
        remove(images, listed, tmp_path / "out", output_format="delta")
    shuffled = sum(stage.shuffleWriteBytes() for stage in stages_since(spark, newest))
    assert shuffled < 0.02 * NUM_ROWS * IMAGE_BYTES


@pytest.mark.classic("it walks the nodes of a physical plan")
@pytest.mark.parametrize(
    ("strategy", "action"),
    [
        ("broadcast-ids", "remove"),
        ("row-positions", "remove"),
        ("broadcast-ids", "extract"),
        ("row-positions", "extract"),
        ("broadcast-ids", "annotate"),
    ],
)
def test_no_image_column_is_in_an_exchange(spark, inputs, strategy, action):
    images, listed = inputs
    table = pinned_images(spark, images)
    planned = plan_removal(table.frame, spark.read.parquet(str(listed)))
    kept = spark_engine.apply(table, planned, strategy, action)
    assert "image" not in shuffled_columns(kept)
    assert "image" in shuffled_columns(kept.repartition(3))


@pytest.mark.classic("it walks the nodes of a physical plan")
def test_the_lazy_function_shuffles_no_image(spark, inputs):
    images, listed = inputs
    kept = remove_duplicates(spark.read.parquet(str(images)), spark.read.parquet(str(listed)))
    assert "image" not in shuffled_columns(kept)
