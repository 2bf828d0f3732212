"""Executors that are killed while they work change neither rows nor counts (G9)."""

import hashlib
import json
import shlex
import shutil
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.processes.runs import QUICK, conf_flags, run
from tests.support.spark.home import QUICK as QUICK_SPARK
from tests.support.spark.java import JAVA_OPTIONS
from tests.support.spark.settings import INTERPRETED
from tests.support.tables.made import image_rows, write_list, write_parquet
from tests.support.tables.made_shards import member_digests, write_image_shard

pytestmark = pytest.mark.classic("it starts a cluster of its own")

# Two executors of one core each, and a task for each file, the smallest last: the executor that
# meets the last row of that one has done a task before, whose results it takes along.
CLUSTER = {
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.memory": "768m",
    "spark.sql.files.minPartitionNum": "4",
    "spark.shuffle.io.retryWait": "100ms",  # what a dead executor held is gone, not late
    "spark.eventLog.enabled": "true",
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
    "spark.eventLog.dir": "events",
}
FILES = {"0.parquet": 40, "1.parquet": 30, "2.parquet": 20, "3.parquet": 10}
KILLED = "Command exited with code 137"  # Spark's words for SIGKILL
LISTED = [f"id-{n}" for n in range(0, 200, 3)]
LAST, LAST_LISTED = "id-98", "id-96"
BY_SPARK = {"engine": "spark"}
MANY_BYTES = 128 * 1024**2


def a_run(adaptive, kills, settings=None, *, shuffled=False):
    """A run; where IDs are shuffled, no list is small enough to be broadcast."""
    limit = 0 if shuffled else MANY_BYTES
    adaptive = "true" if adaptive else "false"
    return {
        "adaptive": adaptive,
        "kills": kills,
        "settings": settings or {},
        "broadcast_limit_bytes": limit,
    }


RUNS = {
    "no fault": a_run(True, {}),
    "arrow, AQE on": a_run(True, {"scan": "3.parquet", "named": "3.parquet"}),
    "arrow, AQE off": a_run(False, {"join": LAST_LISTED, "write": "3.parquet"}, shuffled=True),
    "spark, AQE on": a_run(True, {"join": LAST_LISTED, "rewrite": LAST}, BY_SPARK, shuffled=True),
    "spark, AQE off": a_run(
        False, {"scan": "3.parquet", "rewrite": LAST}, BY_SPARK | {"strategy": "row-positions"}
    ),
    "Delta, in place": a_run(True, {"delete": LAST_LISTED}, {"method": "in-place"}),
}
SHARDS = a_run(True, {"scan": "3.tar", "write": "3.tar"}, {"output_format": "webdataset"})


def write_inputs(folder):
    start = 0
    for name, num_rows in FILES.items():
        ids = [f"id-{n}" for n in range(start, start + num_rows - 1)] + [None]
        write_parquet(image_rows(ids), folder / "images" / name)
        write_image_shard(image_rows(ids), (folder / "shards" / name).with_suffix(".tar"))
        start += num_rows
    write_list(folder / "list.parquet", LISTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs; places for events; and a Spark of links, since its workers work where it is."""
    folder = tmp_path_factory.mktemp("cluster")
    write_inputs(folder)
    (folder / "events").mkdir()
    shutil.copytree(QUICK_SPARK, folder / "spark", symlinks=True)
    return folder


@pytest.fixture(scope="module")
def outcomes(folder):
    """What came of each of RUNS, one after the other on one cluster."""
    wanted = [*RUNS.values(), SHARDS]
    for number, one in enumerate(wanted):
        if one["settings"].get("method") != "in-place":
            one["settings"]["output"] = f"./{number}"
    settings = conf_flags(INTERPRETED | CLUSTER)  # AQE is set for each run
    submit = ["--master", "local-cluster[2,1,1024]", *QUICK, *settings, "pyspark-shell"]
    result = run(
        [sys.executable, ROOT / "tests/support/clusters/cluster_runs.py", json.dumps(wanted)],
        cwd=folder,
        PYTHONPATH=str(ROOT),
        PYSPARK_SUBMIT_ARGS=shlex.join(submit),
        SPARK_HOME=str(folder / "spark"),
    )
    assert result.returncode == 0, result.stderr[-5000:]
    names = [*RUNS, "shards"]
    return dict(zip(names, map(json.loads, result.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", RUNS)
def test_g9_a_lost_executor_changes_neither_rows_nor_counts(outcomes, name):
    found, expected = outcomes[name], outcomes["no fault"]
    assert found["killed"] == sorted(RUNS[name]["kills"])
    assert found["report"]["counts"] == expected["report"]["counts"]
    assert found["rows"] == expected["rows"]


def test_g9_without_a_fault_the_counts_are_those_of_the_set_model(outcomes):
    counts = outcomes["no fault"]["report"]["counts"]
    assert (counts["input_rows"], counts["kept_rows"], counts["removed_rows"]) == (100, 69, 31)
    assert (counts["null_id_rows"], counts["list_matched_ids"]) == (4, 31)


def test_g9_a_lost_executor_changes_neither_shards_nor_counts(outcomes, folder):
    found = outcomes["shards"]
    assert found["killed"] == sorted(SHARDS["kills"])
    counts = found["report"]["counts"]
    assert (counts["input_rows"], counts["kept_rows"], counts["removed_rows"]) == (96, 65, 31)
    expected = "".join(member_digests(folder / "shards", without=LISTED))
    assert found["rows"] == hashlib.sha256(expected.encode()).hexdigest()


def test_g9_each_kill_took_an_executor_with_its_task(outcomes, folder):
    (log,) = (folder / "events").iterdir()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    reasons = [event["Task End Reason"] for event in events if "Task End Reason" in event]
    lost = [reason for reason in reasons if reason["Reason"] == "ExecutorLostFailure"]
    num_kills = sum(len(wanted["kills"]) for wanted in (*RUNS.values(), SHARDS))
    assert [reason["Loss Reason"] for reason in lost] == [KILLED] * num_kills
    assert len({reason["Executor ID"] for reason in lost}) == num_kills
