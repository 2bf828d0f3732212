"""Read the footers of Parquet files with pyarrow, in a task on an executor.

A damaged or encrypted column can make pyarrow end its process. Here this is a Python worker, so
only the task fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from dedup_lib.executor.parquet_values.map_keys import find_optional_keys
from dedup_lib.executor.stores import open_store
from dedup_lib.executor.writer_options import schema_lines

# An object store answers slowly, but it answers many requests at the same time.
_THREADS = 8
# The footer is in the last bytes of a file; a small file is there as a whole.
_TAIL_BYTES = 32 * 1024
# After the footer: its length, and the magic.
END_BYTES = 8
_ROW_GROUPS = 4
_PHYSICAL = {"BYTE_ARRAY": "binary", "FIXED_LEN_BYTE_ARRAY": "fixed_len_byte_array"}
_UNITS = {"milliseconds": "MILLIS", "microseconds": "MICROS", "nanoseconds": "NANOS"}


class FooterFacts(NamedTuple):
    """The facts in the footer of a file.

    Attributes:
        digest: A hash of the schema.
        num_rows: The number of rows.
        leaves: Path, repetition, physical and logical type of each leaf column.
        chunks: Dotted path, codec, compressed and uncompressed bytes of each column chunk of the
            first row groups.
    """

    digest: str
    num_rows: int
    leaves: list[tuple[list[str], str, str, str | None]]
    chunks: list[tuple[str, str, int, int]]


class SoundFileError(ValueError):
    """A sound file can't be read by pyarrow. The message names the file."""


class SourceFile(NamedTuple):
    """A file to read: its path below the directory, and its size."""

    path: str
    size_bytes: int


def pack(files: Sequence[SourceFile]) -> bytes:
    """Pack paths and sizes of files: a task receives those of all tasks of its query."""
    return zlib.compress(json.dumps(files).encode(), 1)


def unpack(packed: bytes) -> list[SourceFile]:
    """Return what `pack` packed."""
    return [SourceFile(*file) for file in json.loads(zlib.decompress(packed))]


