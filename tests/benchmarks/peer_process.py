"""A peer in a process of its own: started once, asked again and again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.contenders import THREADS, Contender
from tests.benchmarks.curator_environment import python_of_curator
from tests.benchmarks.metering import tree
from tests.benchmarks.peers.protocol import Request
from tests.support.paths import ROOT

START_LIMIT_SECONDS = 120


class StartError(Exception):
    """A peer can't be started; the message says why."""


class PeerProcess:
    """One running peer.

    Attributes:
        start_seconds: From nothing to ready: the interpreter, imports, a session.
        root: The process; what it starts is below it.
    """

    def __init__(self, contender: Contender, folder: Path, python: str) -> None:
        own = folder / "processes" / contender.peer
        own.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.mkdtemp(dir=own)
        options = {
            "threads": THREADS,
            "heap": contender.heap,
            "java_options": contender.java_options,
            "folder": self._scratch,
        }
        module = f"tests.benchmarks.peers.{contender.peer}"
        started = time.monotonic()
        with (own / "stderr.log").open("a") as log:
            self._process = subprocess.Popen(
                [python, "-m", module, json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, "POLARS_MAX_THREADS": str(THREADS), "PYSPARK_PYTHON": python},
            )
        self.root = psutil.Process(self._process.pid)
        answer = self._answer(START_LIMIT_SECONDS)
        if "error" in answer:
            self.stop()
            raise StartError(f"{answer['error']}; see {own.name}/stderr.log")
        self.start_seconds = time.monotonic() - started

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def work(self, request: Request, limit_seconds: float) -> dict[str, Any]:
        """Have a request done; return the first answer, or `error`."""
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        return self._answer(limit_seconds)

    def details(self) -> dict[str, Any]:
        """Return the second answer to a request."""
        return self._answer(START_LIMIT_SECONDS)

    def stop(self) -> None:
        """End the process and all below it, and delete what they left: Spark's shuffled images."""
        self._kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _kill(self) -> None:
        for process in tree(self.root):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _answer(self, limit_seconds: float) -> dict[str, Any]:
        late = threading.Timer(limit_seconds, self._kill)
        late.daemon = True  # an interrupted benchmark does not wait for it
        late.start()
        started = time.monotonic()
        line = self._process.stdout.readline()
        late.cancel()
        if line:
            return json.loads(line)
        code, seconds = self._process.wait(), time.monotonic() - started
        why = "too slow: killed" if seconds >= limit_seconds else f"process ended with code {code}"
        return {"error": f"{why} after {seconds:.0f} s"}


class Processes:
    """The peers that run: each contender has its own process, or each kind of peer one.

    One for each kind is for trying the benchmark: whose memory it was can't be told then.
    """

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.shared = shared
        shutil.rmtree(folder / "processes", ignore_errors=True)  # of a call that was killed
        self._folder = folder
        self._running: dict[tuple[str, str, str], PeerProcess] = {}

    def of(self, contender: Contender) -> PeerProcess:
        """Return a contender's process; start it where it doesn't run.

        Raises:
            StartError: It can't be started.
        """
        key = self._key(contender)
        found = self._running.get(key)
        if found is None or not found.is_alive:
            self._running[key] = found = PeerProcess(
                contender, self._folder, self._python(contender)
            )
        return found

    def drop(self, contender: Contender) -> None:
        """Stop a contender's process: the next of its runs starts another."""
        self._running.pop(self._key(contender)).stop()

    def _key(self, contender: Contender) -> tuple[str, str, str]:
        name = "" if self.shared else contender.session or contender.name
        return (contender.peer, contender.heap, name)

    def _python(self, contender: Contender) -> str:
        if contender.environment == "bench":
            return sys.executable
        try:
            return python_of_curator(self._folder, contender.environment)
        except subprocess.CalledProcessError as error:
            raise StartError(f"its environment can't be made: {error.stderr[-300:]}") from error

    def stop(self) -> None:
        """Stop all that run."""
        for process in self._running.values():
            process.stop()
        self._running.clear()
