"""Engine arrow: each file without its planned rows, under its name, and nothing else changed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import (
    ColumnTypeError,
    InputChangedError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.executor import copied_ids, rewrite_file, stores
from dedup_lib.files import groups as file_groups
from dedup_lib.files import rewrite as file_rewrite
from dedup_lib.files import rows as file_rows
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables.read import read_images
from tests.support.paths import ROOT
from tests.support.processes.runs import CONSOLE_ENVIRONMENT, console, report_of, run
from tests.support.spark.home import INSTALLED
from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.made import (
    image_rows,
    manifest_at,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)


@pytest.fixture
def images(tmp_path):
    """Files of rows 0 to 9, 10 to 19 and 20 to 29 in two partitions, and one file without rows."""
    ids = [f"id-{n}" for n in range(30)]
    for number, place in enumerate(("p=007/a.parquet", "p=007/b b", "p=x%2Fy/a.parquet")):
        rows = image_rows(ids[10 * number : 10 * number + 10])
        write_parquet(rows, tmp_path / "images" / place, row_group_size=4)
    write_parquet(image_rows(["x"]).slice(0, 0), tmp_path / "images/p=007/none.parquet")
    return tmp_path / "images"


@pytest.fixture
def listed(tmp_path):
    """A list of every third ID of the first 20, and an unknown one."""
    ids = [f"id-{n}" for n in range(0, 20, 3)]
    return write_list(tmp_path / "list/1.parquet", [*ids, "unknown", None]).parent


def data_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("[!._]*") if path.is_file()}


def test_files_keep_their_names_and_those_that_lose_nothing_their_bytes(
    spark, remove, images, listed, tmp_path
):
    report = remove(images, listed, tmp_path / "out")
    assert (report.engine, report.strategy) == ("arrow", None)
    assert report.choices["tasks"] == {
        "chosen": "1", "files": 4, "written_files": 4, "copied_files": 2,
    }  # fmt: skip
    assert data_files(tmp_path / "out") == data_files(images)
    before, after = tree_digest(images), tree_digest(tmp_path / "out")
    same = {name for name in before if after[name] == before[name]}
    assert same == {"p=x%2Fy/a.parquet", "p=007/none.parquet"}
    written = [path.stat().st_size for path in (tmp_path / "out").rglob("[!._]*") if path.is_file()]
    assert report.bytes["output"] == sum(written)


def test_both_engines_keep_the_same_rows(spark, remove, images, listed, tmp_path):
    for engine in ("arrow", "spark"):
        report = remove(images, listed, tmp_path / engine, engine=engine)
        assert (report.engine, report.counts["kept_rows"]) == (engine, 23)
    arrow, spark_rows = (
        row_digests(spark.read.parquet(f"{tmp_path}/{engine}")) for engine in ("arrow", "spark")
    )
    assert arrow == spark_rows


def test_a_single_file_becomes_a_directory_with_that_file(spark, remove, listed, tmp_path):
    images = write_parquet(image_rows(["id-0", "id-1"]), tmp_path / "one.parquet")
    remove(images, listed, tmp_path / "out")
    assert data_files(tmp_path / "out") == {"one.parquet"}
    assert pq.read_table(tmp_path / "out/one.parquet")["image_id"].to_pylist() == ["id-1"]


def test_a_table_that_loses_all_is_left_readable_and_empty(spark, remove, images, tmp_path):
    everything = write_list(tmp_path / "all.parquet", [f"id-{n}" for n in range(30)])
    report = remove(images, everything, tmp_path / "out", max_removed_fraction=1.0)
    assert (report.engine, report.counts["kept_rows"]) == ("arrow", 0)
    empty = spark.read.parquet(f"{tmp_path}/out")
    assert empty.count() == 0
    assert empty.columns == spark.read.parquet(str(images)).columns


def test_positions_and_paths_are_all_that_is_shuffled(spark, remove, tmp_path):
    rows = pa.table({"image_id": [f"id-{n}" for n in range(500)], "image": [b"x" * 20_000] * 500})
    for part in range(3):
        write_parquet(rows, tmp_path / f"images/{part}.parquet", compression="none")
    listed = write_list(tmp_path / "list.parquet", [f"id-{n}" for n in range(0, 500, 2)])
    newest = newest_stage(spark)
    report = remove(tmp_path / "images", listed, tmp_path / "out")
    own = stages_since(spark, newest)
    assert report.counts["removed_rows"] == 750
    assert sum(stage.shuffleWriteBytes() for stage in own) < 100 * 1_500
    assert sum(stage.memoryBytesSpilled() + stage.diskBytesSpilled() for stage in own) == 0
    assert sum(stage.inputBytes() for stage in own) < 0.05 * 3 * 500 * 20_000


def test_groups_weigh_about_the_same_and_the_heaviest_comes_first():
    mb = 1024**2
    weights = [1000 * mb, *([10 * mb] * 40), *([2 * mb] * 60), mb]
    groups = file_groups.spread(weights, group_bytes=100 * mb)
    loads = [0] * (max(groups) + 1)
    for weight, group in zip(weights, groups, strict=True):
        loads[group] += weight
    assert groups[0] == 0
    assert loads[0] == 1000 * mb
    assert max(loads[1:]) < 1.3 * min(loads[1:])
    assert file_groups.spread([5, 5], group_bytes=10**9) == [0, 0]
    assert len(set(file_groups.spread([mb] * 5000, mb, most_groups=16))) == 16


def test_groups_are_several_a_core_but_neither_tiny_nor_huge():
    mb = 1024**2
    assert file_groups.bytes_per_group(1_600 * mb, cores=4) == 100 * mb
    assert file_groups.bytes_per_group(10 * mb, cores=4) == 32 * mb
    assert file_groups.bytes_per_group(10**12, cores=4) == 256 * mb


def test_each_group_is_a_partition_of_its_own(spark):
    keys = file_groups.partition_keys(spark, 40)
    assert len(set(keys)) == 40
    placed = spark.createDataFrame([(key,) for key in keys], "key bigint").repartition(40, "key")
    assert placed.select(F.spark_partition_id()).distinct().count() == 40


@pytest.mark.classic("without such a pyarrow no file is listed there")
def test_where_it_cannot_run_the_spark_engine_is_taken_and_the_report_says_why(
    spark, remove, images, listed, tmp_path, monkeypatch
):
    monkeypatch.setattr(stores, "OLDEST_PYARROW", (999, 0))
    report = remove(images, listed, tmp_path / "out")
    assert (report.engine, report.strategy) == ("spark", "broadcast-ids")
    assert "older than 999.0" in report.choices["engine"]["reason"]
    with pytest.raises(UnsupportedError, match="older than") as refused:
        remove(images, listed, tmp_path / "2", engine="arrow")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "2").exists()


def test_a_python_worker_that_dies_gives_the_spark_engine(
    spark, remove, images, listed, tmp_path, monkeypatch
):
    monkeypatch.setattr(copied_ids, "copy_ids", lambda *_: os._exit(3))
    monkeypatch.setattr(rewrite_file, "probe", lambda *_: os._exit(3))
    report = remove(images, listed, tmp_path / "out")
    assert report.engine == "spark"
    assert "Python worker exited" in report.choices["engine"]["reason"]


def test_the_engine_is_tried_on_a_file_that_has_rows(spark, images):
    for path in (images / "p=007").iterdir():
        path.rename(path.with_name(f"z-{path.name}"))
    (images / "p=007/z-none.parquet").rename(images / "p=007/a.parquet")
    table = read_images(Session(spark, open_storage(spark)), str(images), "auto")
    assert [file.path.rpartition("/")[2] for file in table.schema_examples] == ["z-a.parquet"]


@pytest.mark.parametrize(
    "options",
    [{"strategy": "row-positions"}, {"output_format": "delta"}, {"target_file_size": "1GB"}],
)
def test_what_only_the_spark_engine_can_do_takes_it(
    spark, remove, images, listed, tmp_path, options
):
    report = remove(images, listed, tmp_path / "out", **options)
    assert report.engine == "spark"
    assert re.search("no file engine|only the spark engine", report.choices["engine"]["reason"])


def test_a_dry_run_says_which_engine_it_would_take(spark, remove, images, listed, tmp_path):
    report = remove(images, listed, None, dry_run=True)
    assert (report.status, report.engine) == ("dry_run", "arrow")
    assert names_in(tmp_path) == ["images", "list"]


def nanoseconds_in_12_bytes(path: Path) -> Path:
    """And a year that nanoseconds can't hold."""
    rows = image_rows(["id-0"])
    for name, value, unit in (("taken", 1_001, "ns"), ("late", 10**16, "us")):
        rows = rows.append_column(name, pa.array([value], pa.timestamp(unit)))
    return write_parquet(rows, path, use_deprecated_int96_timestamps=True).parent


