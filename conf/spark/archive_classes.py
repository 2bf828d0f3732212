"""Archive Java's classes, so that Spark starts sooner: `make setup` runs this.

    python conf/spark/archive_classes.py

Java maps the archive (190 MB) instead of loading each class from its jar: a short run takes about
half the time. The script makes a small table, lets the job rewrite and clone it, and archives the
classes that were loaded. It does nothing if the archive fits Java and Spark's jars. Runs work
without it too.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from prepare_spark import ARCHIVE, HERE, JARS, QUICK_HOME, QUIET_ARCHIVES

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.session.start import start_session

_MADE_OF = ARCHIVE.with_suffix(".made-of")


def main() -> None:
    wanted = java_and_jars()
    if ARCHIVE.exists() and _MADE_OF.exists() and _MADE_OF.read_text() == wanted:
        return
    ARCHIVE.unlink(missing_ok=True)  # Java can't read one while it makes one
    print("Making an archive of Java's classes: Spark starts sooner with it")
    with tempfile.TemporaryDirectory(dir=ARCHIVE.parent) as name:
        archive = Path(name) / ARCHIVE.name
        run_jobs(Path(name), archive)
        archive.replace(ARCHIVE)  # in one step: Java crashes on half an archive
    _MADE_OF.write_text(wanted)


def java_and_jars() -> str:
    """Return a digest of what an archive depends on."""
    home = os.environ.get("JAVA_HOME")
    command = [f"{home}/bin/java" if home else "java", "-version"]
    java = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in JARS.iterdir()]
    return hashlib.sha256(f"{java} {QUICK_HOME} {sorted(stats)}".encode()).hexdigest()


def java_options() -> str:
    """Return the options of Java in local.conf."""
    key = "spark.driver.extraJavaOptions"
    lines = (HERE / "local.conf").read_text().splitlines()
    (found,) = [line.removeprefix(key).strip() for line in lines if line.startswith(key)]
    return found


def run_jobs(folder: Path, archive: Path) -> None:
    """Run the job in a new process of Java, and wait until that has written the archive."""
    options = f"{java_options()} -XX:ArchiveClassesAtExit={shlex.quote(str(archive))}"
    arguments = ["--master", "local[2]", "--driver-java-options", f"{options} {QUIET_ARCHIVES}"]
    os.environ.pop("SPARK_REMOTE", None)
    os.environ |= {
        "SPARK_HOME": str(QUICK_HOME),
        "PYSPARK_SUBMIT_ARGS": shlex.join([*arguments, "pyspark-shell"]),
    }
    rows = {"image_id": ["a", "b", None], "image": [b"1", b"2", b"3"], "width": [1, 2, 3]}
    for name, table in {"images": rows, "list": {"id": ["b"]}}.items():
        (folder / name).mkdir()
        pq.write_table(pa.table(table), folder / name / "1.parquet")
    spark = start_session()
    for output, method in {"rewritten": "rewrite", "cloned": "clone"}.items():
        lists = (DuplicateIds(str(folder / "list")),)
        settings = Settings(
            images=str(folder / "images"),
            duplicate_ids=lists,
            output=str(folder / output),
            method=method,
        )
        run(spark, settings)
    java = spark.sparkContext._gateway.proc  # noqa: SLF001  # pyspark has no other way
    spark.stop()
    java.stdin.close()  # which ends it
    java.wait()


if __name__ == "__main__":
    sys.exit(main())
