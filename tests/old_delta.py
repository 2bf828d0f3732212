"""A Spark with an older Delta: the oldest that is supported, which has no EXISTS in DELETE."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path

import pyspark

from tests.processes import ROOT

PINS = ROOT / "tests/matrix/spark-4.0.4-delta-4.0.1.jars.sha256"


def spark_home() -> Path | None:
    """Make a SPARK_HOME of links to the installed Spark, with the older jars; None if offline."""
    home = ROOT / "build/spark-with-old-delta"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        (home / "jars").mkdir(parents=True)
        if not _fetch(home / "jars"):
            return None
        _link(Path(pyspark.__file__).parent, home)
        (home / "ready").touch()
    return home


def _fetch(jars: Path) -> bool:
    path = ROOT / "conf/spark/prepare_spark.py"
    spec = importlib.util.spec_from_file_location("prepare_spark", path)
    prepare_spark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare_spark)
    pinned = prepare_spark.read_pins(PINS)
    for _ in range(prepare_spark.TRIES):
        with tempfile.TemporaryDirectory() as folder:
            if prepare_spark.fetch(Path(folder), prepare_spark.package_of(pinned)):
                prepare_spark.install(Path(folder), pinned, jars)
                return True
    return False


def _link(installed: Path, home: Path) -> None:
    for path in installed.iterdir():
        if path.name != "jars":
            (home / path.name).symlink_to(path)
    for path in (installed / "jars").iterdir():
        if not path.name.startswith("delta-"):
            (home / "jars" / path.name).symlink_to(path)
