"""What all steps of the demo use: where things are, what is printed, and how it is checked."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo import spark_runs
from tests.demo.spark_runs import DemoError

Json = dict[str, Any]


@dataclass(frozen=True)
class Places:
    """Where the demo keeps what it makes: everything below one directory."""

    work: Path

    @property
    def images(self) -> Path:
        return self.work / "images"

    @property
    def delta_images(self) -> Path:
        return self.work / "images-delta"

    @property
    def duplicates(self) -> Path:
        return self.work / "duplicates"

    @property
    def pairs(self) -> Path:
        return self.work / "pairwise_results"

    @property
    def shards(self) -> Path:
        return self.work / "shards"

    @property
    def curator_list(self) -> Path:
        return self.work / "duplicates-by-position"

    @property
    def kept_shards(self) -> Path:
        return self.work / "kept-shards"

    @property
    def removed(self) -> Path:
        return self.work / "removed"

    @property
    def review(self) -> Path:
        return self.work / "review.html"

    @property
    def log(self) -> Path:
        return self.work / "demo.log"

    def report(self, name: str) -> Path:
        return self.work / "reports" / f"{name}.json"


def submit_aloud(arguments: Sequence[str], places: Places) -> Json:
    """Show the spark-submit command as a user would type it, and run it."""
    command = spark_runs.submit_command(arguments)
    print("   $ " + spark_runs.as_typed(command).replace("\n", "\n   "), flush=True)
    return spark_runs.submit(command, places.log)


def check(what: str, found: object, expected: object) -> None:
    """Raise DemoError where something is not what it must be."""
    if found != expected:
        raise DemoError(f"{what}: found {found!r:.300}, expected {expected!r:.300}")


_steps = itertools.count(1)


@contextmanager
def step(headline: str) -> Iterator[None]:
    """Print a step's headline, and its seconds at the end."""
    print(f"\n{next(_steps)}  {headline}", flush=True)
    started = time.monotonic()
    yield
    print(f"   [{time.monotonic() - started:.1f} s]", flush=True)


def size_mb(directory: Path) -> str:
    """Return the size of the files of a directory, in words."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.suffix != ".crc")
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