def read_digests(
    directory: str, files: Sequence[SourceFile], options: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Read the footers of files, up to the first file that can't be read here.

    Args:
        directory: The URI of a directory.
        files: The files.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        For each file a digest of its schema, and its number of rows. If a file can't be read, or
        has another size, there are fewer entries than files; the driver finds the reason.
    """
    found: list[tuple[str, int]] = []
    threads = ThreadPoolExecutor(_THREADS)
    with contextlib.suppress(Exception):
        store, path = open_store(directory, options)
        top = path.rstrip("/")
        found.extend(
            threads.map(lambda it: _read_digest(store, f"{top}/{it.path}", it.size_bytes), files)
        )
    threads.shutdown(cancel_futures=True)
    return found


def _read_digest(store: Any, path: str, size_bytes: int) -> tuple[str, int]:
    import pyarrow as pa
    from pyarrow import parquet as pq

    with store.open_input_file(path) as stream:
        check_size(stream, size_bytes)
        metadata = pq.read_metadata(pa.BufferReader(read_tail(stream, size_bytes)))
    return schema_digest(metadata.schema), count_rows(metadata)


def count_rows(metadata: Any) -> int:
    """Add up the rows of the row groups; some writers do not update the count of the whole file."""
    return sum(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))


def column_chunks(metadata: Any) -> Iterator[Any]:
    """Yield the column chunks of all row groups, as pyarrow describes them."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        yield from map(group.column, range(group.num_columns))


def schema_digest(schema: Any) -> str:
    """Return a hash of pyarrow's Parquet schema of a file."""
    # Also hash the names separately: in a line, a name may look like another name with its type.
    names = [schema.column(index).path for index in range(len(schema))]
    return hashlib.sha256(repr((schema_lines(schema), names)).encode()).hexdigest()


def read_footers(files: Sequence[tuple[str, int]], options: Mapping[str, str]) -> list[FooterFacts]:
    """Read the footers of files, given by URI and size in bytes.

    Raises:
        SoundFileError: A file is sound, but pyarrow can't read it.
        ValueError: A footer can't be read, or a file has another size; the message names the file.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda file: _read_footer(file[0], file[1], options), files))


def _read_footer(uri: str, size_bytes: int, options: Mapping[str, str]) -> FooterFacts:
    store, path = open_store(uri, options)
    try:
        with store.open_input_file(path) as stream:
            check_size(stream, size_bytes)
            footer_bytes = int.from_bytes(stream.read_at(8, size_bytes - 8)[:4], "little")
            metadata = _read_metadata(stream, uri)
        check_not_signed(metadata, footer_bytes)
        leaves = [_describe_leaf(*leaf) for leaf in _find_leaves(metadata.schema)]
    except SoundFileError:
        raise
    except Exception as error:
        raise ValueError(f"a Parquet footer of file {uri!r} can't be read: {error}") from error
    groups = [metadata.row_group(n) for n in range(min(metadata.num_row_groups, _ROW_GROUPS))]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    return FooterFacts(
        schema_digest(metadata.schema),
        count_rows(metadata),
        leaves,
        [_sizes(one) for one in chunks],
    )


def _read_metadata(stream: Any, uri: str) -> Any:
    import pyarrow as pa
    from pyarrow import parquet as pq

    try:
        return pq.read_metadata(stream)
    except pa.ArrowInvalid as error:
        if (reason := find_optional_keys(stream)) is None:
            raise
        raise SoundFileError(f"file {uri!r} is sound, but {reason}.") from error


def read_tail(stream: Any, size_bytes: int) -> bytes:
    """Read the last bytes of a file, with its whole footer."""
    num_bytes = min(_TAIL_BYTES, size_bytes)
    tail: bytes = stream.read_at(num_bytes, size_bytes - num_bytes)
    needed = min(size_bytes, int.from_bytes(tail[-8:-4], "little") + END_BYTES)
    if needed > num_bytes:
        tail = stream.read_at(needed - num_bytes, size_bytes - needed) + tail
    return tail


def footer_in(tail: bytes) -> bytes:
    """Return the footer at the end of a file, with its length and the magic."""
    return tail[-(int.from_bytes(tail[-8:-4], "little") + END_BYTES) :]


def check_size(stream: Any, size_bytes: int) -> None:
    """Check that a file still has the size of the listing."""
    if stream.size() != size_bytes:
        raise ValueError("the file was changed since it was listed")


def check_not_signed(metadata: Any, footer_bytes: int) -> None:
    """Refuse a footer with encrypted columns: it has a signature, so it is longer than its content.

    pyarrow does not report encrypted columns. It ends the process instead.
    """
    if footer_bytes != metadata.serialized_size:
        raise ValueError("its columns are encrypted")


def _sizes(chunk: Any) -> tuple[str, str, int, int]:
    codec = str(chunk.compression).lower()
    sizes = chunk.total_compressed_size, chunk.total_uncompressed_size
    return chunk.path_in_schema, codec, *sizes


def _find_leaves(schema: Any) -> Iterator[tuple[list[str], Any]]:
    """Yield each leaf column with its path.

    pyarrow gives dotted paths. The names of top-level columns are known, and so are the dots in
    them; below that, each dot ends a name.
    """
    first = 0
    for field in schema.to_arrow_schema():
        last = first + _count_leaves(field.type)
        for leaf in (schema.column(index) for index in range(first, last)):
            below = leaf.path[len(field.name) + 1 :]
            yield [field.name, *(below.split(".") if below else [])], leaf
        first = last
    if first != len(schema):
        raise ValueError(f"{len(schema)} leaf columns, but Arrow's schema has {first}")


def _count_leaves(data_type: Any) -> int:
    import pyarrow as pa

    if isinstance(data_type, pa.BaseExtensionType):
        return _count_leaves(data_type.storage_type)
    if isinstance(data_type, pa.DictionaryType):
        return _count_leaves(data_type.value_type)
    if data_type.num_fields == 0:
        return 1
    return sum(_count_leaves(data_type.field(index).type) for index in range(data_type.num_fields))


def _describe_leaf(path: list[str], leaf: Any) -> tuple[list[str], str, str, str | None]:
    """Describe a leaf column as Parquet's Java library does."""
    physical = _PHYSICAL.get(leaf.physical_type, leaf.physical_type.lower())
    return path, _repetition(leaf), physical, _logical(json.loads(leaf.logical_type.to_json()))


def _repetition(leaf: Any) -> str:
    if leaf.max_repetition_level > 0:
        return "repeated"
    return "optional" if leaf.max_definition_level > 0 else "required"


def _logical(facts: dict[str, Any]) -> str | None:
    kind = str(facts["Type"]).upper()
    if kind in ("NONE", "UNDEFINED"):
        return None
    if kind == "INT":
        return f"INTEGER({facts['bitWidth']},{_lower(facts['isSigned'])})"
    if kind in ("TIME", "TIMESTAMP"):
        return f"{kind}({_UNITS[facts['timeUnit']]},{_lower(facts['isAdjustedToUTC'])})"
    if kind == "DECIMAL":
        return f"DECIMAL({facts['precision']},{facts['scale']})"
    return "UNKNOWN" if kind == "NULL" else kind


def _lower(value: bool) -> str:
    return str(value).lower()
