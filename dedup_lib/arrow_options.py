"""What a Parquet file is like, as options of pyarrow's writer: so that it stays like that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from dedup_lib.arrow_stores import FileRefusedError

_PAGE_BYTES = 1024**2
# A value that weighs more gains nothing from a dictionary, which Parquet bounds at 1 MB.
_DICTIONARY_VALUE_BYTES = 1024
_CODECS = {"UNCOMPRESSED": "NONE", "LZ4": "LZ4_RAW"}
_ENCODINGS = {
    "DELTA_BINARY_PACKED",
    "DELTA_LENGTH_BYTE_ARRAY",
    "DELTA_BYTE_ARRAY",
    "BYTE_STREAM_SPLIT",
}


def writer_options(file: Any) -> dict[str, Any]:
    """Return options for pyarrow's writer under which a Parquet file stays what it is.

    Codec, dictionary, statistics and encoding of each column are those of the first row group.

    Raises:
        FileRefusedError: A column would come out as another type under any of them.
    """
    if file.metadata.num_row_groups == 0:
        return {}
    options = _column_options(file.metadata)
    for variant in _variants(file.metadata.format_version):
        difference = _schema_difference(file, options | variant)
        if difference is None:
            return options | variant
    raise FileRefusedError("types", f"pyarrow would write {difference}")


def schema_lines(schema: Any) -> list[str]:
    """Return a Parquet schema's text without its first lines: an address, the root's name."""
    return [line.strip() for line in str(schema).splitlines()[2:]]


def check_int96(file: Any, stream: Any, source: str) -> None:
    """Check that timestamps of 12 bytes have no nanoseconds: they are read in microseconds."""
    import pyarrow as pa
    from pyarrow import compute as pc
    from pyarrow import parquet as pq

    names = list(_int96_columns(file))
    if not names:
        return
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
            for us, ns in zip(in_us.columns, in_ns.columns, strict=True):
                # Where nanoseconds overflow, both sides do, and the rest is right all the same.
                rest = pc.subtract(ns.cast(pa.int64()), pc.multiply(us.cast(pa.int64()), 1000))
                if pc.any(pc.not_equal(rest, 0)).as_py():
                    raise FileRefusedError(
                        "types", f"timestamps of {source!r} without their nanoseconds"
                    )


def _column_options(metadata: Any) -> dict[str, Any]:
    group = metadata.row_group(0)
    chunks = {}
    for index in range(group.num_columns):
        chunk = group.column(index)
        chunks[chunk.path_in_schema] = chunk
    dictionary = [path for path, chunk in chunks.items() if _has_dictionary(chunk)]
    statistics = [path for path, chunk in chunks.items() if chunk.is_stats_set]
    encodings = {
        path: encoding
        for path, chunk in chunks.items()
        for encoding in _ENCODINGS.intersection(chunk.encodings)
        if path not in dictionary
    }
    row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
    return {
        "compression": {
            path: _CODECS.get(chunk.compression, chunk.compression)
            for path, chunk in chunks.items()
        },
        "use_dictionary": dictionary or False,
        "write_statistics": statistics or False,
        "column_encoding": encodings or None,
        "sorting_columns": group.sorting_columns or None,
        "write_page_index": any(chunk.has_offset_index for chunk in chunks.values()),
        # Others rarely write checksums; no footer tells.
        "write_page_checksum": (metadata.created_by or "").startswith("parquet-mr"),
        # The writer looks at a page's size after so many values.
        "write_batch_size": max(1, min(1024, _PAGE_BYTES // row_bytes)),
        "use_deprecated_int96_timestamps": any(
            chunk.physical_type == "INT96" for chunk in chunks.values()
        ),
    }


def _has_dictionary(chunk: Any) -> bool:
    if not {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}.intersection(chunk.encodings):
        return False
    return bool(chunk.total_uncompressed_size <= _DICTIONARY_VALUE_BYTES * max(1, chunk.num_values))


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
    """Write no row, and return where the schema differs from the file's."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    sink = pa.BufferOutputStream()
    try:
        with pq.ParquetWriter(sink, file.schema_arrow, store_schema=False, **options):
            pass
    except (pa.ArrowException, OSError, ValueError) as error:
        return str(error)
    found = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    for before, after in zip(schema_lines(file.schema), schema_lines(found), strict=False):
        if before != after:
            return f"{before!r} as {after!r}"
    return None


def _int96_columns(file: Any) -> Iterator[str]:
    for index in range(len(file.schema)):
        column = file.schema.column(index)
        if column.physical_type == "INT96":
            if "." in column.path:
                raise FileRefusedError("types", f"{column.path!r}, an INT96 in a nested column")
            yield column.path
