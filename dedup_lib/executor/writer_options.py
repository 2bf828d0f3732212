"""Describe a Parquet file as options of pyarrow's writer, so that a new file is like it."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dedup_lib.executor.kept_rows import first_row_groups, open_file
from dedup_lib.executor.stores import FileRefusedError, open_store

PAGE_BYTES = 1024**2
# A longer value gains nothing from a dictionary.
_DICTIONARY_VALUE_BYTES = 1024
# Compressed to this share of its size or more, a column of bytes is left uncompressed.
LEAST_SHARE = 0.97
_CODECS = {"UNCOMPRESSED": "NONE", "LZ4": "LZ4_RAW"}
_SAYS_NOTHING = re.compile(r" \(Int\(bitWidth=(32|64), isSigned=true\)\)(?=;$)")
_PREFIXES = "DELTA_BYTE_ARRAY"
# Before 1.8.0, or of no known version.
_OLD_JAVA = re.compile(r"parquet-mr(?! version \d+\.\d+\.\d+)|parquet-mr version (0|1\.[0-7])\.")
# Spark writes no nanoseconds.
_SPARK_VERSION = b"org.apache.spark.version"
# Above this, nanoseconds do not fit into 64 bits.
_MOST_MICROS = (2**63 - 1) // 1000
_IN_UTC = "write_time_adjusted_to_utc"
_DICTIONARY_ENCODINGS = {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}
_ENCODINGS = {
    "DELTA_BINARY_PACKED",
    "DELTA_LENGTH_BYTE_ARRAY",
    _PREFIXES,
    "BYTE_STREAM_SPLIT",
}


def writer_options(file: Any) -> dict[str, Any]:
    """Return options with which pyarrow writes a file like a given one.

    Codec, dictionary, statistics and encoding of each column are as in the first row groups. Only a
    column of bytes without a dictionary that its codec makes smaller by less than 3 % is not
    compressed.

    Args:
        file: pyarrow's reader of the given file.

    Raises:
        FileRefusedError: pyarrow would write a column as another type, whatever the options; or
            it can't read a column.
    """
    options = _time_options(file.schema)
    if file.metadata.num_row_groups > 0:
        _check_prefixes(file.metadata)
        options |= _column_options(file.metadata)
    options["use_deprecated_int96_timestamps"] = any(_int96_columns(file))
    for variant in _variants(file.metadata.format_version):
        difference = _schema_difference(file, options | variant)
        if difference is None:
            return options | variant
    raise FileRefusedError("types", f"pyarrow would write {difference}")


def schema_lines(schema: Any) -> list[str]:
    """Return the text of pyarrow's Parquet schema, without memory address and root name.

    DuckDB says of an int64 that it has 64 bits and a sign, which is true of each int64.
    """
    return [_SAYS_NOTHING.sub("", line.strip()) for line in str(schema).splitlines()[2:]]


def int96_unit(file: Any, stream: Any, source: str) -> str:
    """Return the unit in which pyarrow reads a file's INT96 timestamps without a loss.

    Args:
        file: pyarrow's reader of the file, with INT96 in microseconds.
        stream: The file, opened.
        source: The name of the file in messages.

    Returns:
        `us`, or `ns` if there are nanoseconds.

    Raises:
        FileRefusedError: There are nanoseconds, and years that nanoseconds can't hold.

    *Cost:* the INT96 columns are read twice; nothing if the file has no such columns.
    """
    import pyarrow as pa
    from pyarrow import compute as pc
    from pyarrow import parquet as pq

    names = list(_int96_columns(file))
    if not names or _is_by_spark(file.metadata):
        return "us"
    has_nanoseconds = is_long = False
    with contextlib.ExitStack() as stack:
        stream.seek(0)
        exact = pq.ParquetFile(stream, pre_buffer=False, coerce_int96_timestamp_unit="ns")
        stack.callback(exact.close)
        pairs = zip(
            file.iter_batches(65_536, columns=names),
            exact.iter_batches(65_536, columns=names),
            strict=True,
        )
        for in_us, in_ns in pairs:
            for us, ns in zip(_instants(in_us), _instants(in_ns), strict=True):
                micros = us.cast(pa.int64())
                # If nanoseconds overflow, both sides overflow, and the remainder is still right.
                rest = pc.subtract(ns.cast(pa.int64()), pc.multiply(micros, 1000))
                has_nanoseconds |= bool(pc.any(pc.not_equal(rest, 0)).as_py())
                is_long |= bool(pc.any(pc.greater(pc.abs(micros), _MOST_MICROS)).as_py())
    if has_nanoseconds and is_long:
        raise FileRefusedError(
            "types", f"pyarrow would write timestamps of {source!r} without nanoseconds"
        )
    return "ns" if has_nanoseconds else "us"


def _is_by_spark(metadata: Any) -> bool:
    """Tell whether Spark wrote a file; pyarrow may keep Spark's key in a file of its own."""
    is_java = (metadata.created_by or "").startswith("parquet-mr")
    return is_java and _SPARK_VERSION in (metadata.metadata or {})


def has_nanoseconds(source: str, options: Mapping[str, str]) -> bool:
    """Tell whether INT96 timestamps of a file, given by its URI, have nanoseconds.

    Args:
        source: The URI.
        options: Options for pyarrow's file systems, except the local one.
    """
    store, path = open_store(source, options)
    with store.open_input_file(path) as stream:
        try:
            return int96_unit(open_file(stream), stream, source) == "ns"
        except FileRefusedError:
            return True


