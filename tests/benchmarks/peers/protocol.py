"""How a peer talks with the harness: a line of JSON for each request, two for each answer.

The first line of an answer comes when the work is done, and ends the timing; the second tells
details that took time to gather. Standard library only: Curator's environment has little else.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

Options = dict[str, Any]


class UnavailableError(Exception):
    """The peer can't do what is asked for, by its own word: it is left out, and that is said."""


@dataclass(frozen=True)
class Request:
    """Remove the listed rows from a table.

    Attributes:
        images: Directory of the image table, column `image_id`.
        duplicate_ids: Directory of the removal list, column `id`.
        output: Directory to make; None where only the rows are to be found.
        kept_bytes: About what the kept rows weigh in files.
        options: What this contender does in a way of its own.
    """

    images: str
    duplicate_ids: str
    output: str | None
    kept_bytes: int
    options: Options = field(default_factory=dict)

    def image_files(self) -> list[Path]:
        """List the files of the table: Parquet, or shards."""
        return sorted(
            path for path in Path(self.images).rglob("*") if path.suffix in (".parquet", ".tar")
        )

    def make_output(self) -> Path:
        """Make the output's directory, for peers that want it to be there."""
        folder = Path(self.output or "")
        folder.mkdir(parents=True)
        return folder


class Peer:
    """One way to do the work; what it keeps warm is made once."""

    def __init__(self, options: Options) -> None:
        """Start what is kept warm; `options` has at least `threads`."""

    def work(self, request: Request) -> Options:
        """Do what is timed; return what the peer has to say of it."""
        raise NotImplementedError

    def details(self) -> Options:
        """Tell more of the last work; this is not timed."""
        return {}


def serve(peer_class: type[Peer]) -> None:
    """Answer requests until there are no more."""
    # Whatever a library prints must not come between: stdout is for answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = peer_class(json.loads(sys.argv[1]))
    _answer(answers, {"ready": True})
    for line in sys.stdin:
        answer = _work(peer, Request(**json.loads(line)))
        _answer(answers, answer)
        _answer(answers, peer.details() if "seconds" in answer else {})


def _work(peer: Peer, request: Request) -> Options:
    started = time.monotonic()
    try:
        said = peer.work(request)
    except UnavailableError as error:
        return {"unavailable": str(error)}
    except Exception as error:  # any failure is a result, and is shown
        return {"error": f"{type(error).__name__}: {str(error)[:500]}"}
    return {"seconds": time.monotonic() - started, **said}


def _answer(answers: TextIO, answer: Options) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