def test_what_pyarrow_would_change_is_refused_when_its_file_is_reached(
    spark, remove, listed, tmp_path
):
    images = nanoseconds_in_12_bytes(tmp_path / "images/1.parquet")
    rows = image_rows(["id-2"])
    for name in ("taken", "late"):
        rows = rows.append_column(name, pa.array([0], pa.timestamp("us")))
    write_parquet(rows, images / "2.parquet", use_deprecated_int96_timestamps=True)
    with pytest.raises(ColumnTypeError, match=r"1\.parquet"):
        remove(images, listed, tmp_path / "out", engine="arrow")
    assert names_in(tmp_path) == ["images", "list"]


def test_g8_a_file_that_is_replaced_after_the_plan_stops_the_run(
    spark, remove, images, listed, tmp_path, monkeypatch
):
    rewrite = Rewrite.write

    def rewriting(self, plan, *given):
        write_parquet(image_rows(["id-0", "id-1"]), images / "p=007/a.parquet")
        return rewrite(self, plan, *given)

    monkeypatch.setattr(Rewrite, "write", rewriting)
    with pytest.raises(InputChangedError, match=r"p=007/a\.parquet"):
        remove(images, listed, tmp_path / "out")
    assert names_in(tmp_path) == ["images", "list"]


def test_rows_of_many_files_are_sent_in_parts(remove, images, listed, tmp_path, monkeypatch):
    """Over Spark Connect, a query with the rows of all files may be too long."""
    remove(images, listed, tmp_path / "at-once")
    monkeypatch.setattr(file_rows, "_MOST_IN_A_QUERY", 1)
    remove(images, listed, tmp_path / "in-parts")
    assert tree_digest(tmp_path / "in-parts") == tree_digest(tmp_path / "at-once")


