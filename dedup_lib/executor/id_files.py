"""Write the files of an ID table."""

from __future__ import annotations

import contextlib
import tempfile
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from dedup_lib.executor.stores import rename_finished, renames_in_one_step

_GROUP_ROWS = 1024**2
_MOST_DIGITS = 38
# Spaces and control characters beyond ASCII, by their Unicode category.
_ENCODED = {"Zs", "Zl", "Zp", "Cc"}
_GROUP_BYTES = 64 * 1024**2


def encode_path(path: str) -> str:
    """Convert the URI of a file with literal characters to the spelling of `_metadata.file_path`.

    *Source:* Java's `URI`, by which Spark spells paths.
    """
    scheme, colon, rest = path.partition(":")
    if rest.isascii():
        return f"{scheme}{colon}{_encode(rest)}"
    return f"{scheme}{colon}{''.join(map(_encode, rest))}"


def _encode(letters: str) -> str:
    """Encode one letter, or ASCII letters."""
    if letters.isascii():
        return quote(letters, safe="/:@&=+$,;-_.!~*'()")
    return quote(letters) if unicodedata.category(letters) in _ENCODED else letters


def make_directory(store: Any, directory: str) -> None:
    """Make a directory, unless it is in an object store, which has none."""
    if renames_in_one_step(store):
        # Do not make parents: a late attempt must not restore what a failed run deleted.
        store.create_dir(directory, recursive=False)


@contextlib.contextmanager
def named_when_finished(store: Any, directory: str, name: str) -> Iterator[Any]:
    """Yield a stream to a file that gets its name at the end, if no error comes.

    In an object store, whose renames are copies, the finished file is uploaded.
    """
    from pyarrow import fs

    if renames_in_one_step(store):
        make_directory(store, directory)
        partial = f"{directory}/.{uuid.uuid4().hex}"
        try:
            with store.open_output_stream(partial) as sink:
                yield sink
            rename_finished(store, partial, f"{directory}/{name}")
        except BaseException:
            with contextlib.suppress(OSError):
                store.delete_file(partial)
            raise
        return
    local = fs.LocalFileSystem()
    with tempfile.TemporaryDirectory(prefix="remove-duplicates-") as folder:
        partial = f"{folder}/{name}"
        with local.open_output_stream(partial) as sink:
            yield sink
        target = f"{directory}/{name}"
        fs.copy_files(partial, target, source_filesystem=local, destination_filesystem=store)


def write_rows(sink: Any, batches: Iterable[Any]) -> None:
    """Write batches in row groups of a useful size, without statistics."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    writer: Any = None
    try:
        for group in _grouped(batches):
            table = pa.Table.from_batches(group)
            if writer is None:
                writer = pq.ParquetWriter(
                    sink,
                    table.schema,
                    compression="snappy",
                    store_schema=False,
                    use_dictionary=["file_path"],
                    column_encoding={"row_index": "DELTA_BINARY_PACKED"},
                    write_statistics=False,
                )
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    finally:
        if writer is not None:
            writer.close()


def _grouped(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    num_rows = num_bytes = 0
    for batch in batches:
        group.append(batch)
        num_rows += batch.num_rows
        # Not the paths: each batch has those of all files.
        num_bytes += sum(
            batch.column(index).nbytes for index in range(batch.num_columns) if index != 1
        )
        if num_rows >= _GROUP_ROWS or num_bytes >= _GROUP_BYTES:
            yield group
            group, num_rows, num_bytes = [], 0, 0
    if group:
        yield group


def stored_type(pa: Any, given: Any) -> Any:
    """Return the type that Spark reads for a type of pyarrow.

    Raises:
        ValueError: Spark reads such values in another way, or not at all.
    """
    types = pa.types
    if types.is_string(given) or types.is_large_string(given) or types.is_string_view(given):
        return pa.string()
    if types.is_decimal(given) and given.precision <= _MOST_DIGITS:
        return pa.decimal128(given.precision, given.scale)
    if types.is_timestamp(given) and given.unit != "ns":
        return pa.timestamp("us", None if given.tz is None else "UTC")
    stored = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.date64(): pa.date32(),
    }
    same = types.is_integer, types.is_boolean, types.is_float32, types.is_float64, types.is_date
    if any(is_such(given) for is_such in same):
        return stored.get(given, given)
    if types.is_duration(given):
        return pa.int64()
    binary = types.is_binary, types.is_large_binary, types.is_binary_view
    if types.is_fixed_size_binary(given) or any(is_such(given) for is_such in binary):
        return pa.binary()
    raise ValueError(f"{given} is not copied")
