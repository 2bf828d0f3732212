"""Runs with --require-gpu, and in a session that says it has a GPU; there is none here."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import InputError, UnsupportedError
from dedup_lib.methods import gpu, gpu_check, gpu_plans, rewrite
from dedup_lib.methods.gpu import Accelerator
from dedup_lib.methods.gpu_plans import Fallback
from dedup_lib.session.conf import session_settings
from tests.support.tables.made import image_rows, write_parquet

pytestmark = pytest.mark.classic("the RAPIDS Accelerator can be asked there only")


def test_require_gpu_without_an_accelerator_is_exit_2(refused, images, listed):
    refused(UnsupportedError, 2, "no RAPIDS Accelerator", images, listed, require_gpu=True)


def test_without_an_accelerator_the_report_says_nothing_of_a_gpu(remove, images, listed, tmp_path):
    report = remove(images, listed, tmp_path / "out", engine="spark")
    assert report.gpu is None


def _gpu(_spark):
    return Accelerator("executeOnGPU")


@pytest.fixture
def accelerated(monkeypatch):
    """The session says that it has a GPU, whose accelerator leaves these to the CPU."""
    found = []
    monkeypatch.setattr(rewrite, "find_accelerator", _gpu)
    monkeypatch.setattr(gpu, "find_accelerator", _gpu)
    monkeypatch.setattr(gpu_check, "fallbacks", lambda *_: list(found))
    return found


@pytest.mark.usefixtures("accelerated")
def test_a_gpu_gets_the_spark_engine_and_settings_of_its_own(remove, listed, tmp_path):
    images = tmp_path / "zipped"
    rows = image_rows(["a", "b"]).drop_columns("image")
    write_parquet(rows, images / "1.parquet", compression="gzip")
    report = remove(images, listed, tmp_path / "out", require_gpu=True)
    assert (report.engine, report.strategy) == ("spark", "broadcast-ids")
    chosen = report.choices["settings"]["chosen"]
    assert chosen["spark.sql.parquet.compression.codec"] == "zstd"
    assert int(chosen["spark.rapids.sql.reader.batchSizeRows"]) > 0
    (path,) = (tmp_path / "out").glob("*.parquet")
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


@pytest.mark.usefixtures("accelerated")
@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_the_report_says_what_ran_where(remove, images, listed, tmp_path, output_format):
    report = remove(images, listed, tmp_path / "out", output_format=output_format)
    writing = {
        "parquet": {"Execute InsertIntoHadoopFsRelationCommand", "WriteFiles"},
        "delta": {"Execute SaveIntoDataSourceCommand"},
    }
    ran = report.gpu["ran_on_cpu"]  # for there is none
    assert {"Scan parquet", "BroadcastHashJoin", *writing[output_format]} <= {*ran}
    assert report.gpu == {
        "mode": "executeOnGPU", "falls_back": [], "ran_on_gpu": [], "ran_on_cpu": ran
    }  # fmt: skip


def test_operators_count_of_later_queries_that_are_described_the_same(spark):
    context = spark.sparkContext
    for description, frame in {
        "before": spark.range(9).distinct(),
        "others": spark.range(9).sort(F.desc("id")),
        "ours": spark.range(9).filter("id > 3"),
    }.items():
        if description == "others":
            newest = gpu_plans.newest_query(spark)
        context.setJobDescription("ours" if description == "before" else description)
        frame.collect()
    found = gpu_plans.operators_since(spark, newest)
    context.setJobDescription(None)
    assert found == ["Filter", "Range"]


def test_what_falls_back_is_reported_and_done(accelerated, remove, images, listed, tmp_path):
    accelerated.append(Fallback("FilterExec", "too hard"))
    report = remove(images, listed, tmp_path / "out")
    assert report.status == "succeeded"
    assert report.gpu["falls_back"] == [{"operator": "FilterExec", "reason": "too hard"}]


def test_what_falls_back_stops_a_run_that_requires_a_gpu(
    accelerated, refused, images, listed, tmp_path
):
    accelerated.append(Fallback("FilterExec", "too hard"))
    words = r"would leave to the CPU FilterExec \(too hard\)"
    refused(UnsupportedError, 2, words, images, listed, require_gpu=True)


def test_an_accelerator_that_can_not_be_asked_stops_only_what_requires_it(
    monkeypatch, remove, images, listed, tmp_path
):
    """The real question, to a session that has no accelerator."""
    monkeypatch.setattr(rewrite, "find_accelerator", _gpu)
    monkeypatch.setattr(gpu, "find_accelerator", _gpu)
    report = remove(images, listed, tmp_path / "out")
    assert (report.status, report.gpu["falls_back"]) == ("succeeded", None)
    with pytest.raises(UnsupportedError, match="can't say what it would run"):
        remove(images, listed, tmp_path / "other", require_gpu=True)
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("accelerated")
def test_what_spark_would_change_is_left_to_arrow(remove, listed, tmp_path):
    rows = image_rows(["a", "b"]).append_column("seen", pa.array([1, 2], pa.time64("ns")))
    images = write_parquet(rows, tmp_path / "nanoseconds/1.parquet").parent
    assert remove(images, listed, tmp_path / "out").engine == "arrow"
    with pytest.raises(InputError):
        remove(images, listed, tmp_path / "other", require_gpu=True)


def test_what_a_gpu_can_not_read_is_left_to_arrow(accelerated, remove, images, listed, tmp_path):
    accelerated.append(Fallback("FileSourceScanExec", "unsupported data types"))
    assert remove(images, listed, tmp_path / "out").engine == "arrow"
    report = remove(images, listed, tmp_path / "other", engine="spark")
    assert (report.engine, len(report.gpu["falls_back"])) == ("spark", 1)


@pytest.mark.usefixtures("accelerated")
def test_more_ids_are_broadcast_for_a_gpu(monkeypatch, remove, images, listed, tmp_path):
    """Row positions would take the scan to the CPU."""
    monkeypatch.setattr("dedup_lib.methods.spark_engine.BROADCAST_LIMIT_BYTES", 1)
    assert remove(images, listed, tmp_path / "out").strategy == "broadcast-ids"
    monkeypatch.setattr("dedup_lib.methods.spark_engine.BROADCAST_MOST_BYTES", 1)
    assert remove(images, listed, tmp_path / "more").strategy == "row-positions"


def test_a_session_without_the_plugin_has_no_accelerator(spark):
    assert rewrite.find_accelerator(spark) is None
    assert not rewrite.uses_gpu(spark)
    with session_settings(spark, {"spark.rapids.sql.enabled": "true"}):
        assert rewrite.find_accelerator(spark) is None
