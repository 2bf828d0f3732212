"""Write the samples of a shard as rows of a Parquet file, and compare the file with the headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.annotated_rows import IS_DUPLICATE, KEPT_IMAGE_ID, kept_ids
from dedup_lib.executor.kept_rows import name_file_in_errors, open_file
from dedup_lib.executor.shards.header_blocks import changed
from dedup_lib.executor.shards.members import Member
from dedup_lib.executor.shards.samples import Sample, suffix_of
from dedup_lib.executor.shards.table_columns import IMAGE_ID, KEY, URL
from dedup_lib.executor.stores import FileRefusedError, StoreFile
from dedup_lib.executor.writer_options import LEAST_SHARE, PAGE_BYTES

_ROW_GROUP_BYTES = 32 * 1024**2
_TRIED_BYTES = 1024**2
_CODEC = "snappy"


class Columns(NamedTuple):
    """The columns of a table.

    Attributes:
        suffixes: The columns of members, which are named by their suffix.
        has_ids: Whether there is a column for the IDs.
        has_marks: Whether the last two columns are those that `annotate` adds.
    """

    suffixes: Sequence[str]
    has_ids: bool
    has_marks: bool = False

    @property
    def texts(self) -> list[str]:
        """The names of the columns of text: the key, the shard, and perhaps the ID."""
        return [KEY, URL, IMAGE_ID] if self.has_ids else [KEY, URL]

    @property
    def marks(self) -> list[str]:
        """The names of the columns that say whether a sample is a duplicate."""
        return [IS_DUPLICATE, KEPT_IMAGE_ID] if self.has_marks else []


class Mark(NamedTuple):
    """Whether a sample is a duplicate, and the ID of the image that is kept, if it is known."""

    is_duplicate: bool
    kept_image_id: bytes | None


class Rows(NamedTuple):
    """Samples to write as rows.

    Attributes:
        file: The shard, opened as a binary file that can seek.
        source: The URI of the shard.
        samples: The samples.
        ids: The ID of each sample; None if there is no column for IDs.
        marks: The mark of each sample; empty if there are no columns for marks.
    """

    file: Any
    source: str
    samples: Sequence[Sample]
    ids: Sequence[str | None]
    marks: Sequence[Mark] = ()


def write_rows(rows: Rows, columns: Columns, target: StoreFile) -> None:
    """Write a row for each sample: its key, its shard, its members' data, perhaps ID and mark.

    A sample without a member of some suffix has NULL there. The file has row groups of 32 MB of
    data, or of one row, and pages of about 1 MB, each with a checksum. A column is compressed only
    if that saves 3 % in the first row group.

    Args:
        rows: The samples, in their order.
        columns: The columns of the table.
        target: The file to write.

    Raises:
        FileRefusedError: The shard became shorter, or has a member that no column can hold.

    *Memory:* some three times a row group, which is as large as the largest sample, or 32 MB.
    """
    from pyarrow import parquet as pq

    tables = _row_groups(rows, columns)
    first = next(tables)
    options = {
        "compression": {name: _codec_of(first[name]) for name in columns.suffixes}
        | dict.fromkeys([*columns.texts, *columns.marks], _CODEC),
        "use_dictionary": [URL],
        "write_statistics": [*columns.texts, *columns.marks],
        "write_page_checksum": True,
        # The number of values after which the writer checks the size of the page.
        "write_batch_size": _rows_at_once(rows.samples),
        "data_page_size": PAGE_BYTES,
        "store_schema": False,
    }
    with (
        target.store.open_output_stream(target.path) as sink,
        pq.ParquetWriter(sink, first.schema, **options) as writer,
    ):
        while first is not None:
            writer.write_table(first, row_group_size=max(1, first.num_rows))
            first = next(tables, None)


def check_rows(rows: Rows, columns: Columns, target: StoreFile) -> None:
    """Read a written file, and compare it with the headers of the shard.

    Keys and the length of each value must be those of the members, and marks those of the samples.
    pyarrow compares the checksum of each page.

    Raises:
        FileRefusedError: The file has other values.
        FileReadError: The file can't be read, or a page has another checksum.

    *Cost:* one read of the file. *Memory:* a row group.
    """
    from pyarrow import compute as pc

    with (
        name_file_in_errors(target.path),
        target.store.open_input_file(target.path) as stream,
    ):
        file = open_file(stream)
        start = 0
        for index in range(file.metadata.num_row_groups):
            table = file.read_row_group(index, use_threads=False)
            own = slice(start, start + table.num_rows)
            start += table.num_rows
            lengths = [pc.binary_length(table[name]).to_pylist() for name in columns.suffixes]
            found = [table[KEY].to_pylist(), *lengths]
            is_same = found == _expected(rows.samples[own], columns)
            if not is_same or _marks_in(table, columns) != list(rows.marks[own]):
                raise _wrong(target)
    if start != len(rows.samples):
        raise _wrong(target)


def _marks_in(table: Any, columns: Columns) -> list[tuple[Any, ...]]:
    import pyarrow as pa

    if not columns.has_marks:
        return []
    kept = table[KEPT_IMAGE_ID].cast(pa.binary())
    return list(zip(table[IS_DUPLICATE].to_pylist(), kept.to_pylist(), strict=True))


def _wrong(target: StoreFile) -> FileRefusedError:
    return FileRefusedError("ids", f"file {target.path!r} has other values than were written")


def _expected(samples: Sequence[Sample], columns: Columns) -> list[Any]:
    """Return the keys, and for each suffix the lengths of the values; None for NULL."""
    sizes = [
        {suffix: member.data_bytes for suffix, member in _by_suffix(sample).items()}
        for sample in samples
    ]
    return [
        [sample.key for sample in samples],
        *([of.get(suffix) for of in sizes] for suffix in columns.suffixes),
    ]


def _row_groups(rows: Rows, columns: Columns) -> Iterator[Any]:
    """Yield tables of rows, one for each row group; at least one, which may have no rows."""
    group: list[tuple[Any, ...]] = []
    num_bytes = 0
    marks: Sequence[tuple[Any, ...]] = rows.marks or [()] * len(rows.samples)
    for sample, image_id, mark in zip(rows.samples, rows.ids, marks, strict=True):
        own_bytes = sum(member.data_bytes for member in sample.members)
        if group and num_bytes + own_bytes > _ROW_GROUP_BYTES:
            yield _table_of(group, columns)
            group, num_bytes = [], 0
        texts = (sample.key, rows.source, image_id)[: len(columns.texts)]
        group.append((*texts, *_values(rows, sample, columns.suffixes), *mark))
        num_bytes += own_bytes
    yield _table_of(group, columns)


def _table_of(group: Sequence[tuple[Any, ...]], columns: Columns) -> Any:
    import pyarrow as pa

    fields = [pa.field(name, pa.string()) for name in columns.texts]
    fields += [pa.field(name, pa.binary()) for name in columns.suffixes]
    if columns.has_marks:
        fields.append(pa.field(IS_DUPLICATE, pa.bool_(), nullable=False))
        fields.append(pa.field(KEPT_IMAGE_ID, pa.string()))
    values = zip(*group, strict=True) if group else [()] * len(fields)
    arrays = [
        kept_ids(of, field.type) if field.name == KEPT_IMAGE_ID else pa.array(of, field.type)
        for of, field in zip(values, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _values(rows: Rows, sample: Sample, suffixes: Sequence[str]) -> list[bytes | None]:
    """Return the data of a sample's member of each suffix; None if it has no such member."""
    members = _by_suffix(sample)
    if len(members) < len(sample.members) or not members.keys() <= set(suffixes):
        raise changed(rows.source)
    data = {suffix: _read(rows, member) for suffix, member in members.items()}
    return [data.get(suffix) for suffix in suffixes]


