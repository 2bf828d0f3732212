"""The report of a run: its inputs, output, counts, times and errors."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from dedup_lib.redaction import redact, redact_all, secret_values
from dedup_lib.session.one_file import OneFile
from dedup_lib.session.progress import Progress
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
# As it is written, or as people and programs format it.
_IS_REPORT = re.compile(rb'\s*\{\s*"status"\s*:')
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
    """The facts of a run. Counts are rows or IDs, sizes bytes, times seconds; None is unknown.

    Attributes:
        status: `succeeded`, `dry_run`, or `failed`, which is also the status of an unfinished run.
        method: `rewrite`, `clone` or `in-place`.
        engine: `arrow` or `spark`, once chosen; None for clone and in-place, which move no images.
        strategy: With engine `spark`: `broadcast-ids` or `row-positions`, once chosen.
        choices: The run's own choices, by name: the chosen value, and the numbers that decided.
        error: Class and message of the error.
        counts: Input, kept and removed rows; entries and IDs of the lists.
        bytes: `input`: size of the data files that were read; `output`: newly written bytes.
        seconds: Seconds of each phase; `total_seconds`: from start to end.
        run: A random name of the run, which is also in the output's manifest or Delta commit.
        started_at: UTC in ISO 8601, like `finished_at`.
        inputs: `images`, `duplicate_ids` and `protect_ids`: location, format, version or
            fingerprint. With --protect-where also `protect_where`: its condition, and the IDs for
            which it is true. With --apply-plan also `plan`, with the lists of the run that made it.
        output: The same for the output; None for a dry run without an output.
        versions: Versions of Python, pyspark, Delta and this library.
        run_key: The run key from the settings.
        repeated: Whether an earlier run with the same key did the work; its counts are reported.
        steps: Seconds of each step of a phase.
        progress: Times the phases and steps; not a part of the written report.
        purge: The files that --purge rewrote, and when VACUUM will delete the old files.
        keepers: For lists with keepers: how many removed IDs have a survivor, how many are lost.
        protected: For protected IDs: entries and NULLs of their lists; IDs and rows that stay.
        action: `remove`, `annotate` or `extract`.
        eps_sweep: For --eps-sweep: rows and estimated bytes that each eps would remove.
        match_hints: If only few listed IDs are in the table: possible reasons, with counts.
        gpu: With the RAPIDS Accelerator: its `mode`; parts of the rewrite on the CPU, and why
            (`falls_back`); operators by device (`ran_on_gpu`, `ran_on_cpu`; None is unknown).
        review: For --review: its `location`, the number of `pairs` and `pictures`, the `read_bytes`
            of image files, and the `reason` why there is no page, or no picture.
        since_last_run: For --since-last-run, except in a full run: new rows that stay, and the
            numbers of IDs whose rows were deleted or copied again.
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
    _started: float = field(default_factory=time.monotonic, repr=False)
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.progress = Progress(self.seconds, self.steps)

    def choose(self, name: str, chosen: str, **because: Any) -> None:
        """Note a choice of the run, and the facts that decided it."""
        self.choices[name] = {"chosen": chosen, **because}
        _log.debug("%s: %s %s", name, chosen, because)

    def repeat(self, note: Mapping[str, Any], version: int | None) -> None:
        """Copy the counts that an earlier run with the same key noted."""
        self.repeated = True
        self.counts |= {**note.get("counts", {}), "kept_rows": note.get("kept_rows")}
        if self.output is not None:
            self.output["version"] = version

    def note_deleted(self, described: dict[str, Any], rows_before: int, rows_after: int) -> None:
        """Note the result of a deletion in place; `described` describes the output."""
        self.counts |= {
            "input_rows": rows_before,
            "removed_rows": rows_before - rows_after,
            "kept_rows": rows_after,
        }
        self.bytes["output"] = 0
        self.output = described

    def note_purge(self, purge: dict[str, Any], added_bytes: int) -> None:
        """Note the files that a purge rewrote; clone and in-place write no other image bytes."""
        self.purge = purge
        self.bytes["output"] = added_bytes

    def describe(self, settings: Settings) -> None:
        """Note the settings, so that the report of a failed run has them."""
        self.method = settings.method
        self.action = settings.action
        self.run_key = settings.run_key
        self._secrets = secret_values(settings.storage_options)
        self.inputs = {
            "images": {"location": settings.images},
            "duplicate_ids": [{"location": item.location} for item in settings.duplicate_ids],
            "protect_ids": [{"location": location} for location in settings.protect_ids],
        }
        if settings.protect_where is not None:
            self.inputs["protect_where"] = {"condition": settings.protect_where}
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
        """Return the report as a dictionary, with secrets redacted."""
        keys = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        return cast("dict[str, Any]", self.hide({name: getattr(self, name) for name in keys}))

    def hide(self, value: Any) -> Any:
        """Return nested values with secrets redacted."""
        return redact_all(value, self._secrets)

    def to_json(self) -> str:
        """Return the report as one line of JSON that is safe to embed in HTML."""
        return json.dumps(self.as_dict()).replace("<", "\\u003c").replace(">", "\\u003e")

    def save(self, location: str, storage: Storage | None) -> None:
        """Write the report, and replace an older report.

        Args:
            location: A URI, or a path of a local file.
            storage: Writes URIs. If it is None, there is no session, and URIs are not written.

        Raises:
            DiskFullError: The driver's disk is full.
            UsageError: Something else is there, or the report can't be written.
        """
        report_file(location).write(storage, self.to_json() + "\n")


def report_file(location: str) -> OneFile:
    """Return a run's report as a file, which replaces only a file that begins like one."""
    return OneFile("report", location, lambda head: _IS_REPORT.match(head) is not None)