FAIL_ONCE = """
import sys
from pathlib import Path
from dedup_lib import cli
from dedup_lib.executor import rewrite_file

folder = sys.argv[1]
write = rewrite_file._write

def failing(chosen, source, place):
    rows = write(chosen, source, place)
    seen = Path(folder, Path(source).name)
    if not seen.exists():
        seen.touch()
        raise OSError("the disk is gone for a moment")
    return rows

rewrite_file._write = failing
cli.main(sys.argv[2:])
"""


@pytest.mark.classic("it starts a process of its own")
def test_g9_a_task_that_fails_and_is_repeated_does_no_harm(spark, images, listed, tmp_path):
    (tmp_path / "seen").mkdir()
    script = tmp_path / "fail_once.py"
    script.write_text(FAIL_ONCE)
    arguments = CONSOLE_ENVIRONMENT["PYSPARK_SUBMIT_ARGS"].replace("local[2]", "local[2,4]")
    result = run(
        [sys.executable, script, tmp_path / "seen",
         "--images", images, "--duplicate-ids", listed, "--output", tmp_path / "out"],
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
        PYSPARK_SUBMIT_ARGS=arguments,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert names_in(tmp_path / "seen") == ["a.parquet", "b b"]
    assert report_of(result)["engine"] == "arrow"
    assert data_files(tmp_path / "out") == data_files(images)
    assert spark.read.parquet(f"{tmp_path}/out").count() == 23
    assert list(tmp_path.glob(".out.*")) == [manifest_at(tmp_path / "out")]


def python_without_pyarrow() -> str | None:
    python = f"{sys.base_prefix}/bin/python3"
    if not Path(python).exists():
        return None
    found = subprocess.run([python, "-c", "import pyarrow"], capture_output=True, check=False)
    return None if found.returncode == 0 else python


@pytest.mark.classic("a Python without pyspark can list no file there")
@pytest.mark.skipif(python_without_pyarrow() is None, reason="every Python here has pyarrow")
def test_executors_without_pyarrow_get_the_spark_engine(spark, images, listed, tmp_path):
    result = console(
        *("--images", str(images), "--duplicate-ids", str(listed)),
        *("--output", str(tmp_path / "out")),
        cwd=tmp_path,
        PYSPARK_PYTHON=python_without_pyarrow(),
        SPARK_HOME=str(INSTALLED),  # with the zips, for that Python has no pyspark of its own
    )
    assert result.returncode == 0, result.stderr
    report = report_of(result)
    assert report["engine"] == "spark"
    assert "pyarrow can't be imported" in json.dumps(report["choices"]["engine"])
    assert spark.read.parquet(f"{tmp_path}/out").count() == 23


@pytest.mark.parametrize("action", ["remove", "extract", "annotate"])
def test_g10_other_ids_at_the_planned_positions_end_the_run(
    remove, images, listed, tmp_path, monkeypatch, action
):
    """As if Spark had read the rows of a file in another order than pyarrow."""
    gather = file_rewrite.gather

    def misread(planned, *arguments, **named):
        planned = planned.withColumn("row_index", 9 - F.col("row_index"))
        return gather(planned, *arguments, **named)

    monkeypatch.setattr(file_rewrite, "gather", misread)
    with pytest.raises(VerificationError, match=r"/b b' has other IDs .* than the plan") as refused:
        remove(images, listed, tmp_path / "out", action=action)
    assert refused.value.exit_code == 5
    assert names_in(tmp_path) == ["images", "list"]
