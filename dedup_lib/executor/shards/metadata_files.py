"""The metadata file of a shard: the Parquet that img2dataset writes beside it, a row for each key.

It also has rows for images that could not be downloaded; no sample has their keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor import rewrite_file
from dedup_lib.executor.file_task import FileTask, RowSelection
from dedup_lib.executor.kept_rows import Bitmap
from dedup_lib.executor.stores import FileRefusedError, open_store

_KEY = "key"
_SUFFIX = re.compile(r"(\.tar(\.[a-z0-9]+)?|\.tgz)\Z", re.IGNORECASE)


def metadata_path(shard: str) -> str:
    """Return the path of a shard's metadata file, which need not exist."""
    return f"{_SUFFIX.sub('', shard)}.parquet"


def read_metadata_ids(shard: str, field: str, options: Mapping[str, str]) -> dict[str, str | None]:
    """Read the IDs of a shard's samples from its metadata file.

    Args:
        shard: The URI of the shard.
        field: The column with the IDs: text as it is, an integer as it is written.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        The ID of each key; None for NULL.

    Raises:
        FileRefusedError: There is no such file, it can't be read, it has no such column or one of
            another type, or a key has two IDs.

    *Cost:* the two columns are read.
    """
    source = metadata_path(shard)
    found = _texts(source, [_KEY, field], options)
    if found is None:
        raise _refused(source, f"does not exist, so the samples of {shard!r} have no IDs")
    ids: dict[str, str | None] = {}
    for key, value in zip(*found.columns, strict=True):
        if key is not None and ids.setdefault(key, value) != value:
            raise _refused(source, f"has two rows with the key {key!r} and other IDs")
    return ids


def rewrite_metadata(
    task: FileTask, samples: Mapping[str, bool], options: Mapping[str, str], action: str
) -> str | None:
    """Write the metadata file of a shard that was written, if the shard has one.

    With the action `remove`, the rows of planned keys are left out, and those whose key no sample
    has stay. With `extract`, only the rows of planned keys are written. If no row is left out, the
    file is copied.

    Args:
        task: The shard, as it was written.
        samples: The keys of its samples, and whether each is planned; empty if none is.
        options: Options for pyarrow's file systems, except the local one.
        action: The action of the run.

    Returns:
        Why the file was left out: its keys can't be read, or are not those of the samples. None if
        it was written, or the shard has no such file.

    Raises:
        FileRefusedError: The file was changed meanwhile, or the new one has other keys.
        FileReadError: Another column can't be read.

    *Cost:* the keys, and the file; of a new file that is no copy also the keys. *Memory:* as for
    any Parquet file; see `rewrite_file.rewrite`.
    """
    source = metadata_path(task.source)
    try:
        found = _texts(source, [_KEY], options)
        if found is None:
            return None
        (keys,) = found.columns
        if samples and samples.keys().isdisjoint(keys):
            raise _refused(source, f"has no row for {min(samples)!r}, nor for any other sample")
        is_chosen = [action != "annotate" and samples.get(key or "", False) for key in keys]
        own = FileTask(
            source=source,
            target=metadata_path(task.target),
            partial_directory=task.partial_directory,
            size_bytes=found.size_bytes,
            num_rows=len(keys),
            keeps_empty=True,
        )
        is_extract = action == "extract"
        selection = RowSelection("extract" if is_extract else "remove")
        done = rewrite_file.rewrite(own, _bitmaps(is_chosen), options, selection)
    except FileRefusedError as error:
        if error.kind == "changed":
            raise
        return str(error)
    if not done.is_copy:
        expected = [key for key, is_in in zip(keys, is_chosen, strict=True) if is_in == is_extract]
        _check_written(own.target, expected, options)
    return None


def _check_written(target: str, expected: Sequence[str | None], options: Mapping[str, str]) -> None:
    found = _texts(target, [_KEY], options)
    if found is None or found.columns != [expected]:
        raise FileRefusedError("ids", f"metadata file {target!r} has other keys than were written")


def _bitmaps(is_chosen: Sequence[bool]) -> list[Bitmap]:
    """Return the chosen rows as one bitmap; none if no row is chosen."""
    bits = bytearray(-(-len(is_chosen) // 8))
    for position in (index for index, is_in in enumerate(is_chosen) if is_in):
        bits[position // 8] |= 1 << position % 8
    return [Bitmap(0, bytes(bits))] if any(is_chosen) else []


class _Texts(NamedTuple):
    """Columns of a file as text, and the size of the file."""

    columns: list[list[str | None]]
    size_bytes: int


def _texts(source: str, names: Sequence[str], options: Mapping[str, str]) -> _Texts | None:
    """Read columns of a Parquet file as text; None if there is no such file.

    Raises:
        FileRefusedError: It is no Parquet file, or lacks a column of text or integers.
    """
    import pyarrow as pa
    from pyarrow import fs
    from pyarrow import parquet as pq

    store, path = open_store(source, options)
    # Spark's tables are directories with such names.
    if store.get_file_info(path).type != fs.FileType.File:
        return None
    try:
        with store.open_input_file(path) as stream:
            file = pq.ParquetFile(stream)
            there = file.schema_arrow.names
            missing = next((name for name in names if there.count(name) != 1), None)
            if missing is not None:
                raise _refused(source, f"has no column {missing!r} (columns: {', '.join(there)})")
            table = file.read(columns=list(dict.fromkeys(names)))
            texts = [_as_texts(table.column(name), name, source) for name in names]
            return _Texts(texts, stream.size())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _refused(source, f"can't be read: {' '.join(str(error).split())}") from error


def _as_texts(column: Any, name: str, source: str) -> list[str | None]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kinds, of = pa.types, column.type
    if kinds.is_string(of) or kinds.is_large_string(of) or kinds.is_string_view(of):
        return list(column.to_pylist())
    if kinds.is_null(of) or (kinds.is_integer(of) and name != _KEY):
        return [None if value is None else str(value) for value in column.to_pylist()]
    wanted = "text" if name == _KEY else "text or integers"
    raise _refused(source, f"has the column {name!r} of type {of}, which must be {wanted}")


def _refused(source: str, reason: str) -> FileRefusedError:
    return FileRefusedError("shard", f"metadata file {source!r} {reason}")
