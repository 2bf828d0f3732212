"""The demo's ways to run the job: through spark-submit as a user does, and in one session."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.support.spark.home import QUICK
from tests.support.spark.settings import EXTENSIONS, iceberg_catalog

SPARK_CONF = Path("conf/spark/local.conf")
JOB = Path("jobs/remove_duplicates.py")
WITHDRAWN = "withdrawn/"
_SESSION_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    # Delta reads its log in 50 tasks, which here are 50 tasks of next to nothing.
    "spark.databricks.delta.snapshotPartitions": "2",
}


class DemoError(Exception):
    """The demo did not come out as it must."""


def use_own_environment() -> None:
    """Make spark-submit and sessions use this Python and its pyspark, and start fast."""
    for name in ("SPARK_REMOTE", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        os.environ.pop(name, None)
    os.environ["SPARK_HOME"] = str(QUICK)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # no name of this host is looked up


def submit_command(arguments: Sequence[str]) -> list[str]:
    """Return the whole spark-submit command for some arguments of the job."""
    submit = os.path.relpath(Path(sys.executable).parent / "spark-submit")
    options = ["--master", "local[2]", "--properties-file", str(SPARK_CONF)]
    return [submit, *options, str(JOB), *arguments]


def as_typed(command: Sequence[str]) -> str:
    """Spell a command for a shell, with a line for each flag of the job."""
    lines = [""]
    for word in command:
        is_flag = word.startswith("--") and word not in ("--master", "--properties-file")
        if is_flag or word == str(JOB):
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return " \\\n".join(lines).strip()


def submit(command: Sequence[str], log: Path) -> dict[str, Any]:
    """Run a spark-submit command, Spark's noise going to a log file.

    Returns:
        The report, which is the last line of its stdout.

    Raises:
        DemoError: It exits with another code than 0, or without a report.
    """
    with log.open("ab") as stderr:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
        )
        stderr.write(done.stdout.encode())
    lines = done.stdout.splitlines()
    if not lines:
        raise DemoError(f"spark-submit exits with {done.returncode}, and prints no report")
    report: dict[str, Any] = json.loads(lines[-1])
    if done.returncode != 0:
        raise DemoError(f"spark-submit exits with {done.returncode}: {report['error']}")
    return report


@contextmanager
def session(log: Path, warehouse: Path) -> Iterator[SparkSession]:
    """Start a session with the settings of `local.conf`; what it says on stderr goes to a log."""
    settings: dict[str, Any] = {**read_properties(SPARK_CONF), **_SESSION_SETTINGS}
    settings["spark.sql.warehouse.dir"] = warehouse.absolute().as_uri()
    settings |= {"spark.sql.extensions": EXTENSIONS}
    settings |= iceberg_catalog(str(warehouse.absolute()), "lake")
    with _stderr_to(log):
        builder = SparkSession.builder.master("local[2]").appName("demo").config(map=settings)
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()


def read_properties(path: Path) -> dict[str, str]:
    """Read a properties file of names and values with blanks between them."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    settings = (line for line in lines if line and not line.startswith("#"))
    return dict(line.split(maxsplit=1) for line in settings)


def make_delta_copy(spark: SparkSession, images: Path, delta: Path) -> int:
    """Copy an image table to Delta, with rows that are there on disk and deleted by vectors.

    Returns:
        How many such rows there are: copies of images whose ID ends with 77.

    Raises:
        DemoError: Delta deleted them without a deletion vector.
    """
    frame = spark.read.parquet(str(images))
    image_id = F.col("image_id")
    ids = F.when(image_id.endswith("77"), F.array(image_id, F.concat(F.lit(WITHDRAWN), image_id)))
    others = [name for name in frame.columns if name != "image_id"]
    doubled = frame.select(F.explode(F.coalesce(ids, F.array(image_id))).alias("image_id"), *others)
    doubled.write.format("delta").option("delta.enableDeletionVectors", "true").save(str(delta))
    deleted = spark.sql(
        f"DELETE FROM delta.`{delta.absolute()}` WHERE startswith(image_id, '{WITHDRAWN}')"
    )
    if not list(delta.glob("deletion_vector_*.bin")):
        raise DemoError(f"{delta} has no deletion vector")
    return int(deleted.collect()[0]["num_affected_rows"])


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """Send this process's stderr, and that of the processes that it starts, to a log file."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
