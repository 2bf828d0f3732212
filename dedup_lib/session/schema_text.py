"""A Parquet schema's text, with its names spelled so that none can be taken for anything else."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence

_HEAD = r" *(?:required|optional|repeated) "
_GROUP = re.compile(_HEAD + r"group ")
_GROUP_END = re.compile(r"(?: \([A-Z_]+(?:\([^()]*\))?\))?(?: = -?\d+)? \{\n")
_LEAF = re.compile(_HEAD + r"\w+(?:\(\d+\))? ")
_LEAF_END = re.compile(r"(?: \([A-Z_0-9]+(?:\([^()]*\))?\))?(?: = -?\d+)?;\n")
_CLOSED = re.compile(r" *\}\n")


@functools.lru_cache(maxsize=64)
def with_quoted_names(text: str, root: str, paths: str) -> str:
    r"""Spell the names in a schema's text as JSON does: "size (KB)", "a\nb".

    As Parquet's Java writes it, a column called `x (STRING)` looks like a string called `x`, and a
    line break in a name hides what stands around it.

    Args:
        text: The schema, as Java writes it.
        root: Its own name.
        paths: The path of each leaf column, in order, as JSON.

    Raises:
        ValueError: The text is not the one that was expected.
    """
    return "".join(_Spelling(text).spell(root, json.loads(paths)))


class _Spelling:
    """A text and how far it was read: names are known, so nothing is left to be guessed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def spell(self, root: str, paths: Sequence[Sequence[str]]) -> Iterator[str]:
        self.take_literally(f"message {root} {{\n")
        yield "message {\n"
        open_groups: list[str] = []
        for *groups, leaf in paths:
            while open_groups != groups[: len(open_groups)]:
                open_groups.pop()
                yield self.take(_CLOSED)
            for group in groups[len(open_groups) :]:
                open_groups.append(group)
                yield from self.take_named(_GROUP, group, _GROUP_END)
            yield from self.take_named(_LEAF, leaf, _LEAF_END)
        for _ in open_groups:
            yield self.take(_CLOSED)
        yield self.take(_CLOSED)

    def take_named(self, before: re.Pattern[str], name: str, after: re.Pattern[str]) -> list[str]:
        head = self.take(before)
        self.take_literally(name)
        return [head, json.dumps(name), self.take(after)]

    def take_literally(self, wanted: str) -> None:
        if not self.text.startswith(wanted, self.position):
            raise ValueError(f"no {wanted!r} at {self.text[self.position :][:80]!r}")
        self.position += len(wanted)

    def take(self, pattern: re.Pattern[str]) -> str:
        if (found := pattern.match(self.text, self.position)) is None:
            raise ValueError(f"unexpected {self.text[self.position :][:80]!r}")
        self.position = found.end()
        return found.group()
