"""Turn the rows of a table into samples."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from dedup_lib.executor.shards.packing.json_values import json_values
from dedup_lib.executor.shards.packing.picture_formats import find_format, is_picture_suffix
from dedup_lib.executor.shards.packing.sample_columns import KEY, SampleColumns, is_key
from dedup_lib.executor.stores import FileRefusedError

# Few, as their facts become objects of Python.
_ROWS_AT_ONCE = 256
_UNKNOWN = "bin"
# Keys by position (see `pack`) are for rows whose ID can't be a key.
_POSITION = re.compile(r"row-[0-9]{5,}-[0-9]{9,}")


class RowSample(NamedTuple):
    """A sample to write.

    Attributes:
        row_index: The position of its row in the file.
        image_id: Its image ID as JSON has it.
        key: Its key; None if the ID can't be a key, and the table has no keys.
        members: The suffix and the data of each member; there is at least one.
    """

    row_index: int
    image_id: Any
    key: str | None
    members: list[tuple[str, bytes]]


def read_samples(
    tables: Iterable[Any],
    row_indexes: Iterator[int],
    columns: SampleColumns,
    partition: Mapping[str, str | None],
    source: str,
) -> Iterator[RowSample]:
    """Yield the rows of a file as samples. A NULL gives no member, but stands in the JSON.

    Args:
        tables: The rows, in Arrow tables.
        row_indexes: The position in the file of each row.
        columns: Which columns become which members.
        partition: The values that the file's directories have in their names.
        source: The name of the file in messages.

    Raises:
        FileRefusedError: A text is no UTF-8, or a row has no valid key in the table's column.
    """
    for table in tables:
        batches = deque(table.to_batches(max_chunksize=_ROWS_AT_ONCE))
        del table  # or it would be held while the next one is read
        while batches:
            yield from _samples_of(batches.popleft(), row_indexes, columns, partition, source)


def _samples_of(
    batch: Any,
    row_indexes: Iterator[int],
    columns: SampleColumns,
    partition: Mapping[str, str | None],
    source: str,
) -> Iterator[RowSample]:
    wanted = {columns.id_column, *columns.text, *columns.facts, *([KEY] * columns.has_keys)}
    values = {name: _values_of(batch, name, columns, source) for name in wanted}
    data = {name: _bytes_of(batch.column(name)) for name in columns.data}
    for row, row_index in enumerate(islice(row_indexes, batch.num_rows)):
        contents = ((name, array[row].as_py()) for name, array in data.items())
        texts = ((name, values[name][row]) for name in columns.text)
        members = [
            *((_suffix_of(name, it, columns), it) for name, it in contents if it is not None),
            *((name, text.encode()) for name, text in texts if text is not None),
        ]
        if columns.facts or partition or not members:
            facts = {**partition, **{name: values[name][row] for name in columns.facts}}
            members.append((columns.json_suffix, _as_json(facts)))
        image_id = values[columns.id_column][row]
        given = values[KEY][row] if columns.has_keys else image_id
        key = _key_of(given, may_be_position=columns.has_keys)
        if key is None and columns.has_keys:
            raise FileRefusedError(
                "keys",
                f"file {source!r}, row {row_index} (ID {image_id!r}): its {KEY} "
                f"{values[KEY][row]!r} can't be the key of a sample, since readers would split or "
                f"skip its name. Change it, or leave out the column {KEY}",
            )
        yield RowSample(row_index, image_id, key, members)


def _key_of(value: Any, *, may_be_position: bool) -> str | None:
    """Return a value as a key; None if readers could not read it as one, or it is a position."""
    text = "" if value is None else str(value)
    is_free = may_be_position or not _POSITION.fullmatch(text)
    return text if is_free and is_key(text) else None


def _values_of(batch: Any, name: str, columns: SampleColumns, source: str) -> list[Any]:
    """Return the values of a column as JSON values; a picture's struct loses its bytes."""
    array = batch.column(name)
    try:
        if name in columns.enums:
            array = _decoded(array)
        if name not in columns.data:
            return json_values(array, is_uuid=name in columns.uuids)
        paths = json_values(array.field("path"))
        return [
            {"path": path} if is_valid else None
            for path, is_valid in zip(paths, array.is_valid().to_pylist(), strict=True)
        ]
    except UnicodeDecodeError as error:
        raise FileRefusedError(
            "types", f"file {source!r} has texts in column {name!r} that are no UTF-8"
        ) from error


def _decoded(array: Any) -> Any:
    """Return bytes as text; raise a UnicodeDecodeError if they are none."""
    import pyarrow as pa

    texts = [None if value is None else value.decode() for value in array.to_pylist()]
    return pa.array(texts, pa.string())


def _bytes_of(array: Any) -> Any:
    import pyarrow as pa

    return array.field("bytes") if pa.types.is_struct(array.type) else array


def _suffix_of(name: str, content: bytes, columns: SampleColumns) -> str:
    """Return the suffix of a picture: its format, perhaps after the name of its column."""
    if columns.has_keys:
        return name
    if not columns.are_suffixes:
        return find_format(content) or _UNKNOWN
    # Vectors and other data of a column may begin like a picture by chance.
    told = find_format(content, only_sure=True)
    return name if told is None or is_picture_suffix(name) else f"{name}.{told}"


def _as_json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
