"""Read footers and image IDs of Parquet files in one pass, and copy the IDs to a compact file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from dedup_lib.executor.footers import (
    END_BYTES,
    SourceFile,
    check_not_signed,
    check_size,
    column_chunks,
    count_rows,
    footer_in,
    read_tail,
    schema_digest,
)
from dedup_lib.executor.id_files import (
    encode_path,
    make_directory,
    named_when_finished,
    stored_type,
    write_rows,
)
from dedup_lib.executor.stores import FileRefusedError, open_store
from dedup_lib.executor.unread_columns import check_page_headers, find_misread, find_unread
from dedup_lib.executor.writer_options import writer_options

# An object store answers slowly, but it answers many requests at the same time.
_THREADS = 8
_MAGIC = b"PAR1"
_BATCH_ROWS = 65_536
# IDs of a file that other threads read ahead.
_AHEAD_ROWS = 16_384
_MOST_VALUE_BYTES = 1024


class ScannedFile(NamedTuple):
    """What one pass finds out about a file.

    Attributes:
        digest: A hash of the schema.
        num_rows: The number of rows that were read.
        num_nulls: The number of rows without an ID.
        id_bytes: The bytes of the IDs as text.
        refused: Why pyarrow can't write such a file without changes; None if it can.
        misread: A nested column by DuckDB that pyarrow can't read, and Spark reads wrong; or None.
    """

    digest: str
    num_rows: int
    num_nulls: int
    id_bytes: int
    refused: str | None
    misread: str | None = None


class _Opened(NamedTuple):
    """A file that was opened; `batches` are its columns, unless they are read later."""

    file: Any
    stream: Any
    tail: bytes
    num_rows: int
    batches: list[Any] | None


class Sources(NamedTuple):
    """Files below a directory (a URI), the columns to copy (first IDs), and what to look for."""

    directory: str
    files: Sequence[SourceFile]
    columns: Sequence[str]
    looks_for_misread: bool = False


def copy_ids(
    sources: Sources, target: str, name: str, options: Mapping[str, str]
) -> list[ScannedFile]:
    """Copy the IDs of files, with each row's file and position, to a Parquet file.

    No statistics decide what is read. For each schema, the footer of its largest file is copied.
    Then nobody else needs to open a file for its footer.

    Args:
        sources: The files.
        target: The URI of a directory. `rows/NAME.parquet` is the file to write: `image_id`,
            `file_path`, `row_index`, and `value_1`, … for other columns, one row per row.
            `schemas/NAME-DIGEST.parquet` are footers.
        name: A name that no other task has.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        One entry per file. If a file can't be read here: one entry without a digest, which says why
        in `refused`.

    *Cost:* each file is opened once: its last bytes and these columns are read; of files by DuckDB
    also some integers, and nested columns if they are looked for.
    """
    try:
        return _Copying(sources, options).copy(target, name)
    except Exception as error:  # Spark can do it in place of pyarrow
        return [ScannedFile("", 0, 0, 0, f"{type(error).__name__}: {error}")]


class _Copying:
    """One task: it reads some files, and writes one."""

    def __init__(self, sources: Sources, options: Mapping[str, str]) -> None:
        import pyarrow as pa
        from pyarrow import compute

        self._pa, self._compute = pa, compute
        self._files, self._columns = sources.files, list(sources.columns)
        self._options = options
        self._looks_for_misread = sources.looks_for_misread
        self._store, top = open_store(sources.directory, options)
        self._top = top.rstrip("/")
        self._footers: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._refused: dict[tuple[str, str], str | None] = {}
        paths = (encode_path(f"{sources.directory}/{file.path}") for file in sources.files)
        self._paths = pa.array(paths, pa.string())
        self._positions = pa.array(range(_BATCH_ROWS), pa.int64())

    def copy(self, target: str, name: str) -> list[ScannedFile]:
        """Write the files, and name them when they are finished."""
        store, top = open_store(target, self._options)
        make_directory(store, top)
        found: list[ScannedFile] = []
        with named_when_finished(store, f"{top}/rows", f"{name}.parquet") as sink:
            write_rows(sink, self._rows(found))
        for digest, footer in self._footers.items():
            with named_when_finished(store, f"{top}/schemas", f"{name}-{digest}.parquet") as sink:
                sink.write(_MAGIC + footer)
        return found

    def _rows(self, found: list[ScannedFile]) -> Iterator[Any]:
        """Yield the rows to write, file by file; note the facts of each file at its end."""
        for number, opened in enumerate(self._open_ahead()):
            digest, refused = self._describe(opened, self._files[number].size_bytes)
            batches = self._read(opened.file) if opened.batches is None else opened.batches
            num_rows = num_nulls = id_bytes = 0
            for ids, *others in batches:
                yield self._located(ids, others, number, num_rows)
                num_rows += len(ids)
                num_nulls += ids.null_count
                id_bytes += self._text_bytes(ids)
            if num_rows != opened.num_rows:
                raise ValueError("the row groups have other numbers of rows than their footer says")
            refused = refused or find_unread(opened.file)
            misread = find_misread(opened.file) if self._looks_for_misread else None
            opened.stream.close()
            found.append(ScannedFile(digest, num_rows, num_nulls, id_bytes, refused, misread))

    def _open_ahead(self) -> Iterator[_Opened]:
        """Yield the files in order; threads open the next ones, and read the IDs of small files."""
        ahead: deque[Future[_Opened]] = deque()
        with ThreadPoolExecutor(_THREADS) as threads:
            try:
                for file in self._files:
                    ahead.append(threads.submit(self._open, file))
                    if len(ahead) > _THREADS:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                threads.shutdown(cancel_futures=True)

    def _open(self, source: SourceFile) -> _Opened:
        from pyarrow import parquet as pq

        stream = self._store.open_input_file(f"{self._top}/{source.path}")
        check_size(stream, source.size_bytes)
        tail = read_tail(stream, source.size_bytes)
        metadata = pq.read_metadata(self._pa.BufferReader(tail))
        check_not_signed(metadata, len(footer_in(tail)) - END_BYTES)
        if len(tail) == source.size_bytes:
            stream.close()
            stream = self._pa.BufferReader(tail)
        file = pq.ParquetFile(
            stream, metadata=metadata, pre_buffer=False, page_checksum_verification=True
        )
        num_rows = count_rows(metadata)
        _check_sizes(metadata, self._columns, num_rows)
        batches = list(self._read(file)) if num_rows <= _AHEAD_ROWS else None
        return _Opened(file, stream, tail, num_rows, batches)

    def _describe(self, opened: _Opened, file_bytes: int) -> tuple[str, str | None]:
        """Return the digest of a file's schema, and why pyarrow can't write such a file.

        Note the footer, if no larger file of the schema has given one.
        """
        metadata = opened.file.metadata
        digest = schema_digest(metadata.schema)  # pyarrow's `equals` looks at leaf columns alone
        if file_bytes > self._sizes.get(digest, -1):
            self._sizes[digest], self._footers[digest] = file_bytes, footer_in(opened.tail)
        if opened.num_rows == 0:  # it has no codec, no encoding, no page
            return digest, None
        known = digest, metadata.created_by or ""
        if known not in self._refused:
            self._refused[known] = _why_not_written(opened.file, opened.stream)
        return digest, self._refused[known]

    def _read(self, file: Any) -> Iterator[Sequence[Any]]:
        """Yield the columns in batches, as Spark would read them."""
        if file.metadata.num_row_groups == 0:
            return
        for batch in file.iter_batches(_BATCH_ROWS, columns=self._columns, use_threads=False):
            indexes = list(map(batch.schema.get_field_index, self._columns))
            if min(indexes) < 0:
                raise ValueError("a column is missing, or there are several of its name")
            columns = [self._as_spark_reads(batch.column(index)) for index in indexes]
            if any(it.nbytes > _MOST_VALUE_BYTES * max(64, len(it)) for it in columns):
                raise ValueError("the values are too long to be copied")
            if any(self._pa.types.is_temporal(it.type) for it in columns):
                _check_calendar(file.metadata.metadata or {})
            yield columns

    def _as_spark_reads(self, values: Any) -> Any:
        pa, types = self._pa, self._pa.types
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        if types.is_dictionary(values.type):
            values = values.dictionary_decode()
        return values.cast(stored_type(pa, values.type))

    def _located(self, ids: Any, others: Sequence[Any], number: int, start: int) -> Any:
        """Return a batch with each row's file and position beside its ID."""
        pa = self._pa
        numbers = pa.repeat(pa.scalar(number, pa.int32()), len(ids))
        paths = pa.DictionaryArray.from_arrays(numbers, self._paths)
        positions = self._compute.add(self._positions[: len(ids)], start)
        names = ["image_id", "file_path", "row_index"]
        names += [f"value_{index}" for index in range(1, len(self._columns))]
        return pa.RecordBatch.from_arrays([ids, paths, positions, *others], names)

    def _text_bytes(self, ids: Any) -> int:
        pa, compute = self._pa, self._compute
        if not (pa.types.is_string(ids.type) or pa.types.is_binary(ids.type)):
            ids = ids.cast(pa.string())
        return compute.sum(compute.binary_length(ids)).as_py() or 0


def _check_calendar(key_values: Mapping[bytes, bytes]) -> None:
    """Refuse dates and times that Spark converts from an old calendar.

    *Source:* `DataSourceUtils.datetimeRebaseSpec` of Spark.
    """
    is_old = key_values.get(b"org.apache.spark.version", b"3") < b"3"
    if is_old or b"org.apache.spark.legacyDateTime" in key_values:
        raise ValueError("Spark converts dates and times of this file")


def _check_sizes(metadata: Any, columns: Sequence[str], num_rows: int) -> None:
    """Refuse columns of long values: they are no IDs, but perhaps the images."""
    of_columns = (it for it in column_chunks(metadata) if it.path_in_schema in columns)
    num_bytes = sum(it.total_uncompressed_size for it in of_columns)
    if num_bytes > _MOST_VALUE_BYTES * max(64, num_rows) * len(columns):
        raise ValueError("the values are too long to be copied")


def _why_not_written(file: Any, stream: Any) -> str | None:
    try:
        writer_options(file)
        check_page_headers(file.metadata, stream)
    except FileRefusedError as error:
        return str(error)
    return None
