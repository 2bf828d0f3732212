"""What `make test-readers` runs: the job makes tables, and other programs read them.

    python -m tests.readers PYTHON [READER…]

PYTHON is that of the readers' environment; a READER is a part of a name in docs/readers.md. The
tables of that page are printed as they were found. If the page says something else, the exit code
is 1.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.readers.expected import DELTA, PARQUET
from tests.readers.outcomes import Outcomes, as_table, differences, outcome_of, outcomes_of_page
from tests.support.paths import ROOT

HERE = Path(__file__).parent
# A reader that gives no result for so long has crashed or hangs.
PATIENCE_SECONDS = 180
# The page's headings, and the tables below each.
HEADINGS = {"Delta tables": DELTA, "Parquet files": PARQUET}
OFFLINE = {
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def main(python: str, *parts: str) -> int:
    """Make the tables, let each reader read them, and compare the outcomes with the page."""
    wrong, python = [], str(Path(python).absolute())
    if not any(chosen(outcomes_of_page(heading), parts) for heading in HEADINGS):
        sys.exit(f"docs/readers.md has no reader with a name like {parts}")
    with tempfile.TemporaryDirectory(prefix="readers-") as name:
        folder = Path(name)
        make_tables(python, folder / "tables")
        for heading, tables in HEADINGS.items():
            page = chosen(outcomes_of_page(heading), parts)
            found = read_by_all(python, list(page), tables, folder)
            if found:
                print(f"\n## {heading}\n\n{as_table(found)}\n", flush=True)
            wrong += differences(found, page)
    print("\n".join(wrong) or "docs/readers.md says the same")
    return 1 if wrong else 0


def chosen(page: Outcomes, parts: tuple[str, ...]) -> Outcomes:
    """Choose the readers whose names have one of the parts; all of them if there is none."""
    return {
        name: row for name, row in page.items() if not parts or any(part in name for part in parts)
    }


def make_tables(python: str, folder: Path) -> None:
    """Make the tables, with the project's Python and Spark, and vacuum one as delta-rs does."""
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "tests.readers.tables", folder], cwd=ROOT, check=True)
    subprocess.run([python, HERE / "vacuum.py", folder / "in_place_vacuumed"], check=True)


def read_by_all(
    python: str, readers: list[str], tables: Mapping[str, str], folder: Path
) -> Outcomes:
    """Let readers read tables, two at a time: some wait more than they work."""

    def outcomes(reader: str) -> dict[str, str]:
        found = read(python, reader, list(tables.values()), folder)
        return {title: found[table] for title, table in tables.items()}

    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(readers, pool.map(outcomes, readers), strict=True))


def read(python: str, reader: str, tables: list[str], folder: Path) -> dict[str, str]:
    """Let a reader read tables; if it dies of one, it goes on with the next in a new process."""
    results = Path(tempfile.mkdtemp(dir=folder))
    left, found = tables, {}
    while left:
        command = [python, HERE / "read.py", reader, results]
        run_while_it_works([*command, *(folder / "tables" / name for name in left)], results)
        done = [path for path in results.glob("*.json") if path.stem not in found]
        found |= {path.stem: note(reader, path) for path in done}
        if left := [name for name in left if name not in found]:
            found[left.pop(0)] = "no answer"
    return found


def note(reader: str, path: Path) -> str:
    """Return the outcome that is in a file; say an error's first line."""
    result = json.loads(path.read_text())
    if "error" in result:
        print(f"{reader}, {path.stem}: {result['error'].splitlines()[0][:200]}", flush=True)
    return outcome_of(result)


def run_while_it_works(command: list[str | Path], results: Path) -> None:
    """Run a reader until it ends, or has written no result for some time."""
    with started(command, results) as process:
        seen, since = -1, time.monotonic()
        while process.poll() is None and time.monotonic() - since < PATIENCE_SECONDS:
            if (count := len(list(results.glob("*.json")))) > seen:
                seen, since = count, time.monotonic()
            time.sleep(0.1)


@contextmanager
def started(command: list[str | Path], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that needs no network; end it, and what it started, in the end."""
    environment = os.environ | OFFLINE | {"HF_HOME": str(home / "hf")}
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=home.parent,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
