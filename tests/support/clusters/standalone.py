"""Spark's standalone cluster on loopback: a master, workers, and what users ship to them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyspark

from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import QUICK, run
from tests.support.spark.java import JAVA_OPTIONS

PATIENCE_SECONDS = 60
SPARK_CLASS = Path(pyspark.__file__).parent / "bin/spark-class"
# Only these are handed on: no location of this project, and no settings of Spark.
_ENVIRONMENT = {key: os.environ[key] for key in ("PATH", "HOME", "JAVA_HOME") if key in os.environ}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_Found = TypeVar("_Found")


@dataclass
class StandaloneCluster:
    """A master and its workers, of one core each.

    Attributes:
        folder: For logs and for what executors write.
        url: The master's, for --master.
        status_url: Where the master tells, as JSON, what it has.
        processes: The master, then the workers.
    """

    folder: Path
    url: str = ""
    status_url: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_master(self) -> None:
        log = self._start("master", "master.Master", "--host", "127.0.0.1", "--port", "0")
        self.url = self._said(log, r"Starting Spark master at (spark://\S+)")
        port = self._said(log, r"Bound MasterWebUI to .*:(\d+)$")
        self.status_url = f"http://127.0.0.1:{port}/json/"

    def start_worker(self, *, wrapper: Sequence[str] = ()) -> None:
        """Start a worker; what it is wrapped in can give it, say, other disks."""
        size = ("--cores", "1", "--memory", "1g", "--work-dir", str(self.folder / "work"))
        name = f"worker-{len(self.processes)}"
        self._start(name, "worker.Worker", "--host", "127.0.0.1", *size, self.url, wrapper=wrapper)

    def wait_for_workers(self, number: int) -> None:
        """Wait until the master has as many, and no more, that are alive."""
        _wait_for(lambda: self.status()["aliveworkers"] == number or None, self.processes)

    def status(self) -> dict[str, Any]:
        with _DIRECT.open(self.status_url, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(PATIENCE_SECONDS)

    def _start(self, name: str, main: str, *arguments: str, wrapper: Sequence[str] = ()) -> Path:
        log = self.folder / f"{name}.log"
        command = [SPARK_CLASS, f"org.apache.spark.deploy.{main}", *arguments, "--webui-port", "0"]
        java = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*wrapper, *command],
                cwd=self.folder,
                env=_ENVIRONMENT | java | {"SPARK_LOCAL_IP": "127.0.0.1"},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return log

    def _said(self, log: Path, pattern: str) -> str:
        def look() -> re.Match[str] | None:
            return re.search(pattern, log.read_text(), re.MULTILINE)

        return _wait_for(look, self.processes).group(1)


@contextmanager
def standalone_cluster(folder: Path, num_workers: int) -> Iterator[StandaloneCluster]:
    """Start a cluster, and stop what is left of it in the end."""
    cluster = StandaloneCluster(folder)
    try:
        cluster.start_master()
        for _ in range(num_workers):
            cluster.start_worker()
        cluster.wait_for_workers(num_workers)
        yield cluster
    finally:
        cluster.stop()


def _wait_for(look: Callable[[], _Found | None], processes: Sequence[Any]) -> _Found:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"in vain, for {PATIENCE_SECONDS} s; {[p.args for p in processes]}")
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Shipped:
    """What a user brings along: the job's script and the library, and no checkout of it.

    Attributes:
        script: The job's.
        library: The wheel, copied to .zip.
        python: A Python with pyarrow, and without this library.
    """

    script: Path
    library: Path
    python: Path

    def submit(self, cluster: str, *arguments: str, cwd: Path, script: Path | None = None) -> Any:
        """Run the job as README says under "On your platform"; a script of the tests sees them."""
        command = [
            *(BIN / "spark-submit", "--master", cluster),
            *("--properties-file", ROOT / "conf/spark/cpu.conf"),
            *QUICK,
            *("--conf", f"spark.executor.extraJavaOptions={JAVA_OPTIONS}"),
            *("--conf", "spark.executor.memory=768m", "--conf", "spark.executor.cores=1"),
            *("--py-files", self.library, script or self.script, *arguments),
        ]
        tests = "" if script is None else str(ROOT)
        return run(command, cwd=cwd, PYTHONPATH=tests, PYSPARK_PYTHON=str(self.python))


def ship(folder: Path) -> Shipped:
    """Build the library as README says, and a Python that has it nowhere."""
    folder.mkdir()
    wheel = [sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation"]
    built = run([*wheel, "--quiet", "--wheel-dir", folder], cwd=folder)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("dedup_lib-*.whl")
    found.rename(folder / "dedup_lib.zip")
    script = Path(shutil.copy(ROOT / "jobs/remove_duplicates.py", folder))
    return Shipped(script, folder / "dedup_lib.zip", python_without_library(folder / "python"))


def python_without_library(script: Path) -> Path:
    """Write a Python that has what this one has, but for this library."""
    # Without `site` no .pth file is read, by which the library is installed here.
    packages = shlex.quote(sysconfig.get_path("purelib"))
    python = shlex.quote(sys.executable)
    script.write_text(
        "#!/bin/sh\n"
        f'export PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}"{packages}\n'
        f'exec {python} -S "$@"\n'
    )
    script.chmod(0o755)
    return script
