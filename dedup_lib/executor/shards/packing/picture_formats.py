"""Tell the format of a picture by its first bytes."""

from __future__ import annotations

import re

# Suffix by magic number: those of the formats' specifications.
_MAGIC = {
    "jpg": rb"\xff\xd8\xff",
    "png": rb"\x89PNG\r\n\x1a\n",
    "gif": rb"GIF8[79]a",
    "webp": rb"RIFF....WEBP",
    "bmp": rb"BM....\0\0\0\0",
    "tiff": rb"II[*+]\0|MM\0[*+]",
    "avif": rb"....ftypavi[fs]",
    "heic": rb"....ftyp(?:hei[cmsx]|mif1)",
    "jxl": rb"\0\0\0\x0cJXL \r\n\x87\n",
    "jp2": rb"\0\0\0\x0cjP  \r\n\x87\n",
    "j2k": rb"\xff\x4f\xff\x51",
    "exr": rb"v/1\x01",
}
_PATTERNS = {suffix: re.compile(magic, re.DOTALL) for suffix, magic in _MAGIC.items()}
_JXL_ALONE = b"\xff\x0a"
# Other suffixes of pictures.
_OTHERS = frozenset({"jpeg", "tif", "heif", "ppm", "pgm", "pbm", "pnm", "svg"})


def find_format(data: bytes, *, only_sure: bool = False) -> str | None:
    """Return the usual suffix of a picture's format; None if the bytes have no known format.

    Two bytes tell that a JPEG XL has no container. Other data also begin so, once in 65,536 times:
    they are not sure.
    """
    told = next((suffix for suffix, magic in _PATTERNS.items() if magic.match(data)), None)
    return "jxl" if told is None and not only_sure and data.startswith(_JXL_ALONE) else told


def is_picture_suffix(suffix: str) -> bool:
    """Tell whether a suffix, such as `jpg` or `seg.png`, ends in that of a picture's format."""
    last = suffix.rpartition(".")[2].lower()
    return last in _MAGIC or last in _OTHERS
