"""Runs of the DAG by a real Airflow, against local Spark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.airflow.instance import processes_of, running
from tests.support.paths import ROOT

DAG = "remove_duplicates_spark"
# Runs the job, and kills spark-submit after the first one that published.
DYING_JOB = """
import os, pathlib, runpy, signal, sys
runpy.run_path({job!r}, run_name="__main__")
note = pathlib.Path({note!r})
if "--dry-run" not in sys.argv and not note.exists():
    note.touch()
    os.kill(os.getppid(), signal.SIGKILL)
"""

# Reads Delta tables with their deletion vectors; Spark is in the project's own environment.
ROWS = """
import json, sys
from pyspark.sql import SparkSession
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
for table in sys.argv[1:]:
    print(json.dumps(sorted(map(str, spark.read.format("delta").load(table).collect()))))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """An Airflow with the DAG as it is, but for the hours in which it would start or wait."""
    folder = tmp_path_factory.mktemp("airflow")
    home, dags = folder / "home", folder / "dags"
    home.mkdir()
    dags.mkdir()
    text = (ROOT / f"conf/airflow/{DAG}.py").read_text()
    for old, new in {'"0 3 * * *"': "None", "timedelta(minutes=11)": "timedelta(0)"}.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (dags / f"{DAG}.py").write_text(text)
    with running(home, dags) as started:
        yield started
    assert processes_of(home) == []


@pytest.fixture
def places(tmp_path):
    """Parameters of a run that removes two of four images."""
    for name, table in {
        "images": {"image_id": ["a", "b", "c", "d"], "image": [b"1", b"2", b"3", b"4"]},
        "list": {"id": ["b", "d"]},
    }.items():
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(table), tmp_path / name / "1.parquet")
    return {
        "images": str(tmp_path / "images"),
        "duplicate_ids": [str(tmp_path / "list")],
        "output": str(tmp_path / "unique"),
        "reports": str(tmp_path / "reports"),
        "extra_arguments": ["--output-format=delta"],
    }


def report_of(places, run, task="remove_duplicates"):
    return json.loads(Path(places["reports"], f"{run}.{task}.json").read_text())


def delta_table(location):
    """The newest version of a small Delta table, and the IDs in it."""
    logs = sorted(Path(location, "_delta_log").glob("*.json"))
    files = set()
    for action in (json.loads(line) for log in logs for line in log.read_text().splitlines()):
        files |= {action["add"]["path"]} if "add" in action else set()
        files -= {action["remove"]["path"]} if "remove" in action else set()
    tables = [pq.read_table(Path(location, name)) for name in files]
    return len(logs) - 1, sorted(pa.concat_tables(tables)["image_id"].to_pylist())


def test_a_run_makes_the_table_and_a_task_that_is_cleared_does_nothing_twice(airflow, places):
    airflow.set_variable("remove_duplicates_home", str(ROOT))
    airflow.trigger(DAG, "by-hand", **places)
    run = airflow.ended_run(DAG, "by-hand")
    assert run["state"] == "success", airflow.log(DAG, "by-hand", "dry_run", 1)
    assert report_of(places, "by-hand", "dry_run")["status"] == "dry_run"
    assert r"\"removed_rows\": 2" in airflow.log(DAG, "by-hand", "dry_run", 1)
    first = report_of(places, "by-hand")
    assert (first["status"], first["repeated"]) == ("succeeded", False)
    assert first["run_key"] == f"{DAG}/by-hand"
    assert delta_table(places["output"]) == (0, ["a", "c"])

    airflow.clear(DAG, "by-hand", "remove_duplicates")
    run = airflow.ended_run(DAG, "by-hand")
    assert (run["state"], run["remove_duplicates"]["try_number"]) == ("success", 2)
    assert report_of(places, "by-hand")["repeated"] is True
    airflow.clear(DAG, "by-hand", "dry_run")
    assert airflow.ended_run(DAG, "by-hand")["state"] == "success"
    shown = report_of(places, "by-hand", "dry_run")
    assert (shown["status"], shown["repeated"]) == ("dry_run", True)
    assert delta_table(places["output"]) == (0, ["a", "c"])


def test_a_try_that_dies_once_the_table_is_there_is_followed_by_one_that_says_so(
    airflow, places, tmp_path
):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    job, note = str(ROOT / "jobs/remove_duplicates.py"), tmp_path / "died"
    (tmp_path / "jobs/remove_duplicates.py").write_text(DYING_JOB.format(job=job, note=str(note)))
    airflow.set_variable("remove_duplicates_home", str(tmp_path))
    airflow.trigger(DAG, "dies", **places)
    run = airflow.ended_run(DAG, "dies")
    assert note.exists()
    assert (run["state"], run["remove_duplicates"]["try_number"]) == ("success", 2)
    assert "Error code is: -9" in airflow.log(DAG, "dies", "remove_duplicates", 1)
    assert report_of(places, "dies")["repeated"] is True
    assert delta_table(places["output"]) == (0, ["a", "c"])


def test_a_run_past_a_safety_limit_is_tried_once_and_makes_nothing(airflow, places):
    airflow.set_variable("remove_duplicates_home", str(ROOT))
    airflow.trigger(DAG, "limit", **places, max_removed_fraction=0.1)
    run = airflow.ended_run(DAG, "limit")
    assert run["state"] == "failed"
    assert (run["dry_run"]["state"], run["dry_run"]["try_number"]) == ("failed", 1)
    assert run["remove_duplicates"]["state"] == "upstream_failed"
    assert report_of(places, "limit", "dry_run")["error"]["class"] == "RemovedFractionError"
    assert "exit code 4: a retry does not help" in airflow.log(DAG, "limit", "dry_run", 1)
    assert not Path(places["output"]).exists()


def test_three_days_of_a_growing_table_and_list_end_in_the_rows_of_a_full_run(airflow, places):
    airflow.set_variable("remove_duplicates_home", str(ROOT))
    flags = ["--output-format=delta", "--since-last-run"]
    nightly = {**places, "output_mode": "error", "extra_arguments": flags}
    days = [(["e", "b"], ["b"]), (["f", "g"], ["b", "g"]), (["h", "e"], ["b", "g", "a"])]
    for day, (images, listed) in enumerate(days):
        rows = {"image_id": images, "image": [f"{day}{name}".encode() for name in images]}
        pq.write_table(pa.table(rows), Path(places["images"], f"day-{day}.parquet"))
        pq.write_table(pa.table({"id": listed}), Path(places["duplicate_ids"][0], "1.parquet"))
        airflow.trigger(DAG, f"day-{day}", **nightly)
        assert airflow.ended_run(DAG, f"day-{day}")["state"] == "success"
    new = report_of(places, "day-2")["since_last_run"]
    assert new == {"added_rows": 2, "deleted_ids": 1, "copied_ids": 0}
    full = f"{places['output']}-full"
    airflow.trigger(DAG, "full", **{**places, "output": full})
    assert airflow.ended_run(DAG, "full")["state"] == "success"
    command = [ROOT / ".venv/bin/python", "-c", ROWS, places["output"], full]
    read = subprocess.run(command, check=True, capture_output=True, text=True)
    by_day, at_once = map(json.loads, read.stdout.splitlines())
    assert by_day == at_once
    assert len(by_day) == 6
