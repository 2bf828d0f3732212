"""What the RAPIDS Accelerator itself says of the job's rewrites; it is asked without a GPU."""

import contextlib
import json
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from dedup_lib import DuplicateIds, Report, Settings, cli, run
from dedup_lib.errors import UnsupportedError
from dedup_lib.methods import gpu_check, spark_engine
from dedup_lib.methods.gpu_plans import Fallback, Output, explanations, parsed
from dedup_lib.session.conf import session_settings
from tests.support.tables.iceberg import iceberg_table
from tests.support.tables.made import (
    delta_table,
    image_rows,
    names_in,
    tree_digest,
    write_list,
    write_parquet,
)
from tests.support.tables.pinned import pinned_images

DELTA_WRITE = "spark.rapids.sql.format.delta.write.enabled"


@pytest.fixture
def images(tmp_path):
    """Four images in one file; `string` IDs."""
    return write_parquet(image_rows(["a", "b", "c", "d"]), tmp_path / "images/1.parquet").parent


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


@pytest.fixture
def ask(spark, listed, seen):
    """What the accelerator would leave to the CPU: a dry run, by the operators' names."""

    def ask(images, output="./out", lists=None, **settings):
        lists = (DuplicateIds(str(lists or listed)),)
        asked = Settings(
            images=str(images), duplicate_ids=lists, output=str(output),
            dry_run=True, require_gpu=True, **settings,
        )  # fmt: skip
        report = Report()
        with contextlib.suppress(UnsupportedError):
            run(spark, asked, report=report)
        found = [Fallback(**item) for item in report.gpu["falls_back"]]
        assert report.engine == "spark"
        assert report.status == ("failed" if found else "dry_run")
        assert all(f"{item.operator} (" in report.error["message"] for item in found)
        return seen(found)

    return ask


def texts(spark, images, strategy="broadcast-ids", **output):
    """The accelerator's own words on reading what stays, and on writing it."""
    table = pinned_images(spark, images)
    planned = table.frame.selectExpr(
        "image_id", "'f' file_path", "0L row_index", "image_id surviving_keeper_id"
    )
    rows = spark_engine.apply(table, planned, strategy)
    output = {"format": "parquet", "location": table.root, "options": {}, **output}
    return explanations(rows, Output(partition_columns=(), **output))


@pytest.mark.parametrize("id_type", [pa.string(), pa.int64(), pa.int32()], ids=str)
def test_scan_anti_join_and_parquet_write_would_run_on_a_gpu(spark, ask, tmp_path, id_type):
    ids = ["a", "b"] if id_type == pa.string() else [1, 2]
    images = write_parquet(image_rows(ids, id_type=id_type), tmp_path / "images/1.parquet").parent
    lists = write_list(tmp_path / "list/1.parquet", ids[1:], id_type=id_type).parent
    assert ask(images, lists=lists) == {}
    reading, writing = texts(spark, images)
    for text in (reading, writing):
        assert "*Exec <FileSourceScanExec> will run on GPU" in text
        assert "*Exec <BroadcastHashJoinExec> will run on GPU" in text
        assert "!" not in text
    assert "*Output <InsertIntoHadoopFsRelationCommand> will run on GPU" in writing


def test_the_scan_of_an_iceberg_table_would_run_on_a_gpu(spark, ask, tmp_path):
    lists = write_list(tmp_path / "list/1.parquet", ["i3"]).parent
    assert ask(iceberg_table(spark), lists=lists) == {}


@pytest.mark.parametrize("action", ["remove", "extract", "annotate"])
def test_each_action_would_run_on_a_gpu(ask, images, action):
    assert ask(images, action=action) == {}


def test_all_common_types_and_required_columns_would_run_on_a_gpu(ask, tmp_path):
    rows = {
        "image_id": pa.array(["a", "b"]),
        "image": pa.array([b"x", b"y"]),
        "seen": pa.array([datetime(2026, 1, 1)] * 2, pa.timestamp("us", "UTC")),
        "day": pa.array([date(2026, 1, 1)] * 2),
        "price": pa.array([Decimal("1.5")] * 2, pa.decimal128(10, 2)),
        "score": pa.array([0.5, None], pa.float32()),
        "boxes": pa.array([[{"x": 1, "label": "cat"}]] * 2),
        "thumbnail": pa.array([{"bytes": b"x", "path": "p"}] * 2),
        "embedding": pa.array([[0.5, 0.25]] * 2, pa.list_(pa.float32())),
        "tags": pa.array([[("a", "b")]] * 2, pa.map_(pa.string(), pa.string())),
    }
    fields = [
        pa.field(name, column.type, nullable=name == "score") for name, column in rows.items()
    ]
    table = pa.table(list(rows.values()), schema=pa.schema(fields))
    assert ask(write_parquet(table, tmp_path / "images/1.parquet").parent) == {}


def test_a_time_without_a_zone_takes_all_to_the_cpu(ask, tmp_path):
    times = pa.array([datetime(2026, 1, 1)] * 2, pa.timestamp("us"))
    rows = image_rows(["a", "b"]).append_column("seen", times)
    found = ask(write_parquet(rows, tmp_path / "images/1.parquet").parent)
    assert "unsupported data types TimestampNTZType [seen]" in found["FileSourceScanExec"]
    assert "BroadcastHashJoinExec" in found


