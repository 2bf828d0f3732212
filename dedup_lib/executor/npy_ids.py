"""Read 128-bit IDs from numpy's files by pyarrow, wherever that runs."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dedup_lib.executor.kept_rows import FileReadError, reading
from dedup_lib.executor.stores import FileRefusedError, open_store

ID_BYTES = 16
PART_IDS = 65_536


class IdFile(NamedTuple):
    """One file of IDs.

    Attributes:
        uri: Its URI, whose characters stand for themselves.
        size_bytes: As listed.
        first_byte: Where the first ID begins.
        num_ids: How many there are.
        first_part: The number of its first part, of all files' parts.
    """

    uri: str
    size_bytes: int
    first_byte: int
    num_ids: int
    first_part: int


def read_part(number: int, files: Sequence[IdFile], options: Mapping[str, str]) -> str:
    """Read one part of the IDs of some files: of PART_IDS, or what a file's last part has.

    Args:
        number: Of the part, over all files.
        files: In the order of their parts.
        options: For pyarrow's file systems, but for the local one.

    Returns:
        32 lower-case hex digits an ID, with spaces between IDs.

    Raises:
        FileReadError: The file can't be read, or is another than the one that was listed.
    """
    file = files[bisect_right(files, number, key=lambda file: file.first_part) - 1]
    first_id = (number - file.first_part) * PART_IDS
    num_bytes = min(PART_IDS, file.num_ids - first_id) * ID_BYTES
    with reading(file.uri):
        store, path = open_store(file.uri, options)
        with store.open_input_file(path) as stream:
            size_bytes = stream.size()
            data = stream.read_at(num_bytes, file.first_byte + first_id * ID_BYTES)
    if size_bytes != file.size_bytes or len(data) != num_bytes:
        raise FileReadError(f"file {file.uri!r} was changed since it was listed")
    halves = array("Q")  # each is written with its last byte first
    halves.frombytes(data)
    halves.byteswap()
    return halves.tobytes().hex(" ", ID_BYTES)


def why_not(uri: str, options: Mapping[str, str]) -> str | None:
    """Find out whether a file can be opened here: return why not, or None."""
    try:
        store, path = open_store(uri, options)
        with store.open_input_file(path):
            return None
    except (FileRefusedError, OSError) as error:
        return str(error)
