"""Read from an output's Delta commits how far earlier runs came (--since-last-run)."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.delta.history import Operation, operations
from dedup_lib.errors import OutputExistsError
from dedup_lib.tables.history import ImagesState
from dedup_lib.tables.target import Target

_KEY = "since_last_run"
# Each commit of such runs has a transaction of this application; Delta accepts each only once.
TRANSACTION_APP = "remove-duplicates:since-last-run"
# Transactions between the last commits of two runs: the most deletions without a last commit.
_STRIDE = 1_000_000
# Delta's names of operations of other writers that do not change the output's rows.
_CHANGING_NO_ROW = (
    *("OPTIMIZE", "VACUUM", "ANALYZE", "COMPUTE STATS", "REORG"),
    *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL", "CLUSTER BY"),
)


@dataclass(frozen=True)
class RunState:
    """The progress of an output, by its history.

    Attributes:
        images: The state of the image table in the newest complete run; None if there is no such
            run, or if others have written to the output since then.
        version: The output's newest version.
        note: The note of that run's last commit: its settings and counts; empty if there is no
            such run.
        newest: The newest transaction of any such run.
        written_by: The operation of another writer since that run; None if there was none.
        is_undisturbed: Whether that run's commits are the newest, and directly follow another such
            run's commits. Then nobody else wrote between the two runs or during the newer run.
    """

    images: ImagesState | None
    version: int
    note: Mapping[str, Any]
    newest: int
    written_by: str | None
    is_undisturbed: bool

    @property
    def ended(self) -> int:
        """The transaction of the last commit of the newest complete run."""
        return _transaction(self.note) if self.note else 0


@dataclass(frozen=True)
class Reached:
    """The progress of an output now, and after this run.

    Attributes:
        now: The pinned state of the image table.
        before: The state of the image table that the output reflects; None for a full run.
        state: The output's state; None if there is no output yet.
        asked: The lists' fingerprint, the limits, and everything else that decides a run's outcome.
    """

    now: ImagesState
    before: ImagesState | None
    state: RunState | None
    asked: Mapping[str, Any]

    @property
    def done(self) -> Mapping[str, Any] | None:
        """The note of the run that this run would repeat; None if there is no such run.

        A run repeats another if images and lists are the same, and no other run came between.
        """
        state = self.state
        if state is None or not state.is_undisturbed or self.before != self.now:
            return None
        return state.note if state.note[_KEY].get("asked") == self.asked else None

    @property
    def deletion(self) -> int:
        """The transaction of a run's first commit: later than all existing ones."""
        return 1 + (0 if self.state is None else self.state.newest)

    @property
    def ending(self) -> int:
        """The transaction of its last commit: the same for all runs that start at one state."""
        return _STRIDE + (0 if self.state is None else self.state.ended)

    def note_of_deletion(self) -> dict[str, Any]:
        """The note of a run's first commit."""
        return {_KEY: {"transaction": self.deletion, "images": None}}

    def note_of_end(self) -> dict[str, Any]:
        """The note of a run's last commit."""
        return self._end(self.ending)

    def note_of_all(self) -> dict[str, Any]:
        """The note of a full run's commit; its transaction is later than all earlier ones."""
        newest = 0 if self.state is None else self.state.newest
        number = max(newest + _STRIDE, int(time.time() * 1000))
        return self._end(number)

    def _end(self, transaction: int) -> dict[str, Any]:
        values = {"transaction": transaction, "images": _packed(self.now), "asked": self.asked}
        return {_KEY: values}


def transaction_of(note: Mapping[str, Any]) -> dict[str, str]:
    """Return the writer options that give a commit with such a note its transaction."""
    if _KEY not in note:
        return {}
    return {"txnAppId": TRANSACTION_APP, "txnVersion": str(note[_KEY]["transaction"])}


def how_far(
    spark: SparkSession, now: ImagesState, output: Target, asked: Mapping[str, Any]
) -> Reached:
    """Compare the state of an output with the pinned image table, and with the run's settings.

    Raises:
        OutputExistsError: The output has no valid state, and the run may not overwrite it.

    *Cost:* the files of the output's commits.
    """
    if not output.exists:
        return Reached(now, None, None, asked)
    state = read_state(spark, output.location)
    if output.mode == "overwrite":
        return Reached(now, None, state, asked)
    if state.images is None:
        reason = (
            "its history has no run with --since-last-run"
            if state.written_by is None
            else f"another writer changed it ({state.written_by}) since the last run"
        )
        raise OutputExistsError(
            f"output {output.location!r} exists, and {reason}: its missing rows can't be "
            "found. Add --output-mode overwrite once, for a full run."
        )
    return Reached(now, state.images, state, asked)


def read_state(spark: SparkSession, location: str) -> RunState:
    """Read the progress of an output, as far back as Delta keeps its history."""
    commits = operations(spark, location)
    notes = [commit.note for commit in commits if _KEY in commit.note]
    note = next(filter(_is_end, notes), {})
    written_by = _written_since(commits, note) if note else None
    return RunState(
        images=_unpacked(note[_KEY]["images"]) if note and written_by is None else None,
        version=commits[0].version,
        note=note,
        newest=max(map(_transaction, notes), default=0),
        written_by=written_by,
        is_undisturbed=_is_undisturbed(commits),
    )


def deletion_name(run: str) -> str:
    """Return the name of a run in the note of its deletion commit.

    It differs from the run's own name, so a search for the work of the run, or of a run with its
    key, does not find this commit.
    """
    return f"{run}-delete"


def _is_undisturbed(commits: Sequence[Operation]) -> bool:
    """Tell whether the newest one or two commits are of one run, right after another run's end."""
    notes = [commit.note for commit in commits if _may_change_rows(commit)]
    if not notes or not _is_end(notes[0]):
        return False
    name = notes[0]["run"]
    before = dropwhile(lambda note: note.get("run") == deletion_name(name), notes[1:])
    earlier = next(before, None)
    return earlier is None or (_is_end(earlier) and earlier["run"] != name)


def _written_since(commits: Sequence[Operation], note: Mapping[str, Any]) -> str | None:
    """Return the newest operation of another writer after the commit with a note."""
    since = takewhile(lambda commit: commit.note is not note, commits)
    return next((one.name for one in since if _KEY not in one.note and _may_change_rows(one)), None)


def _may_change_rows(commit: Operation) -> bool:
    return _KEY in commit.note or not commit.name.upper().startswith(_CHANGING_NO_ROW)


def _is_end(note: Mapping[str, Any]) -> bool:
    """Tell whether a commit with this note completed a run."""
    return _KEY in note and note[_KEY]["images"] is not None


def _transaction(note: Mapping[str, Any]) -> int:
    return int(note[_KEY]["transaction"])


def _packed(images: ImagesState) -> dict[str, Any]:
    text = json.dumps(sorted((path, *values) for path, values in images.files.items()))
    return {
        "location": images.location,
        "image_id_column": images.image_id_column,
        "table_id": images.table_id,
        "version": images.version,
        "files": base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii"),
        "columns": images.columns,
    }


def _unpacked(values: Mapping[str, Any]) -> ImagesState:
    rows = json.loads(zlib.decompress(base64.b64decode(values["files"])))
    files = {path: (size_bytes, modified_ms) for path, size_bytes, modified_ms in rows}
    return ImagesState(
        values["location"],
        values["image_id_column"],
        values["table_id"],
        values["version"],
        files,
        tuple(values.get("columns", ())),  # earlier releases noted none
    )
