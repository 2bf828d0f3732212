"""Spark Connect's server as a process of its own, and clients that are other processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes.runs import SPARK_SUBMIT, conf_flags
from tests.support.spark.settings import INTERPRETED

SERVER_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
PATIENCE_SECONDS = 90


@contextmanager
def connect_server(folder: Path, **environment: str) -> Iterator[str]:
    """Start a server, with the settings of conf/spark/cpu.conf; yield the URL for SPARK_REMOTE."""
    port = _free_port()
    command = [
        *SPARK_SUBMIT,
        *conf_flags(INTERPRETED),
        *("--conf", f"spark.connect.grpc.binding.port={port}"),
        *("--class", SERVER_CLASS, "spark-internal"),
    ]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(port, server, folder)
            yield f"sc://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)  # between two looks
    raise RuntimeError("no server came up:\n" + (folder / "server.log").read_text()[-3000:])