def _instants(values: Any) -> Iterator[Any]:
    """Yield the timestamps of a batch or an array, from all that is nested in it."""
    import pyarrow as pa

    kind = getattr(values, "type", None)
    if kind is None:
        parts = values.columns
    elif pa.types.is_timestamp(kind):
        yield values
        return
    elif pa.types.is_map(kind):
        parts = [values.keys, values.items]
    else:
        parts = values.flatten() if pa.types.is_struct(kind) else [values.flatten()]
    for part in parts:
        yield from _instants(part)


def _check_prefixes(metadata: Any) -> None:
    """Refuse texts whose first characters are in another page.

    *Source:* PARQUET-246, and CorruptDeltaByteArrays in Parquet's Java library.
    """
    if not _OLD_JAVA.match(created_by := metadata.created_by or ""):
        return
    for group in first_row_groups(metadata):
        for column in (group.column(index) for index in range(metadata.num_columns)):
            if _PREFIXES in column.encodings:
                raise FileRefusedError(
                    "types",
                    f"pyarrow can't read column {column.path_in_schema!r} in {_PREFIXES}, as "
                    f"{created_by!r} wrote it; Parquet's Java library can (--engine spark)",
                )


def _column_options(metadata: Any) -> dict[str, Any]:
    groups = first_row_groups(metadata)
    columns = [_ColumnFacts(groups, index) for index in range(metadata.num_columns)]
    num_rows = max(1, sum(group.num_rows for group in groups))
    row_bytes = max(1, sum(group.total_byte_size for group in groups) // num_rows)
    return {
        "compression": {
            column.path: "NONE" if _gains_nothing(metadata, index) else column.codec
            for index, column in enumerate(columns)
        },
        "use_dictionary": [column.path for column in columns if column.has_dictionary] or False,
        "write_statistics": [column.path for column in columns if column.has_statistics] or False,
        "column_encoding": {
            column.path: encoding
            for column in columns
            for encoding in _ENCODINGS.intersection(column.encodings)
            if not column.has_dictionary
        }
        or None,
        "sorting_columns": groups[0].sorting_columns or None,
        "write_page_index": any(column.has_page_index for column in columns),
        # The footer does not say whether pages have checksums; other writers rarely write them.
        "write_page_checksum": (metadata.created_by or "").startswith("parquet-mr"),
        # The number of values after which the writer checks the size of the page.
        "write_batch_size": max(1, min(1024, PAGE_BYTES // row_bytes)),
    }


def _gains_nothing(metadata: Any, index: int) -> bool:
    """Tell whether a column holds bytes, as of images, that its codec hardly makes smaller.

    With a dictionary, nobody knows how large its values are without one.
    """
    column = metadata.schema.column(index)
    if column.physical_type != "BYTE_ARRAY" or column.logical_type.type != "NONE":
        return False
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = [group.column(index) for group in groups]
    if any(_DICTIONARY_ENCODINGS.intersection(chunk.encodings) for chunk in chunks):
        return False
    compressed = sum(chunk.total_compressed_size for chunk in chunks)
    uncompressed = sum(chunk.total_uncompressed_size for chunk in chunks)
    return bool(compressed >= LEAST_SHARE * uncompressed)


class _ColumnFacts:
    """Facts about a column from several row groups; in the first, all values may be NULL."""

    def __init__(self, groups: Sequence[Any], index: int) -> None:
        chunks = [group.column(index) for group in groups]
        self.path = chunks[0].path_in_schema
        self.codec = _CODECS.get(chunks[0].compression, chunks[0].compression)
        self.encodings = {encoding for chunk in chunks for encoding in chunk.encodings}
        self.has_statistics = any(chunk.is_stats_set for chunk in chunks)
        self.has_page_index = any(chunk.has_offset_index for chunk in chunks)
        num_values = max(1, sum(chunk.num_values for chunk in chunks))
        value_bytes = sum(chunk.total_uncompressed_size for chunk in chunks) / num_values
        is_small = value_bytes <= _DICTIONARY_VALUE_BYTES
        self.has_dictionary = is_small and bool(_DICTIONARY_ENCODINGS & self.encodings)


def _time_options(schema: Any) -> dict[str, Any]:
    """Say of times of day that they are UTC, if the file does. pyarrow before 22 always says so."""
    from pyarrow import parquet as pq

    columns = (schema.column(index) for index in range(len(schema)))
    types = [json.loads(column.logical_type.to_json()) for column in columns]
    in_utc = any(of["Type"] == "Time" and of["isAdjustedToUTC"] for of in types)
    has_option = in_utc and _IN_UTC in inspect.signature(pq.write_table).parameters
    return {_IN_UTC: True} if has_option else {}


def _variants(format_version: str) -> Iterator[dict[str, Any]]:
    for version in dict.fromkeys((format_version, "2.6")):
        for compliant in (True, False):
            for as_integer in (False, True):
                yield {
                    "version": version,
                    "use_compliant_nested_type": compliant,
                    "store_decimal_as_integer": as_integer,
                }


def _schema_difference(file: Any, options: Mapping[str, Any]) -> str | None:
    """Write a file without rows; return the first difference of its schema, or None."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    sink = pa.BufferOutputStream()
    try:
        with pq.ParquetWriter(sink, file.schema_arrow, store_schema=False, **options):
            pass
    except (pa.ArrowException, OSError, ValueError) as error:
        return str(error)
    found = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    lines = itertools.zip_longest(schema_lines(file.schema), schema_lines(found))
    return next((f"{before!r} as {after!r}" for before, after in lines if before != after), None)


def _int96_columns(file: Any) -> Iterator[str]:
    columns = (file.schema.column(index) for index in range(len(file.schema)))
    return (column.path for column in columns if column.physical_type == "INT96")
