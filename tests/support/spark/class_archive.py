"""An archive of Java's classes, which a JVM maps instead of loading each: Spark starts sooner.

`python -m tests.support.spark.class_archive` makes it, if Java or the jars are others than it was
made of. Tests run without it too, and take longer.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.support.spark.home import use_quick_spark
from tests.support.spark.java import CLASS_ARCHIVE, QUICK_JAVA, QUIET_ARCHIVES
from tests.support.spark.settings import SPARK_SETTINGS
from tests.support.tables.made import image_rows, write_list, write_parquet

MADE_OF = CLASS_ARCHIVE.with_suffix(".made-of")


def main() -> None:
    use_quick_spark()
    wanted = java_and_jars()
    if CLASS_ARCHIVE.exists() and MADE_OF.exists() and MADE_OF.read_text() == wanted:
        return
    print("Making an archive of Java's classes: tests are quicker with it")
    CLASS_ARCHIVE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CLASS_ARCHIVE.parent) as name:
        archive = Path(name) / CLASS_ARCHIVE.name
        dump = f"-XX:ArchiveClassesAtExit={shlex.quote(str(archive))} {QUIET_ARCHIVES}"
        run_job(Path(name), f"{QUICK_JAVA} {dump}")
        archive.replace(CLASS_ARCHIVE)  # in one go: a JVM crashes on half an archive
    MADE_OF.write_text(wanted)


def java_and_jars() -> str:
    java = subprocess.run(["java", "-version"], check=True, capture_output=True, text=True).stderr
    jars = sorted((Path(pyspark.__file__).parent / "jars").iterdir())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in jars]
    return hashlib.sha256(f"{java} {os.environ['SPARK_HOME']} {stats}".encode()).hexdigest()


def run_job(folder: Path, java_options: str) -> None:
    """Make a small clone, which needs most of Spark and Delta, and wait for the end of Java."""
    builder = SparkSession.builder.master("local[2]")
    for key, value in SPARK_SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.config("spark.driver.extraJavaOptions", java_options).getOrCreate()
    images = write_parquet(image_rows(["a", "b", None]), folder / "images/1.parquet").parent
    lists = (DuplicateIds(str(write_list(folder / "list.parquet", ["b"]))),)
    output = str(folder / "clone")
    run(spark, Settings(images=str(images), duplicate_ids=lists, output=output, method="clone"))
    java = spark.sparkContext._gateway.proc
    spark.stop()
    java.stdin.close()  # which ends it
    java.wait()


if __name__ == "__main__":
    main()
