"""Run contenders in turns on the same data, and check what each of them made."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from tests.benchmarks import checks, data, results, shards
from tests.benchmarks.contenders import Contender
from tests.benchmarks.data import Made, Workload
from tests.benchmarks.metering import PeakMemory, usage_of
from tests.benchmarks.opens import Opens
from tests.benchmarks.peer_process import PeerProcess, Processes, StartError
from tests.benchmarks.peers.protocol import Request
from tests.benchmarks.results import UNAVAILABLE, Run
from tests.benchmarks.shards import Shards

LIMIT_SECONDS = 900
WARM_UP = -1
_Contender = TypeVar("_Contender")


@dataclass(frozen=True)
class Turn:
    """Who runs on what, and how."""

    number: int
    contender: Contender
    name: str
    made: Made
    is_cold: bool = False
    counts_opens: bool = False


class Bench:
    """Measures one case.

    Attributes:
        case: Its letter.
        size: Of its data.
        folder: Where data, outputs and logs go.
        rounds: How often each contender runs after its warm-up.
        runs: What was measured so far.
    """

    def __init__(
        self, case: str, size: str, folder: Path, processes: Processes, rounds: int
    ) -> None:
        self.case = case
        self.size = size
        self.folder = folder
        self.rounds = rounds
        self.runs: list[Run] = []
        self._processes = processes
        self._ids_checked: set[tuple[str, str]] = set()

    def make(self, workload: Workload) -> Made:
        """Make the data, or find it made."""
        return data.make(workload, self.folder / "data")

    def make_shards(self, workload: Shards) -> Made:
        """Make shards, or find them made."""
        return shards.make(workload, self.folder / "data")

    def discard(self, workload: Workload) -> None:
        """Delete data that is too large to keep."""
        data.discard(workload, self.folder / "data")

    def cold(self, contenders: Sequence[Contender], workloads: dict[str, Made]) -> None:
        """Time the first run in a process, as often as warm ones."""
        if self._processes.shared:  # a peer's other contenders would tell nothing new
            contenders = list({each.peer: each for each in contenders}.values())
        for number in range(self.rounds):
            for contender, name, made in turns(contenders, workloads, number):
                self._processes.stop()
                self._run(Turn(number, contender, name, made, is_cold=True))

    def once(self, contenders: Sequence[Contender], workloads: dict[str, Made]) -> None:
        """Time one run each, in a process of its own: so its memory is its own."""
        for contender, name, made in turns(contenders, workloads, 0):
            self.stop()
            self._run(Turn(0, contender, name, made))

    def opens(self, contenders: Sequence[Contender], workloads: dict[str, Made]) -> None:
        """Count how often files and directories of the image table are opened, untimed."""
        for contender, name, made in turns(contenders, workloads, 0):
            self._run(Turn(0, contender, name, made, counts_opens=True))

    def warm_up(self, contenders: Sequence[Contender], made: Made, *, times: int) -> None:
        """Let Java compile what is run most: once is not enough for it."""
        for _ in range(0 if self._processes.shared else times):
            for contender in contenders:
                self._run(Turn(WARM_UP, contender, "warm-up", made))

    def warm(self, contenders: Sequence[Contender], workloads: dict[str, Made]) -> None:
        """Time all contenders on all workloads in turns, in processes that stay."""
        first = 0 if self._processes.shared else WARM_UP
        for number in range(first, self.rounds):
            for contender, name, made in turns(contenders, workloads, number):
                self._run(Turn(number, contender, name, made))

    def stop(self) -> None:
        """Stop the processes, but for those that further cases share."""
        if not self._processes.shared:
            self._processes.stop()

    def _run(self, turn: Turn) -> None:
        if self._is_out(turn):
            return
        run = self._describe(turn)
        try:
            process = self._processes.of(turn.contender)
        except StartError as error:
            self.note(replace(run, error=f"{UNAVAILABLE}{error}"))
        else:
            work = self._counted if turn.counts_opens else self._timed_and_checked
            self.note(work(run, turn, process))

    def _describe(self, turn: Turn) -> Run:
        workload = turn.made.workload
        return Run(
            self.case,
            turn.name,
            turn.contender.name,
            turn.number,
            cold=turn.is_cold,
            input_bytes=turn.made.file_bytes,
            files=workload.files,
            image_rows=workload.rows,
            list_rows=workload.entries,
        )

    def _counted(self, run: Run, turn: Turn, process: PeerProcess) -> Run:
        with Opens(turn.made.images) as opens:
            run = self._timed_and_checked(run, turn, process)
        counts = {"file_opens": opens.of_files, "listings": opens.of_directory}
        return replace(run, details=run.details | counts)

    def _timed_and_checked(self, run: Run, turn: Turn, process: PeerProcess) -> Run:
        with self.output() as output:
            run = _timed(run, turn, process, None if turn.contender.makes == "plan" else output)
            if run.error is None:
                error = self.fault(turn.name, turn.contender, turn.made, output, run.details)
                run = replace(run, error=error)
        if run.error is not None:  # who knows what state it is in
            self._processes.drop(turn.contender)
        return run

    @contextmanager
    def output(self) -> Iterator[Path]:
        """Yield a location for an output, and delete what is there in the end."""
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)  # of a call that was killed
        yield output
        shutil.rmtree(output, ignore_errors=True)
        os.sync()

    def fault(
        self,
        workload: str,
        contender: Contender,
        made: Made,
        output: Path,
        details: Mapping[str, Any] = MappingProxyType({}),
    ) -> str | None:
        """Return what is wrong with an output, or None; of the first one, the IDs are compared."""
        key = (workload, contender.name)
        first = key not in self._ids_checked
        self._ids_checked.add(key)
        return checks.fault(contender, made, output, dict(details), with_ids=first)

    def note(self, run: Run) -> None:
        """Keep a run, and print it."""
        self.runs.append(run)
        # After each run: whoever loses patience keeps what was measured by then.
        results.save(self.folder / "results.json", self.case, self.size, self.runs)
        said = f"{run.wall_seconds:7.2f} s" if run.error is None else run.error
        when = "warm-up" if run.round == WARM_UP else f"round {run.round + 1}"
        cold = ", cold" if run.cold else ""
        print(f"  {when:8} {run.workload:18} {run.contender + cold:40} {said}", flush=True)

    def _is_out(self, turn: Turn) -> bool:
        """Tell whether a contender has failed on a workload, or can't do such work."""
        return any(
            run.contender == turn.contender.name
            and (run.is_unavailable or (run.error is not None and run.workload == turn.name))
            for run in self.runs
        )


