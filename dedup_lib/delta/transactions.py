"""Number the commits of --since-last-run in an output: Delta accepts each number only once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dedup_lib.methods.since_last_run.output_state import KEY, Reached

# Each commit of such runs has a transaction of this application.
TRANSACTION_APP = "remove-duplicates:since-last-run"
# Transactions between the last commits of two runs: the most deletions without a last commit.
_STRIDE = 1_000_000


class Numbered(Reached):
    """The progress of a Delta output; its notes have the transactions of their commits."""

    @property
    def newest(self) -> int:
        """The newest transaction of any such run."""
        notes = () if self.state is None else self.state.notes
        return max(map(_transaction, notes), default=0)

    @property
    def deletion(self) -> int:
        """The transaction of a run's first commit: later than all existing ones."""
        return 1 + self.newest

    @property
    def ending(self) -> int:
        """The transaction of its last commit: the same for all runs that start at one state."""
        ended = None if self.state is None else self.state.note
        return _STRIDE + (_transaction(ended) if ended else 0)

    def note_of_deletion(self) -> dict[str, Any]:
        """The note of a run's first commit."""
        return _numbered(super().note_of_deletion(), self.deletion)

    def note_of_end(self) -> dict[str, Any]:
        """The note of a run's last commit."""
        return _numbered(super().note_of_end(), self.ending)

    def note_of_all(self) -> dict[str, Any]:
        """The note of a full run's commit; its transaction is later than all earlier ones."""
        number = max(self.newest + _STRIDE, int(time.time() * 1000))
        return _numbered(super().note_of_end(), number)


def transaction_of(note: Mapping[str, Any]) -> dict[str, str]:
    """Return the writer options that give a commit with such a note its transaction."""
    if KEY not in note:
        return {}
    return {"txnAppId": TRANSACTION_APP, "txnVersion": str(_transaction(note))}


def _numbered(note: Mapping[str, Any], transaction: int) -> dict[str, Any]:
    return {KEY: {"transaction": transaction, **note[KEY]}}


def _transaction(note: Mapping[str, Any]) -> int:
    return int(note[KEY]["transaction"])
