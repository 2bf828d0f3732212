"""Iceberg's REST catalog on loopback, as a process of its own: see RestCatalog.java.

A SQLite database is behind it. Jetty, Jackson and Hadoop are those of Spark.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.jars.iceberg_rest_jars import JARS, PINNED
from tests.support.jars.sqlite_jar import sqlite_jar
from tests.support.paths import ROOT
from tests.support.spark.home import INSTALLED

SOURCE = Path(__file__).with_name("RestCatalog.java")


@dataclass(frozen=True)
class RestCatalog:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int

    def settings(self, name: str) -> dict[str, str]:
        """What Spark needs for a catalog of this name: nothing of the store behind it."""
        catalog = f"spark.sql.catalog.{name}"
        return {
            catalog: "org.apache.iceberg.spark.SparkCatalog",
            f"{catalog}.type": "rest",
            f"{catalog}.uri": f"http://127.0.0.1:{self.port}",
            f"{catalog}.cache-enabled": "false",
            f"{catalog}.rest.client.socket-timeout-ms": "20000",
        }

    def refuse(self, commit: int) -> None:
        """Answer one of the next commits (the first is 1) with an error, and don't make it."""
        self._say(f"refuse {commit}")

    def lose(self, commit: int) -> None:
        """Make one of the next commits (the first is 1), but answer with an error."""
        self._say(f"lose {commit}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _say(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "heard\n"


@contextmanager
def running_catalog(
    folder: Path, warehouse: str, properties: Mapping[str, str] | None = None
) -> Iterator[RestCatalog]:
    """Run a server; its properties `s3.…` and `client.…` are also told to its clients."""
    spark = [jar for jar in (INSTALLED / "jars").glob("*.jar") if "iceberg" not in jar.name]
    jars = [*(JARS / name for name in PINNED), sqlite_jar(), *spark]
    given = {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "uri": f"jdbc:sqlite:{folder}/rest-catalog.db",
        "jdbc.schema-version": "V1",
        "warehouse": warehouse,
        **(properties or {}),
    }
    to_stderr = f"-Dlog4j2.configurationFile={(ROOT / 'conf/spark/log4j2.properties').as_uri()}"
    command = ["java", to_stderr, SOURCE, *("=".join(item) for item in given.items())]
    with (
        (folder / "rest-catalog.log").open("w") as errors,
        subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "CLASSPATH": os.pathsep.join(map(str, jars))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            port = process.stdout.readline()
            assert port, (folder / "rest-catalog.log").read_text()[-3000:]
            yield RestCatalog(process, int(port))
        finally:
            process.kill()