def turns(
    contenders: Sequence[_Contender], workloads: dict[str, Made], number: int
) -> Iterator[tuple[_Contender, str, Made]]:
    """Yield who runs on what in a round; each round begins with another contender."""
    shift = max(number, 0) % len(contenders)
    for name, made in workloads.items():
        for contender in (*contenders[shift:], *contenders[:shift]):
            yield contender, name, made


def _timed(run: Run, turn: Turn, process: PeerProcess, output: Path | None) -> Run:
    made = turn.made
    request = Request(
        str(made.images),
        str(made.duplicate_ids),
        None if output is None else str(output),
        made.kept_bytes,
        dict(turn.contender.options),
    )
    before, started = usage_of(process.root), time.monotonic()
    with PeakMemory(process.root) as peak:
        answer = process.work(request, LIMIT_SECONDS)
        answered = time.monotonic()
        os.sync()
        ended = time.monotonic()
    run = replace(
        run,
        start_seconds=process.start_seconds,
        wall_seconds=ended - started,
        sync_seconds=ended - answered,
        resident_bytes=peak.resident_bytes,
        anonymous_bytes=peak.anonymous_bytes,
    )
    if not process.is_alive:
        return replace(run, error=answer["error"])
    used = usage_of(process.root).since(before)
    answer |= process.details()
    return replace(run, **asdict(used), details=answer, error=_refusal(answer))


def _refusal(answer: dict[str, Any]) -> str | None:
    if "unavailable" in answer:
        return UNAVAILABLE + answer["unavailable"]
    return answer.get("error")
