"""The run's report: what went in, what came out, and how it went."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from dedup_lib.errors import DiskFullError, StorageError, UsageError
from dedup_lib.locations import has_scheme
from dedup_lib.redaction import redact, redact_all, secret_values
from dedup_lib.session import local_files
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings
from dedup_lib.version import __version__

Status = Literal["succeeded", "dry_run", "failed"]
PHASES = ("plan", "check", "apply", "verify", "publish")
COUNTS = (
    "input_rows",
    "kept_rows",
    "removed_rows",
    "null_id_rows",
    "list_rows",
    "list_null_ids",
    "list_distinct_ids",
    "list_matched_ids",
    "list_unmatched_ids",
)
_log = logging.getLogger(__name__)


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _versions() -> dict[str, str | None]:
    return {
        "python": platform.python_version(),
        "pyspark": _version_of("pyspark"),
        "delta": _version_of("delta-spark"),
        "dedup_lib": __version__,
    }


@dataclass
class Report:
    """What a run did. Counts are rows or IDs, sizes bytes, times seconds; None is unknown.

    Attributes:
        status: `succeeded`, `dry_run` or `failed` (until it ends, too).
        method: `rewrite`, `clone` or `in-place`.
        engine: `arrow` or `spark`, once chosen; None for a clone and in place, which move no
            image.
        strategy: Of engine `spark`: `broadcast-ids` or `row-positions`, once chosen.
        choices: What the run chose by itself, by name: what it took, and the numbers why.
        error: Class and message of what failed.
        counts: Rows in, kept and removed; entries and IDs of the lists.
        bytes: `input`: the data files that were read; `output`: newly written.
        seconds: Phase name to seconds.
        total_seconds: From start to end.
        run: A random name of the run: the output's manifest or Delta commit has it, too.
        started_at: UTC, as ISO 8601 spells it; `finished_at`, too.
        inputs: `images`, `duplicate_ids` and `protect_ids`: location, format, version or
            fingerprint; or in place of lists `plan`, which has those of its maker.
        output: The same of the output; None for a dry run without one.
        versions: Of Python, pyspark, Delta and this library.
        run_key: As given.
        repeated: Whether a run with the same key had done it already; counts are its plan's.
        steps: Seconds of parts of phases, by name.
        purge: What --purge rewrote, and when VACUUM will delete what was before.
        keepers: Where lists name keepers: how many IDs that go have a survivor, and how many lost.
        protected: Where IDs are protected: entries and NULLs of these lists, and how many IDs and
            rows would have gone and stay.
        action: `remove`, `annotate` or `extract`.
        eps_sweep: Of a sweep: how many rows, and about how many bytes, each eps would remove.
        match_hints: Where hardly any listed ID is in the table: why that may be, with counts.
        gpu: Where the RAPIDS Accelerator is there: its `mode`; what of the rewrite it leaves to the
            CPU, and why (`falls_back`); and which operators ran where (`ran_on_gpu`,
            `ran_on_cpu`). None is not known, as over Spark Connect.
        review: Of --review: its `location`, how many `pairs` it shows with how many `pictures`, the
            `read_bytes` of image files, and the `reason` why there is no page, or no picture.
        since_last_run: Of --since-last-run, unless all was done: rows that came and stay, and how
            many IDs' rows were deleted and copied anew.
    """

    status: Status = "failed"
    method: str | None = None
    engine: str | None = None
    strategy: str | None = None
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: dict[str, str] | None = None
    counts: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(COUNTS))
    bytes: dict[str, int | None] = field(default_factory=lambda: {"input": None, "output": None})
    seconds: dict[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    inputs: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] | None = None
    versions: dict[str, str | None] = field(default_factory=_versions)
    run_key: str | None = None
    repeated: bool = False
    steps: dict[str, float] = field(default_factory=dict)
    purge: dict[str, Any] | None = None
    keepers: dict[str, Any] | None = None
    protected: dict[str, int] | None = None
    action: str | None = None
    eps_sweep: list[dict[str, Any]] | None = None
    match_hints: list[dict[str, Any]] | None = None
    review: dict[str, Any] | None = None
    since_last_run: dict[str, Any] | None = None
    gpu: dict[str, Any] | None = None
    run: str | None = None
    started_at: str = field(default_factory=_now)
    finished_at: str | None = None
    _places: list[str] = field(default_factory=list, repr=False)
    _listener: Callable[[str], None] | None = field(default=None, repr=False)
    _started: float = field(default_factory=time.monotonic, repr=False)
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase of the run."""
        started = time.monotonic()
        try:
            with self._within(name):
                yield
        finally:
            self.seconds[name] = round(time.monotonic() - started, 3)
            self.total_seconds = round(time.monotonic() - self._started, 3)

    def choose(self, name: str, chosen: str, **because: Any) -> None:
        """Note a choice that the run made by itself, and the numbers or words that made it."""
        self.choices[name] = {"chosen": chosen, **because}
        _log.info("%s: %s %s", name, chosen, because)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a part of a phase."""
        started = time.monotonic()
        try:
            with self._within(name):
                yield
        finally:
            self.steps[name] = round(time.monotonic() - started, 3)

    @property
    def place(self) -> str:
        """Where the run is now: `plan / scan image IDs`; empty outside the phases."""
        return " / ".join(self._places)

    @contextmanager
    def followed(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Tell a function of each place that the run comes to, beginning with this one."""
        self._listener = listener
        listener(self.place)
        try:
            yield
        finally:
            self._listener = None

    @contextmanager
    def _within(self, name: str) -> Iterator[None]:
        self._move([*self._places, name])
        try:
            yield
        finally:
            self._move(self._places[:-1])

    def _move(self, places: list[str]) -> None:
        self._places = places  # a new list: other threads read the place
        if self._listener is not None:
            self._listener(self.place)

    def repeat(self, note: Mapping[str, Any], version: int | None) -> None:
        """Take over what a run with the same key noted when it did the work."""
        self.repeated = True
        self.counts |= {**note.get("counts", {}), "kept_rows": note.get("kept_rows")}
        if self.output is not None:
            self.output["version"] = version

    def note_deleted(
        self,
        described: dict[str, Any],
        rows_before: int,
        rows_after: int,
    ) -> None:
        """Note what a deletion in place came to; `described` says what the output is."""
        self.counts |= {
            "input_rows": rows_before,
            "removed_rows": rows_before - rows_after,
            "kept_rows": rows_after,
        }
        self.bytes["output"] = 0
        self.output = described

    def note_purge(self, purge: dict[str, Any], added_bytes: int) -> None:
        """Note what a purge rewrote: the only image bytes that a clone or in place writes."""
        self.purge = purge
        self.bytes["output"] = added_bytes

    def describe(self, settings: Settings) -> None:
        """Note what was asked for, so that a failed run's report tells it too."""
        self.method = settings.method
        self.action = settings.action
        self.run_key = settings.run_key
        self._secrets = secret_values(settings.storage_options)
        self.inputs = {
            "images": {"location": settings.images},
            "duplicate_ids": [{"location": item.location} for item in settings.duplicate_ids],
            "protect_ids": [{"location": location} for location in settings.protect_ids],
        }
        if settings.apply_plan is not None:
            self.inputs["plan"] = {"location": settings.apply_plan}
        if settings.output is not None:
            self.output = {
                "location": settings.output,
                "format": settings.resolved_output_format,
            }
        elif settings.changes_images:
            self.output = {
                "location": settings.images,
                "format": settings.resolved_output_format,
            }

    def finish(self, status: Status) -> None:
        """Note how the run ended."""
        self.status = status
        self.finished_at = _now()
        self.total_seconds = round(time.monotonic() - self._started, 3)

    def fail(self, error: BaseException) -> None:
        """Note why the run failed."""
        self.finish("failed")
        message = str(error).strip() or type(error).__name__
        self.error = {
            "class": type(error).__name__,
            "message": redact(message, self._secrets)[:4000],
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the report with the contract's keys, secrets redacted."""
        keys = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        return cast("dict[str, Any]", self.hide({name: getattr(self, name) for name in keys}))

    def hide(self, value: Any) -> Any:
        """Return nested values without the secrets in them, for whatever is kept."""
        return redact_all(value, self._secrets)

    def to_json(self) -> str:
        """Return the report as one line of JSON that is safe to embed in HTML."""
        return json.dumps(self.as_dict()).replace("<", "\\u003c").replace(">", "\\u003e")

    def save(self, location: str, storage: Storage | None) -> None:
        """Write the report, replacing an older one.

        Args:
            location: With a scheme: written through the storage. Without: a local file.
            storage: None where there is no session: only local files then.
        """
        text = self.to_json() + "\n"
        if has_scheme(location):
            if storage is None:
                _log.error("the report is not written to %s", redact(location))
                return
            try:
                storage.write_text(location, text)
            except StorageError as error:
                raise UsageError(f"--report: {error}") from error
            return
        target = Path(location)
        if _is_something_else(target):
            raise UsageError(f"--report {location!r} is there and is no report: not replaced.")
        try:
            local_files.replace_text(target, text)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            kind = DiskFullError if is_full else UsageError
            raise kind(f"--report {location!r} can't be written: {error}.") from error


def _is_something_else(path: Path) -> bool:
    if not path.is_file():
        return path.exists()
    with path.open("rb") as stream:
        return stream.read(1) not in (b"", b"{")


def report_uri(location: str) -> str:
    """Return a report's location as a URI: without a scheme it is a file on the driver."""
    return location if has_scheme(location) else f"file:{Path(location).absolute()}"