def _by_suffix(sample: Sample) -> Mapping[str, Member]:
    return {suffix_of(member.name): member for member in sample.members}


def _read(rows: Rows, member: Member) -> bytes:
    rows.file.seek(member.data_start)
    data: bytes = rows.file.read(member.data_bytes)
    if len(data) != member.data_bytes:
        raise changed(rows.source)
    return data


def _codec_of(values: Any) -> str:
    """Return the codec of a column by its first bytes: none if it makes them hardly smaller."""
    import pyarrow as pa

    data = b"".join(_first_bytes(values))
    is_smaller = len(pa.compress(data, _CODEC)) < LEAST_SHARE * len(data) if data else False
    return _CODEC if is_smaller else "none"


def _first_bytes(values: Any) -> Iterator[Any]:
    num_bytes = 0
    for value in values:
        if num_bytes >= _TRIED_BYTES:
            return
        if (data := value.as_buffer()) is not None:
            yield data.slice(0, min(data.size, _TRIED_BYTES - num_bytes))
            num_bytes += data.size


def _rows_at_once(samples: Sequence[Sample]) -> int:
    """Return how many values have a quarter of a page, if all bytes were in one column."""
    num_bytes = sum(member.data_bytes for sample in samples for member in sample.members)
    return max(1, min(1024, PAGE_BYTES * len(samples) // (4 * max(1, num_bytes))))
