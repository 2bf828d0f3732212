"""SQLite for Java, for Iceberg's JDBC catalog; fetched once into build/sqlite-jar.

`python -m tests.support.jars.sqlite_jar` fetches it. (Spark has Derby among its jars; it does not
know the LIMIT in the catalog's queries.)
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.jars.spark_packages import fetch
from tests.support.paths import ROOT

TRIES = 4
VERSION = "3.50.3.0"
SHA256 = "a3f53a2aa15ae9425a9e793bbe9c8e5288febeb4b65ef5c1a4e80d4c2045cf08"
JAR = ROOT / f"build/sqlite-jar/sqlite-jdbc-{VERSION}.jar"


def sqlite_jar() -> Path:
    """The jar; skips where it can't be had."""
    for _ in range(TRIES):
        if JAR.exists() or shutil.which("java") is None:
            break
        _fetch()
    if not JAR.exists():
        pytest.skip("SQLite's jar can't be had")
    if (found := hashlib.sha256(JAR.read_bytes()).hexdigest()) != SHA256:
        pytest.skip(f"{JAR.name} has SHA-256 {found}, but {SHA256} is pinned")
    return JAR


def _fetch() -> None:
    JAR.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JAR.parent) as folder:
        if fetch(folder, "--packages", f"org.xerial:sqlite-jdbc:{VERSION}", seconds=120):
            Path(folder, f"ivy/jars/org.xerial_{JAR.name}").replace(JAR)


if __name__ == "__main__":
    print(sqlite_jar())
