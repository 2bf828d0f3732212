"""Files of Parquet and Delta whose statistics are wrong, as some writers leave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Patches replace bytes by as many bytes: a count below 64 takes one.
MOST_ROWS = 63


def _wrong_footer(path: Path, column: str) -> None:
    """Let the footer say that all values of a column are NULL, as Polars 1.44.2 does."""
    chunk = _chunk(path, column)
    assert chunk.statistics.null_count == 0
    assert chunk.num_values <= MOST_ROWS
    most = b"\x28" + _spelled(chunk.statistics.max)
    is_text = isinstance(chunk.statistics.max, str)
    field = b"\x36" if is_text else b"\x16"  # of numbers older fields come before
    count = bytes([2 * chunk.num_values])
    _replace_last(path, field + b"\x00" + most, field + count + most)


def _wrong_page_index(path: Path, column: str) -> None:
    """Let the column index say that the first page of a text column holds nothing but NULLs."""
    least = b"\x19\x18" + _spelled(_chunk(path, column).statistics.min)
    _replace_last(path, b"\x19\x11\x02" + least, b"\x19\x11\x01" + least)


def _wrong_encodings(path: Path, column: str) -> None:
    """Let the footer say that all pages are encoded by the dictionary; it lacks later values."""
    assert _chunk(path, column).has_dictionary_page
    _replace_last(path, b"\x15\x00\x15\x00\x15", b"\x15\x00\x15\x10\x15")


def _wrong_bloom_filter(path: Path, column: str) -> None:
    """Let the bloom filter say that no value is there."""
    chunk = _chunk(path, column)
    end = chunk.bloom_filter_offset + chunk.bloom_filter_length
    num_bytes = chunk.bloom_filter_length // 32 * 32  # blocks, behind a short header
    data = path.read_bytes()
    path.write_bytes(data[: end - num_bytes] + bytes(num_bytes) + data[end:])


# What is wrong: how a file is written for it, and what is done to the file.
_LIES: dict[str, tuple[dict[str, Any], Callable[[Path, str], None]]] = {
    "footer": ({}, _wrong_footer),
    "page index": ({"write_page_index": True}, _wrong_page_index),
    "encodings": (
        {"dictionary_pagesize_limit": 100, "write_batch_size": 8, "write_statistics": False},
        _wrong_encodings,
    ),
    "bloom filter": ({"use_dictionary": False, "write_statistics": False}, _wrong_bloom_filter),
}
LIES = tuple(_LIES)
ALL_NULL = ("footer", "page index")


def write_lying(table: pa.Table, path: Path, columns: Sequence[str], lies: Sequence[str]) -> Path:
    """Write a Parquet file whose rows are right, and what it says of some columns is wrong.

    Args:
        table: The rows: 63 at most.
        path: The path of the file.
        columns: Columns of texts (or of INT32, for the footer) that have no NULL.
        lies: What is wrong, of `LIES`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"compression": "none"}
    for lie in lies:
        options |= _LIES[lie][0]
    if "bloom filter" in lies:
        options["bloom_filter_options"] = {name: {"ndv": 64, "fpp": 0.01} for name in columns}
    pq.write_table(table, path, **options)
    for lie in lies:
        for column in columns:
            _LIES[lie][1](path, column)
    assert pq.read_table(path, partitioning=None).equals(table)
    return path


def let_log_lie(table: Path, data: Path, column: str) -> None:
    """Put a file in the place of a Delta table's only one, and let the log say: all NULL.

    Args:
        table: The Delta table, of one commit.
        data: A file with the same rows.
        column: The column of which that is said.
    """
    (log,) = (table / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    (add,) = (action["add"] for action in actions if "add" in action)
    file = table / add["path"]
    file.write_bytes(data.read_bytes())
    add["size"] = file.stat().st_size
    statistics = json.loads(add["stats"])
    assert statistics["nullCount"][column] == 0
    statistics["nullCount"][column] = statistics["numRecords"]
    add["stats"] = json.dumps(statistics)
    log.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
    for folder in (table, table / "_delta_log"):
        for path in folder.iterdir():
            if path.suffix == ".crc":
                path.unlink()


def _chunk(path: Path, column: str) -> Any:
    group = pq.read_metadata(path).row_group(0)
    chunks = (group.column(index) for index in range(group.num_columns))
    return next(chunk for chunk in chunks if chunk.path_in_schema == column)


def _spelled(value: str | int) -> bytes:
    data = value.encode() if isinstance(value, str) else value.to_bytes(4, "little")
    return bytes([len(data)]) + data


def _replace_last(path: Path, old: bytes, new: bytes) -> None:
    before, found, after = path.read_bytes().rpartition(old)
    assert found, f"{path} is spelled otherwise than this expects"
    assert len(old) == len(new)
    path.write_bytes(before + new + after)
