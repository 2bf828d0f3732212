"""A process that runs the job again and again, for many tests: starting its Spark takes long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.processes.runs import environment_with

SCRIPT = ROOT / "tests/support/processes/several_jobs.py"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class JobProcess:
    """The process, the pipe that tells it what to run, and the file with what it logs."""

    process: subprocess.Popen[str]
    pipe: int
    log: Path

    def run(self, *runs: Sequence[str]) -> tuple[list[int], list[dict[str, Any]]]:
        """Run the job with each of these flags: exit codes and reports, in their order."""
        reports = [self._run(flags) for flags in runs]
        return [code for code, _ in reports], [report for _, report in reports]

    def _run(self, flags: Sequence[str]) -> tuple[int, dict[str, Any]]:
        os.write(self.pipe, f"{json.dumps(flags)}\n".encode())
        assert self.process.stdout is not None
        overdue = threading.Timer(PATIENCE_SECONDS, self.kill)
        overdue.start()
        try:
            report, code = (self.process.stdout.readline() for _ in range(2))
        finally:
            overdue.cancel()
        assert code, self.log.read_text()[-5000:]
        return int(code), json.loads(report)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def job_process(command: Sequence[Any], folder: Path, **environment: str) -> Iterator[JobProcess]:
    """Start a command, which ends with SCRIPT, in a folder; stop it in the end."""
    pipe, log = folder / "pipe", folder / "log"
    os.mkfifo(pipe)
    with (
        log.open("w") as stream,
        subprocess.Popen(
            [str(part) for part in (*command, pipe)],
            cwd=folder,
            env=environment_with(PYTHONPATH=str(ROOT), **environment),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        jobs = JobProcess(process, os.open(pipe, os.O_RDWR), log)  # waits for no reader
        try:
            yield jobs
        finally:
            os.close(jobs.pipe)
            jobs.kill()
