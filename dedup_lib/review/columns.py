"""Which columns of a table are shown for review: the image, and texts."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import BinaryType, DataType, StringType, StructType

# What people call it, where several columns are binary; the likeliest first.
_NAMES = ("image", "image_bytes", "img", "bytes", "jpg", "jpeg", "png", "webp", "data", "content")
_MOST_TEXTS = 4


@dataclass(frozen=True)
class ShownColumns:
    """The columns that are shown.

    Attributes:
        image: The column with encoded images, of a struct the names from outside to inside; None
            where that can't be told.
        texts: Columns of strings, but for the ID.
        why_no_image: Why there is none, where there is none.
    """

    image: tuple[str, ...] | None
    texts: tuple[str, ...]
    why_no_image: str = ""


def shown_columns(
    schema: StructType, image_id_column: str, in_directories: tuple[str, ...]
) -> ShownColumns:
    """Tell the image from its type and name, and take the first texts.

    Args:
        schema: Of the table.
        image_id_column: Its ID column.
        in_directories: Columns that are in no file.
    """
    fields = {field.name: field.dataType for field in schema if field.name not in in_directories}
    texts = [name for name, of in fields.items() if _is_text(of) and name != image_id_column]
    found = {path: path[0] for name, of in fields.items() for path in _binaries(name, of)}
    image = _choose(list(found))
    if image is not None:
        return ShownColumns(image, tuple(texts[:_MOST_TEXTS]))
    names = ", ".join(".".join(path) for path in found)
    why = (
        f"which of the columns {names} holds the image can't be told: call it image"
        if found
        else "no column of the table holds bytes"
    )
    return ShownColumns(None, tuple(texts[:_MOST_TEXTS]), why)


def _choose(paths: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    if len(paths) == 1:
        return paths[0]
    named = [path for name in _NAMES for path in paths if path[0].lower() == name]
    return named[0] if named else None


def _binaries(name: str, of: DataType) -> list[tuple[str, ...]]:
    """Find a binary column, or the one in a struct, such as Hugging Face's bytes and path."""
    if isinstance(of, BinaryType):
        return [(name,)]
    if not isinstance(of, StructType):
        return []
    inner = [field.name for field in of if isinstance(field.dataType, BinaryType)]
    return [(name, inner[0])] if len(inner) == 1 else []


def _is_text(of: DataType) -> bool:
    return isinstance(of, StringType)
