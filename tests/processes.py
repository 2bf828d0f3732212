"""Real processes: the console script, spark-submit, and runs that are killed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Short runs are over before the optimising compiler has paid for itself.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
QUICK = (
    "--conf", f"spark.driver.extraJavaOptions={JAVA_OPTIONS}",
    "--conf", "spark.ui.enabled=false",
    "--conf", "spark.driver.memory=1g",
    "--conf", "spark.driver.host=127.0.0.1",
    "--conf", "spark.driver.bindAddress=127.0.0.1",
    "--conf", "spark.sql.shuffle.partitions=2",
    "--conf", "spark.databricks.delta.snapshotPartitions=2",
)  # fmt: skip
# Python leads, Spark follows: so a signal to the process is a signal to the job.
_SUBMIT_ARGUMENTS = ["--master", "local[2]", *QUICK, "pyspark-shell"]
CONSOLE_ENVIRONMENT = {"PYSPARK_SUBMIT_ARGS": shlex.join(_SUBMIT_ARGUMENTS)}


def spark_submit(*arguments: str, cwd: Path, script: Path | None = None, **environment: str) -> Any:
    """Run the job as a cluster's user does."""
    command = [
        BIN / "spark-submit",
        *("--master", "local[2]", "--properties-file", ROOT / "conf/spark/cpu.conf"),
        *QUICK,
        script or ROOT / "jobs/remove_duplicates.py",
        *arguments,
    ]
    return run(command, cwd=cwd, **environment)


def console(*arguments: str, cwd: Path, **environment: str) -> Any:
    """Run the console script."""
    return run([BIN / "remove-duplicates", *arguments], cwd=cwd, **environment)


def run(command: list[Any], *, cwd: Path, **environment: str) -> Any:
    """Run a command to its end; its output is text."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **CONSOLE_ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def report_of(result: Any) -> dict[str, Any]:
    """The report: the only line of stdout."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def stopped_run(where: str, how: signal.Signals, *arguments: str, cwd: Path) -> Any:
    """Run the job in a process that gets a signal at a named place, and see it die."""
    command = [sys.executable, ROOT / "tests/stopping_job.py", where, how.name, *arguments]
    return run(command, cwd=cwd, PYTHONPATH=str(ROOT))
