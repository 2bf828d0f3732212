"""Parse IDs that the review page saved, as JSON lines or CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dedup_lib.errors import ColumnTypeError, UnreadableFileError

SAVED_FORMATS = ("jsonl", "csv")
SAVED_COLUMN = "id"
# A line. Text in quotes may hold line breaks.
_CSV_LINE = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?:\r?\n|\Z)')
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,37})")
_BITS = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
# As the review page shows binary IDs: hex digits, or a UUID.
_BYTES = re.compile(r"(?:[0-9a-f]{2})*|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EXPECTED = {
    "jsonl": 'must be {"id": …} without other keys, with text in quotes and numbers without quotes',
    "csv": 'must be an ID: "text in quotes", or a number without quotes; the first line is id',
}


def parse_ids(data: bytes, saved_format: str, *, id_type: str, what: str) -> list[Any]:
    """Read the IDs of a file without casting them.

    Args:
        data: The content of the file.
        saved_format: One of `SAVED_FORMATS`.
        id_type: The type of the image table's IDs, as Spark spells it.
        what: The list, for messages.

    Returns:
        The IDs in the file's order, binary ones as text; None for JSON's null. Empty lines are
        skipped.

    Raises:
        UnreadableFileError: A line does not have the form that the review page writes.
        ColumnTypeError: The type of an ID differs from the image IDs' type.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{what} is not text in UTF-8: {error.reason}.") from error
    read = _json_lines if saved_format == "jsonl" else _csv_lines
    found = []
    try:
        for line, value in read(text):
            _check_type(value, id_type, f"{what}: line {line}")
            found.append(value)
    except _BadLineError as error:
        expected = _EXPECTED[saved_format]
        raise UnreadableFileError(f"{what}: line {error} {expected}.") from error
    return found


class _BadLineError(Exception):
    """A line that can't be read. The error text is its number."""


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _BadLineError(number) from error
        if not isinstance(value, dict) or set(value) != {SAVED_COLUMN}:
            raise _BadLineError(number)
        yield number, value[SAVED_COLUMN]


def _csv_lines(text: str) -> Iterator[tuple[int, Any]]:
    offset, number, is_header = 0, 1, True
    while offset < len(text):
        line = _CSV_LINE.match(text, offset)
        if line is None:
            raise _BadLineError(number)
        quoted, bare = line[1], line[2]
        if is_header and SAVED_COLUMN not in (quoted, bare):
            raise _BadLineError(number)
        if not is_header and quoted is not None:
            yield number, quoted.replace('""', '"')
        elif not is_header and bare:
            yield number, _number(bare, number)
        is_header = False
        offset, number = line.end(), number + line[0].count("\n")


def _number(text: str, line: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise _BadLineError(line)
    return int(text)


def _check_type(value: Any, id_type: str, where: str) -> None:
    if value is not None and not _fits(value, id_type):
        raise ColumnTypeError(
            f"{where}: {json.dumps(value)[:100]} is not {id_type}, but the image IDs are. IDs "
            "are never cast: save the list from a review of this table, or write it as Parquet."
        )


def _fits(value: Any, id_type: str) -> bool:
    if id_type == "string":
        return isinstance(value, str) and _is_unicode(value)
    if id_type == "binary":
        return isinstance(value, str) and _BYTES.fullmatch(value) is not None
    if id_type in _BITS:
        limit = 2 ** _BITS[id_type]
        return type(value) is int and -limit <= value < limit
    digits = int(id_type.removeprefix("decimal(").partition(",")[0])
    return type(value) is int and abs(value) < 10**digits


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
