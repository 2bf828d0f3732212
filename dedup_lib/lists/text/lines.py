"""Read lines of CSV, JSON Lines and plain text strictly, to find the line that is wrong.

Spark reads such files in parallel, and tells that something is wrong, but not where. This module
then reads the file again, one line after another.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dedup_lib.lists.files import TextFormat

BOM = b"\xef\xbb\xbf"
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?[nN][aA][nN]"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,37}")
_BITS = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
# As this program shows binary IDs: hex digits, or a UUID.
BYTES = r"([0-9a-fA-F]{2})+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_REASONS = {"double": "a score (a number). Name the column of scores with --score-column"}
_NO_CASTS = ", but the image IDs are. IDs are never cast: write them as they are in the image table"
# For each column to check, the Spark type that its values must have.
Checks = Mapping[str, str]


class BadLineError(Exception):
    """A line that is wrong.

    Attributes:
        reason: What is wrong, with the number of the line.
        is_type: Whether the line can be read, but a value has another type.
    """

    def __init__(self, number: int, reason: str, *, is_type: bool = False) -> None:
        self.reason = f"line {number}{reason}"
        super().__init__(self.reason)
        self.is_type = is_type


def check_lines(form: TextFormat, lines: Iterable[bytes], checks: Checks) -> None:
    """Check the lines of one file.

    Args:
        form: The format.
        lines: The lines without line feeds.
        checks: The columns whose values must have a type.

    Raises:
        BadLineError: A line is wrong.
    """
    fits = _text_fits if form in ("csv", "txt") else _fits
    for number, values in _ROWS[form](lines):
        for column, of in checks.items():
            value = values.get(column)
            if value is not None and not fits(value, of):
                said = f": {json.dumps(value)[:100]} is not "
                raise BadLineError(number, said + _REASONS.get(of, of + _NO_CASTS), is_type=True)


def range_of(id_type: str) -> range:
    """Return the values of a type of whole numbers, as Spark spells it."""
    if id_type in _BITS:
        limit = 2 ** _BITS[id_type]
        return range(-limit, limit)
    limit = 10 ** int(id_type.removeprefix("decimal(").partition(",")[0])
    return range(1 - limit, limit)


def csv_rows(lines: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, the header first, each with the number of its first line.

    Raises:
        BadLineError: A line is not CSV, or has more or fewer values than the header.
    """
    reader = csv.reader((f"{text}\n" for _, text in _texts(lines)), strict=True)
    num_columns = 0
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadLineError(first, f" is not CSV: {error}") from error
        if not row or (num_columns > 1 and not "".join(row[:2]).strip() and len(row) == 1):
            continue
        num_columns = num_columns or len(row)
        if len(row) != num_columns:
            reason = f" has {len(row)} values, but the header has {num_columns} columns"
            raise BadLineError(first, reason)
        yield first, row


def _csv(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv_rows(lines)
    _, header = next(rows, (0, []))
    for number, row in rows:
        yield number, {name: value or None for name, value in zip(header, row, strict=True)}


def _json(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in _texts(lines):
        if not text.strip():
            continue
        try:
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise BadLineError(number, f" is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise BadLineError(number, ' must be a JSON object such as {"id": …}')
        if any(isinstance(each, str) and not _is_unicode(each) for each in value.values()):
            raise BadLineError(number, " holds half of a character (a lone surrogate)")
        yield number, value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key appears twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _ids(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in _texts(lines):
        yield number, {"id": text.removesuffix("\r") or None}


def _texts(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        try:
            yield number, (line.removeprefix(BOM) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise BadLineError(number, f" is not text in UTF-8 ({error.reason})") from error


def _fits(value: Any, of: str) -> bool:
    """Tell whether a value of JSON has a type."""
    if of == "string":
        return isinstance(value, str)
    if of == "binary":
        return isinstance(value, str) and _text_fits(value, of)
    if isinstance(value, bool):
        return False
    if of == "double":
        return isinstance(value, int | float)
    return isinstance(value, int) and value in range_of(of)


def _text_fits(value: str, of: str) -> bool:
    """Tell whether a text is a value of a type: a number's own spelling is one, and no other."""
    if of == "string":
        return True
    if of == "double":
        return re.fullmatch(NUMBER, value) is not None
    if of == "binary":
        return re.fullmatch(BYTES, value) is not None
    return _INTEGER.fullmatch(value) is not None and int(value) in range_of(of)


_ROWS: dict[TextFormat, Callable[[Iterable[bytes]], Iterator[tuple[int, dict[str, Any]]]]] = {
    "csv": _csv,
    "jsonl": _json,
    "json": _json,
    "txt": _ids,
}
