"""Read 128-bit IDs from .npy files with pyarrow, on an executor."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dedup_lib.executor.kept_rows import FileReadError, name_file_in_errors
from dedup_lib.executor.stores import FileRefusedError, open_store

ID_BYTES = 16
PART_IDS = 65_536


class IdFile(NamedTuple):
    """A file of IDs.

    Attributes:
        uri: The URI, with literal characters.
        size_bytes: The size when the file was listed.
        first_byte: The offset of the first ID.
        num_ids: The number of IDs.
        first_part: The number of its first part, counted over the parts of all files.
    """

    uri: str
    size_bytes: int
    first_byte: int
    num_ids: int
    first_part: int


def read_part(number: int, files: Sequence[IdFile], options: Mapping[str, str]) -> str:
    """Read one part of the IDs in some files: PART_IDS IDs, or fewer in the last part of a file.

    Args:
        number: The number of the part, counted over the parts of all files.
        files: The files, in the order of their parts.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        32 lower-case hex digits for each ID, with spaces between the IDs.

    Raises:
        FileReadError: The file can't be read, or was changed since it was listed.
    """
    file = files[bisect_right(files, number, key=lambda file: file.first_part) - 1]
    first_id = (number - file.first_part) * PART_IDS
    num_bytes = min(PART_IDS, file.num_ids - first_id) * ID_BYTES
    with name_file_in_errors(file.uri):
        store, path = open_store(file.uri, options)
        with store.open_input_file(path) as stream:
            size_bytes = stream.size()
            data = stream.read_at(num_bytes, file.first_byte + first_id * ID_BYTES)
    if size_bytes != file.size_bytes or len(data) != num_bytes:
        raise FileReadError(f"file {file.uri!r} was changed since it was listed")
    halves = array("Q")  # the bytes of each half are stored in reverse order
    halves.frombytes(data)
    halves.byteswap()
    return halves.tobytes().hex(" ", ID_BYTES)


def why_unusable(uri: str, options: Mapping[str, str]) -> str | None:
    """Try to open a file here; return the reason why it can't be opened, or None."""
    try:
        store, path = open_store(uri, options)
        with store.open_input_file(path):
            return None
    except (FileRefusedError, OSError) as error:
        return str(error)
