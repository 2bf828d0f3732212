"""Find the format of an image table, and pin the table."""

from __future__ import annotations

from pyspark.errors import AnalysisException

from dedup_lib.errors import TableFormatError, UnsupportedError
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.settings import ImagesFormat
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.registry import format_asked_for, format_named, format_of


def read_images(
    session: Session,
    location: str,
    images_format: ImagesFormat,
    wanted_ids: WantedIds | None = None,
) -> PinnedTable:
    """Pin an image table and read it lazily.

    Args:
        session: The session, with its file systems.
        location: A path, a URI, or a catalog table name.
        images_format: The name of a format; `auto` takes the format of the table that is there.
        wanted_ids: IDs to copy to the table's `id_table`, if the format opens its files anyway.

    Returns:
        The table, one row per image, with its columns as they are; partition columns of a
        Parquet directory are strings, spelled as in the directory names.

    Raises:
        TableNotFoundError: There is nothing at the location.
        TableFormatError: The table does not have the layout of the format.
        UnreadableFileError: A data file is empty, or is not a file of the format.
        UnsupportedError: A column has the name of the file metadata, and so hides it.

    *Cost:* Parquet: one listing, and each file is opened once. Delta: the log. Shards: the headers
    of all members, and a listing (two if the user does not name the format).
    """
    if is_path(location):
        location = session.storage.canonical(location)
    asked_for = format_asked_for(session, location, images_format)
    try:
        table = asked_for.pin(session, location, wanted_ids)
    except TableFormatError as error:
        if error.other_format is None or images_format == asked_for.name:
            raise
        table = format_named(error.other_format).pin(session, location, wanted_ids)
    if any(name.lower() == "_metadata" for name in table.frame.columns):
        _check_files_are_told(table)
    return table


def root_of(session: Session, location: str) -> str:
    """Return the canonical URI of a table's directory; the directory need not exist yet."""
    if is_path(location):
        return session.storage.canonical(location)
    return format_of(session, location).root_of(session, location)


def _check_files_are_told(table: PinnedTable) -> None:
    try:
        _ = table.frame.select(table.table_format.row_places(table.frame).file_path).schema
    except AnalysisException as error:
        raise UnsupportedError(
            f"image table {table.location!r} has a column '_metadata', which Spark Connect "
            "confuses with the metadata of a Delta table's files. Rename it, or run in a classic "
            "session."
        ) from error
