"""Read the header of .npy files without numpy: the offset and the number of the IDs."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from dedup_lib.errors import NotAListError, UnreadableFileError
from dedup_lib.executor.npy_ids import ID_BYTES

NPY_MAGIC = b"\x93NUMPY"
# Magic, version and length; then much more than the header of a list of IDs needs.
HEAD_BYTES = 12 + 1024
_MOST_HEADER_BYTES = 1024
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
# By the letter of numpy's types, such as '<i8'.
_ADVICE = {
    **dict.fromkeys(
        "b",
        " Such marks tell positions in another table, without the names of the images: write the "
        "IDs of the marked rows as Parquet or CSV.",
    ),
    **dict.fromkeys(
        "iu",
        " Integers may be IDs, or positions in another table: write the image IDs as Parquet or "
        "CSV.",
    ),
    **dict.fromkeys("US", " Write such texts as Parquet, or as text with an ID in each line."),
}
_KEYS = {"descr", "fortran_order", "shape"}
_ID_FIELDS = [("f0", "<u8"), ("f1", "<u8")]


class NpyIds(NamedTuple):
    """The offset of the IDs in a file, and their number."""

    first_byte: int
    num_ids: int


def parse_header(head: bytes, size_bytes: int, what: str) -> NpyIds:
    """Find the 128-bit IDs (numpy's dtype `u8,u8`) in a .npy file.

    Args:
        head: The first HEAD_BYTES of the file, or all of a shorter file.
        size_bytes: The size of the whole file.
        what: The name of the file in messages.

    Raises:
        UnreadableFileError: The file is not a .npy file, or is incomplete.
        NotAListError: The file holds something other than IDs.

    *Source:* numpy's `numpy.lib.format`, versions 1.0 to 3.0.
    """
    if not head.startswith(NPY_MAGIC):
        reason = "is not a .npy file" if size_bytes else "has no bytes"
        raise UnreadableFileError(f"{what} {reason}: a broken write. Restore or remove it.")
    length_bytes = _LENGTH_BYTES.get(head[len(NPY_MAGIC)] if len(head) > len(NPY_MAGIC) else 1)
    if length_bytes is None:
        raise UnreadableFileError(f"{what} has an unknown version of the .npy format.")
    first = len(NPY_MAGIC) + 2 + length_bytes
    length = int.from_bytes(head[first - length_bytes : first], "little")
    if len(head) >= first and length > _MOST_HEADER_BYTES:
        raise NotAListError(f"{what} {_must_be(f'a header of {length} bytes')}")
    if size_bytes < first + length:
        raise UnreadableFileError(f"{what} ends within its header: a broken write. Restore it.")
    header = _literal(head[first : first + length])
    if not isinstance(header, dict) or header.keys() != _KEYS:
        raise UnreadableFileError(f"{what} has a broken header. Restore or remove it.")
    num_ids = _num_ids(header, what)
    expected = first + length + num_ids * ID_BYTES
    if size_bytes != expected:
        raise UnreadableFileError(
            f"{what} has {size_bytes} bytes, but {num_ids} IDs take {expected}: a broken write. "
            "Restore or remove it."
        )
    return NpyIds(first + length, num_ids)


def _literal(text: bytes) -> Any:
    try:
        return ast.literal_eval(text.decode().strip())
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return None


def _num_ids(header: dict[str, Any], what: str) -> int:
    match header:
        case {"descr": descr, "fortran_order": False, "shape": tuple((int(num_ids),))} if (
            descr == _ID_FIELDS and num_ids >= 0 and not isinstance(num_ids, bool)
        ):
            return num_ids
    descr, shape = repr(header["descr"])[:200], repr(header["shape"])[:100]
    order = ", in Fortran's order" if header["fortran_order"] else ""
    said = _must_be(f"{descr} of shape {shape}{order}")
    raise NotAListError(f"{what} {said}{_ADVICE.get(descr[2:3], '')}")


def _must_be(found: str) -> str:
    return (
        f"is not a list of IDs: it holds {found}, and must hold 128-bit IDs, {_ID_FIELDS} (numpy's "
        "dtype 'u8,u8') of one dimension, as DataComp writes them."
    )
