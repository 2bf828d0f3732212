"""Read from the commits of an output how far earlier runs came (--since-last-run)."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any

from dedup_lib.errors import OutputExistsError
from dedup_lib.tables.history import ImagesState, Operation
from dedup_lib.tables.target import Target

KEY = "since_last_run"


@dataclass(frozen=True)
class RunState:
    """The progress of an output, by its history.

    Attributes:
        images: The state of the image table in the newest complete run; None if there is no such
            run, or if others have written to the output since then.
        version: The output's newest version; None if it has no commit.
        note: The note of that run's last commit: its settings and counts; empty if there is no
            such run.
        notes: The notes of all commits of such runs, newest first.
        written_by: The operation of another writer since that run; None if there was none.
        is_undisturbed: Whether that run's commits are the newest, and directly follow another such
            run's commits. Then nobody else wrote between the two runs or during the newer run.
    """

    images: ImagesState | None
    version: int | None
    note: Mapping[str, Any]
    notes: Sequence[Mapping[str, Any]]
    written_by: str | None
    is_undisturbed: bool


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
        return state.note if state.note[KEY].get("asked") == self.asked else None

    def note_of_deletion(self) -> dict[str, Any]:
        """The note of the commit that deletes rows, before the run's last commit."""
        return {KEY: {"images": None}}

    def note_of_end(self) -> dict[str, Any]:
        """The note of a run's last commit."""
        return {KEY: {"images": _packed(self.now), "asked": self.asked}}

    def note_of_all(self) -> dict[str, Any]:
        """The note of a full run's commit."""
        return self.note_of_end()


def how_far(
    reached: type[Reached],
    now: ImagesState,
    output: Target,
    asked: Mapping[str, Any],
    read_state: Callable[[], RunState],
) -> Reached:
    """Compare the state of an output with the pinned image table, and with the run's settings.

    Args:
        reached: The class of the result.
        now: The pinned state of the image table.
        output: The output.
        asked: Everything else that decides a run's outcome.
        read_state: Reads the state of an output that exists.

    Raises:
        OutputExistsError: The output has no valid state, and the run may not overwrite it.
    """
    if not output.exists:
        return reached(now, None, None, asked)
    state = read_state()
    if output.mode == "overwrite":
        return reached(now, None, state, asked)
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
    return reached(now, state.images, state, asked)


def state_of(commits: Sequence[Operation], changing_no_row: tuple[str, ...]) -> RunState:
    """Return the progress of an output.

    Args:
        commits: Its commits, newest first, as far back as its history is kept.
        changing_no_row: How the names of operations begin that other writers may do, since they
            change no row; in upper case.
    """
    writing = [one for one in commits if _may_change_rows(one, changing_no_row)]
    notes = [commit.note for commit in commits if KEY in commit.note]
    note = next(filter(_is_end, notes), {})
    written_by = _written_since(writing, note) if note else None
    return RunState(
        images=_unpacked(note[KEY]["images"]) if note and written_by is None else None,
        version=commits[0].version if commits else None,
        note=note,
        notes=notes,
        written_by=written_by,
        is_undisturbed=_is_undisturbed(writing),
    )


def deletion_name(run: str) -> str:
    """Return the name of a run in the note of its deletion commit.

    It differs from the run's own name, so a search for the work of the run, or of a run with its
    key, does not find this commit.
    """
    return f"{run}-delete"


def _is_undisturbed(writing: Sequence[Operation]) -> bool:
    """Tell whether the newest one or two commits are of one run, right after another run's end."""
    notes = [commit.note for commit in writing]
    if not notes or not _is_end(notes[0]):
        return False
    name = notes[0]["run"]
    before = dropwhile(lambda note: note.get("run") == deletion_name(name), notes[1:])
    earlier = next(before, None)
    return earlier is None or (_is_end(earlier) and earlier["run"] != name)


def _written_since(writing: Sequence[Operation], note: Mapping[str, Any]) -> str | None:
    """Return the newest operation of another writer after the commit with a note."""
    since = takewhile(lambda commit: commit.note is not note, writing)
    return next((one.name for one in since if KEY not in one.note), None)


def _may_change_rows(commit: Operation, changing_no_row: tuple[str, ...]) -> bool:
    return KEY in commit.note or not commit.name.upper().startswith(changing_no_row)


def _is_end(note: Mapping[str, Any]) -> bool:
    """Tell whether a commit with this note completed a run."""
    return KEY in note and note[KEY]["images"] is not None


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
