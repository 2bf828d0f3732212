"""Read a removal list as typed entries: IDs, with their keepers, scores or groups."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from dedup_lib.errors import ColumnTypeError, MissingColumnError
from dedup_lib.lists.content import Beside, refuse_partitions
from dedup_lib.lists.files import list_files
from dedup_lib.lists.kinds import recognise_npy
from dedup_lib.lists.npy import read_ids
from dedup_lib.lists.parquet import read_parquet
from dedup_lib.lists.shape import ID_FLAG, ListShape
from dedup_lib.lists.text import TextFiles, read_text
from dedup_lib.lists.wanted import ReadList, WantedList
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo
from dedup_lib.settings import DuplicateIds, ListKind
from dedup_lib.tables.directory import fingerprint
from dedup_lib.tables.foreign import check_read
from dedup_lib.tables.pinned import Pinned, PinnedTable, id_type
from dedup_lib.tables.registry import check_exists, format_of

ENTRY_COLUMN = "image_id"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemovalList(Pinned):
    """One removal list, pinned.

    Attributes:
        shape: The recognised kind and columns.
        frame: One row per list entry, lazily: `image_id` of the image table's type, nullable. Pairs
            also have `keeper_id` (the same type), and only pairs that are alike are rows. Groups
            also have `group_id` (string, nullable); if they are given as pairs, they have
            `partner_id` (the IDs' type, nullable) instead, with a row for each image of a pair. If
            there are scores, there is `score` (double), as a similarity.
        pairs: All pairs, also those that are not alike: `image_id`; `keeper_id` or `partner_id`,
            NULL for an image without another one; the raw `score`, if there are scores. None if
            the list has no pairs.
        num_rows: Number of entries, from the footers; None for Delta, and for pairs.
        listed_rows: Number of rows in the files, with pairs of any score; None for Delta.
        beside: The columns beside the IDs whose values tell whether this is a plain list; None if
            there are no such columns, or the user gives the kind.
        header: The first line of the ID column, which may be an ID instead of its name; None if it
            can't be one.
    """

    shape: ListShape
    frame: DataFrame
    pairs: DataFrame | None
    num_rows: int | None
    listed_rows: int | None
    beside: Beside | None = None
    header: str | None = None

    @property
    def kind(self) -> ListKind:
        """The meaning of the entries."""
        return self.shape.kind

    def described(self) -> dict[str, object]:
        """Return what the report says about the list."""
        return {
            **super().described(),
            "kind": self.shape.kind,
            "taken_for": self.shape.producer,
            "id_column": self.shape.id_column,
            "survivors_checked": self.shape.kind in ("pairwise", "groups"),
            "other_columns": list(self.shape.other_columns),
        }


def read_removal_list(
    session: Session,
    item: DuplicateIds,
    *,
    image_id_type: DataType,
    eps: float | None = None,
    role: str = "removal list",
    image_ids: Callable[[], DataFrame] | None = None,
) -> RemovalList:
    """Pin a removal list, recognise its kind, and read its entries lazily.

    Args:
        session: The session, with its file systems.
        item: The location, and what the user says about the list.
        image_id_type: The type of the image table's IDs. The list must have the same type.
        eps: Keep only pairs whose similarity is at least 1 - eps.
        role: The role of the list in the run, for messages.
        image_ids: Returns `image_id`, one row per row of the image table: if a column is missing,
            the error names those that hold image IDs.

    Returns:
        The list. Repeated and NULL entries are also rows.

    Raises:
        TableNotFoundError: There is nothing at the location.
        TableFormatError: A directory holds only directories.
        UnreadableFileError: A file is empty or truncated, or has another format.
        MissingColumnError, ColumnTypeError: A column is missing or of another type.
        AmbiguousListError, NotAListError: The kind is ambiguous, or it is not a list.
        SettingsError: There are pairs with scores, but no limit.
        UnsupportedError: There are .npy files, but executors lack pyarrow.

    *Cost:* Parquet, .npy: one listing, and the footers or first bytes. Delta: the log. If a column
    is missing, one scan of the image IDs.
    """
    is_named = not is_path(item.location)
    location = item.location if is_named else session.storage.canonical(item.location)
    wanted = WantedList(location, item, image_id_type, eps, role, image_ids)
    if not is_named:
        check_exists(session.storage, location, wanted.what)
    table_format = format_of(session, location)
    if table_format.serves_as_list:
        read = _from_table(table_format.pin(session, location), wanted)
    else:
        read = _from_files(session, wanted)
    if others := read.shape.other_columns:
        _log.info("%r: columns that are not read: %s", location, ", ".join(others))
    return read


def is_plain(lists: Sequence[RemovalList]) -> bool:
    """Tell whether there is only one list, and it has IDs to remove without keepers or scores."""
    return [item.kind for item in lists] == ["remove"]


def union(lists: Sequence[RemovalList]) -> DataFrame:
    """Unite lists: one row per entry, `image_id` (nullable) and `list_index`."""
    frames = [
        removal_list.frame.select(ENTRY_COLUMN, F.lit(index).alias("list_index"))
        for index, removal_list in enumerate(lists)
    ]
    return reduce(DataFrame.unionByName, frames)


def sum_of_hashes(*columns: str) -> Column:
    """Add up hashes of rows; the sum does not depend on the order, and is 0 without rows."""
    hashed = F.xxhash64(*columns).cast("decimal(20, 0)")
    return F.coalesce(F.sum(hashed), F.lit(0))


def _from_table(table: PinnedTable, wanted: WantedList) -> RemovalList:
    schema = table.frame.schema
    columns = {field.name: field.dataType.simpleString() for field in schema}
    try:
        shape = wanted.recognise(f"{table.location}/", columns, one_file=False)
    except MissingColumnError as error:
        raise wanted.advised(error, table.frame) from None
    id_type(table.frame, shape.id_column, what=wanted.what, flag=ID_FLAG)
    wanted.check_types(schema, shape)
    rows = wanted.select(table.frame, shape)
    return RemovalList(
        location=table.location,
        format=table.format,
        version=table.version,
        fingerprint=None,
        shape=shape,
        frame=wanted.entries(rows, shape),
        pairs=rows if shape.other_id_column is not None else None,
        num_rows=None,
        listed_rows=None,
        beside=wanted.beside([table.frame], shape),
    )


def _from_files(session: Session, wanted: WantedList) -> RemovalList:
    check_read(session.storage, wanted.location, wanted.role)
    list_format, files = list_files(session.storage, wanted.location, what=wanted.what)
    match list_format:
        case "npy":
            read = _read_npy(session, files, wanted)
        case "parquet":
            read = read_parquet(session, files, wanted)
        case _:
            read = read_text(TextFiles(session, files, list_format, wanted))
    if read.shape.kind == "remove" and not wanted.asked.is_explained:
        refuse_partitions(wanted.what, [file.path for file in files])
    return RemovalList(
        location=wanted.location,
        format=list_format,
        version=None,
        fingerprint=fingerprint([*files, *read.more_files]),
        shape=read.shape,
        frame=read.frame,
        pairs=read.pairs,
        num_rows=read.num_rows,
        listed_rows=read.listed_rows,
        beside=read.beside,
        header=read.header,
    )


def _read_npy(session: Session, files: Sequence[FileInfo], wanted: WantedList) -> ReadList:
    shape = recognise_npy(wanted.what, wanted.asked)
    frame, num_ids = read_ids(session, files, what=wanted.what)
    if (found := wanted.data_type.simpleString()) != "string":
        raise ColumnTypeError(
            f"{wanted.what} holds .npy files, whose IDs are strings of 32 hex digits, but the "
            f"image IDs are {found}. Name the column that has such IDs with --image-id-column."
        )
    return ReadList(shape, frame, None, num_ids, listed_rows=num_ids)


def text_array(texts: Iterable[str | None]) -> Column:
    """Return an array column of texts, one for each list, in order."""
    return F.array(*(F.lit(text) for text in texts))
