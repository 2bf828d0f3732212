"""Real processes: the console script, spark-submit, and runs that are killed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.support.paths import BIN, ROOT
from tests.support.spark.java import JAVA_OPTIONS
from tests.support.spark.settings import INTERPRETED
from tests.support.tables.made import image_rows, write_list, write_parquet

QUICK = (
    "--conf", f"spark.driver.extraJavaOptions={JAVA_OPTIONS}",
    "--conf", "spark.ui.enabled=false",
    "--conf", "spark.driver.memory=1g",
    "--conf", "spark.driver.host=127.0.0.1",
    "--conf", "spark.driver.bindAddress=127.0.0.1",
    "--conf", "spark.sql.shuffle.partitions=2",
    "--conf", "spark.databricks.delta.snapshotPartitions=1",
)  # fmt: skip
# Python leads, Spark follows: so a signal to the process is a signal to the job.
_SUBMIT_ARGUMENTS = ["--master", "local[2]", *QUICK, "pyspark-shell"]
CONSOLE_ENVIRONMENT = {"PYSPARK_SUBMIT_ARGS": shlex.join(_SUBMIT_ARGUMENTS)}

SPARK_SUBMIT = (
    BIN / "spark-submit",
    *("--master", "local[2]", "--properties-file", ROOT / "conf/spark/cpu.conf"),
    *QUICK,
)


def conf_flags(settings: Mapping[str, str]) -> list[str]:
    """Settings as flags of spark-submit."""
    return [part for item in settings.items() for part in ("--conf", "=".join(item))]


def spark_submit(*arguments: str, cwd: Path, script: Path | None = None, **environment: str) -> Any:
    """Run the job as a cluster's user does."""
    script = script or ROOT / "jobs/remove_duplicates.py"
    return run([*SPARK_SUBMIT, script, *arguments], cwd=cwd, **environment)


def console(*arguments: str, cwd: Path, **environment: str) -> Any:
    """Run the console script."""
    return run([BIN / "remove-duplicates", *arguments], cwd=cwd, **environment)


def properties(path: Path) -> dict[str, str]:
    """The settings in a properties file of Spark, as they are spelled there."""
    lines = path.read_text().splitlines()
    return {
        key: value.strip()
        for key, value in (line.split(None, 1) for line in lines if line.startswith("spark."))
    }


def run(command: list[Any], *, cwd: Path, **environment: str) -> Any:
    """Run a command to its end; its output is text."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment_with(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        start_new_session=True,  # so that a process can kill all of its own group, and no other
    )


def environment_with(**changes: str) -> dict[str, str]:
    """The environment of a process that starts Spark by itself."""
    return {**os.environ, **CONSOLE_ENVIRONMENT, **changes}


def report_of(result: Any) -> dict[str, Any]:
    """The report: the only line of stdout."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def stopping_command(
    where: str, how: str, *arguments: str, settings: Mapping[str, str] | None = None
) -> list[Any]:
    """The job by spark-submit, in a process that stops itself: see stopping_job.py."""
    script = ROOT / "tests/support/faults/stopping_job.py"
    return [*SPARK_SUBMIT, *conf_flags(settings or {}), script, where, how, *arguments]


def stopped_run(where: str, how: str, *arguments: str, cwd: Path) -> Any:
    """Run the job until it stops itself, see that it did, and wait until all of it is over."""
    notes = cwd / "notes"
    environment = {"PYTHONPATH": str(ROOT), "FAULT_NOTES": str(notes)}
    command = stopping_command(where, how, *arguments, settings=INTERPRETED)
    result = run(command, cwd=cwd, **environment)
    stopped = [line for line in notes.read_text().splitlines() if line.startswith("stopped in")]
    assert stopped, result.stderr
    wait_for_group(int(stopped[0].split()[-1]))
    notes.unlink()
    return result


def stopped_runs(
    how: str,
    jobs: Sequence[tuple[str, Sequence[str]]],
    *,
    cwd: Path,
    settings: Mapping[str, str] = INTERPRETED,
) -> None:
    """Run several jobs, each to its place, in one process that is killed: see stopping_jobs.py."""
    notes, script = cwd / "notes", ROOT / "tests/support/faults/stopping_jobs.py"
    environment = {"PYTHONPATH": str(ROOT), "FAULT_NOTES": str(notes)}
    command = [*SPARK_SUBMIT, *conf_flags(settings), script, how, json.dumps(jobs)]
    result = run(command, cwd=cwd, **environment)
    assert notes.exists(), result.stderr
    wait_for_group(int(notes.read_text()))
    notes.unlink()


def wait_for_group(group: int) -> None:
    """Wait until no process of a group is alive: Java and its Python end one after the other."""
    deadline = time.monotonic() + 60
    while alive := [path for path in _processes() if _is_alive_in(path, group)]:
        assert time.monotonic() < deadline, [(path / "cmdline").read_text() for path in alive]
        time.sleep(0.02)


def _processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def _is_alive_in(process: Path, group: int) -> bool:
    """One whose first thread has ended may have others."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    state, number, threads = fields[0], int(fields[2]), int(fields[17])
    return number == group and (state not in {"Z", "X"} or threads > 1)


FLAGS = ("--images", "in/images", "--duplicate-ids", "in/list/", "--output", "./out")
KEPT = ["a", "c", "e", None]


def small_inputs(folder: Path) -> Path:
    """Write six rows in two files, lists, and a config: FLAGS remove two and keep KEPT."""
    write_parquet(image_rows(["a", "b", None, "c"]), folder / "in/images/1.parquet")
    write_parquet(image_rows(["d", "e"]), folder / "in/images/2.parquet")
    write_list(folder / "in/list/1.parquet", ["b", "d", "b"])
    write_list(folder / "in/wrong.parquet", ["x", "y"])
    (folder / "job.toml").write_text(
        'images = "in/images"\nduplicate_ids = ["in/list"]\noutput = "./config-out"\n'
    )
    return folder


def ids(spark: SparkSession, path: Path, table_format: str = "parquet") -> list[Any]:
    """The IDs in a table."""
    rows = spark.read.format(table_format).load(str(path)).collect()
    return sorted((row.image_id for row in rows), key=repr)
