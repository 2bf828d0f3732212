"""Choose the columns that the review page shows: the image, and texts."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import BinaryType, DataType, StringType, StructType

# Usual names of an image column, if several columns are binary; the likeliest first.
_NAMES = ("image", "image_bytes", "img", "bytes", "jpg", "jpeg", "png", "webp", "data", "content")
_MOST_TEXTS = 4


@dataclass(frozen=True)
class ShownColumns:
    """The columns that the page shows.

    Attributes:
        image: The column with encoded images; for a field of a struct, the names from outside to
            inside. Empty if images are not in a column; None if the column is unknown.
        texts: Columns of strings, without the ID column.
        why_no_image: If there is no image column, the reason.
    """

    image: tuple[str, ...] | None
    texts: tuple[str, ...]
    why_no_image: str = ""


def shown_columns(
    schema: StructType, image_id_column: str, in_directories: tuple[str, ...]
) -> ShownColumns:
    """Find the image column by its type and name, and take the first text columns.

    Args:
        schema: The schema of the table.
        image_id_column: Its ID column.
        in_directories: Columns whose values are in directory names, not in the files.
    """
    fields = {field.name: field.dataType for field in schema if field.name not in in_directories}
    texts = [name for name, of in fields.items() if _is_text(of) and name != image_id_column]
    others = (item for item in fields.items() if item[0] != image_id_column)
    found = {path: path[0] for name, of in others for path in _binaries(name, of)}
    image = _choose(list(found))
    if image is not None:
        return ShownColumns(image, tuple(texts[:_MOST_TEXTS]))
    names = ", ".join(".".join(path) for path in found)
    why = (
        f"it is unknown which of the columns {names} holds the image: name it image"
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
    """Find a binary column, or a struct's binary field, as in Hugging Face's bytes and path."""
    if isinstance(of, BinaryType):
        return [(name,)]
    if not isinstance(of, StructType):
        return []
    inner = [field.name for field in of if isinstance(field.dataType, BinaryType)]
    return [(name, inner[0])] if len(inner) == 1 else []


def _is_text(of: DataType) -> bool:
    return isinstance(of, StringType)