def test_arrow_is_taken_for_what_a_gpu_can_not_read(spark, images, tmp_path):
    """Where a GPU is at work; here it is only asked."""
    times = pa.array([datetime(2026, 1, 1)] * 2, pa.timestamp("us"))
    rows = image_rows(["a", "b"]).append_column("seen", times)
    without_zone = write_parquet(rows, tmp_path / "others/1.parquet").parent
    settings = Settings(images="./i", duplicate_ids=(DuplicateIds("./d"),), output="./o")
    for path, can_read in {images: True, without_zone: False}.items():
        table = pinned_images(spark, path)
        assert gpu_check.can_read(table, settings) is can_read


def test_a_partitioned_table_would_run_on_a_gpu(ask, tmp_path):
    for part in ("x", "y"):
        write_parquet(image_rows([part, "b"]), tmp_path / f"images/part={part}/1.parquet")
    assert ask(tmp_path / "images") == {}


def test_delta_with_deletion_vectors_is_read_on_a_gpu(spark, ask, tmp_path):
    rows = spark.createDataFrame(
        [("a", b"x"), ("b", b"y"), ("c", b"z")], "image_id string, image binary"
    )
    path = delta_table(rows, tmp_path / "images", enableDeletionVectors="true")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE image_id = 'c'")
    assert ask(path, output_format="parquet") == {}


def test_delta_is_written_on_the_cpu_with_the_locked_versions(spark, ask, images):
    found = ask(images, output_format="delta")
    assert found["DeltaDataSource"].startswith("Delta Lake output acceleration has been disabled")
    assert "FileSourceScanExec" not in found


def test_delta_would_be_written_on_a_gpu_where_that_is_switched_on(spark, ask, images):
    """With Delta 4.0.1. The accelerator also says so with the locked Delta, and would fail."""
    with session_settings(spark, {DELTA_WRITE: "true"}):
        assert ask(images, output_format="delta") == {}


def test_row_positions_take_the_scan_to_the_cpu(spark, images, seen):
    for text in texts(spark, images, "row-positions"):
        reasons = seen(parsed(text))
        assert reasons["FileSourceScanExec"] == "hidden metadata columns are not supported on GPU"
        assert "all" not in reasons  # each line is understood


def test_what_a_gpu_can_not_compress_it_does_not_write(spark, images, seen):
    reading, writing = texts(spark, images, options={"compression": "gzip"})
    assert parsed(reading) == []
    reasons = seen(parsed(writing))
    assert reasons["InsertIntoHadoopFsRelationCommand"] == "compression codec GZIP is not supported"


@pytest.mark.parametrize("codec", ["gzip", "zstd", "snappy"])
def test_a_codec_is_chosen_that_a_gpu_writes(ask, tmp_path, codec):
    text = pa.table({"image_id": ["a", "b"], "text": ["long " * 99, "text " * 99]})
    images = write_parquet(text, tmp_path / "images/1.parquet", compression=codec).parent
    assert ask(images) == {}


def test_a_dry_run_writes_nothing_of_what_it_asks_about(ask, images, listed, tmp_path):
    before = names_in(tmp_path), tree_digest(tmp_path)
    ask(images, tmp_path / "out")
    assert (names_in(tmp_path), tree_digest(tmp_path)) == before


@pytest.fixture
def command(images, listed, tmp_path, capsys):
    """Run the command line; its exit code and report."""

    def command(*flags):
        places = ("--images", images, "--duplicate-ids", listed, "--output", tmp_path / "out")
        code = cli.run_command([*map(str, places), "--engine", "spark", *flags])
        return code, json.loads(capsys.readouterr().out)

    yield command
    for handler in [*cli._log.handlers]:  # they write to what stderr was
        cli._log.removeHandler(handler)


def test_require_gpu_passes_a_dry_run_and_says_so(command):
    code, report = command("--require-gpu", "--dry-run")
    assert (code, report["status"]) == (0, "dry_run")
    assert report["gpu"] == {
        "mode": "explainOnly", "falls_back": [], "ran_on_gpu": None, "ran_on_cpu": None
    }  # fmt: skip
    assert report["strategy"] == "broadcast-ids"


def test_require_gpu_is_exit_2_with_the_operators_and_why(command, tmp_path):
    code, report = command("--require-gpu", "--dry-run", "--output-format", "delta")
    assert (code, report["status"]) == (2, "failed")
    assert "DeltaDataSource (Delta Lake output acceleration" in report["error"]["message"]
    assert "DeltaDataSource" in [item["operator"] for item in report["gpu"]["falls_back"]]
    assert not (tmp_path / "out").exists()


def test_require_gpu_is_exit_2_where_the_cpu_would_do_it(command, tmp_path):
    code, report = command("--require-gpu")
    assert code == 2
    assert "spark.rapids.sql.mode is explainOnly" in report["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_require_gpu_is_exit_2_where_the_accelerator_is_switched_off(spark, command):
    with session_settings(spark, {"spark.rapids.sql.enabled": "false"}):
        code, report = command("--require-gpu", "--dry-run")
    assert code == 2
    assert "spark.rapids.sql.enabled is false" in report["error"]["message"]
    assert report["gpu"]["mode"] == "disabled"


def test_without_require_gpu_the_report_says_that_the_cpu_did_it(spark, command, tmp_path):
    code, report = command()
    assert (code, report["gpu"]["mode"], report["gpu"]["ran_on_gpu"]) == (0, "explainOnly", [])
    ran = report["gpu"]["ran_on_cpu"]
    assert {"Scan parquet", "BroadcastHashJoin", "Execute InsertIntoHadoopFsRelationCommand"} <= {
        *ran
    }
    assert spark.read.parquet(str(tmp_path / "out")).count() == 3
