"""Read lists of protected IDs (--protect-ids): removal lists, or files from the review page."""

from __future__ import annotations

import json

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType

from dedup_lib.errors import StorageError, TableNotFoundError, UnreadableFileError
from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, read_removal_list
from dedup_lib.lists.saved_ids import SAVED_COLUMN, SAVED_FORMATS, parse_ids
from dedup_lib.lists.shape import ListShape
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import one_row
from dedup_lib.settings import DuplicateIds
from dedup_lib.tables.directory import fingerprint

ROLE = "list to protect"
# A person marked these IDs. The driver reads them, and sends them with each query.
_LARGEST_BYTES = 16 * 1024**2


def read_protect_list(
    session: Session,
    location: str,
    *,
    image_id_type: DataType,
    id_column: str | None,
) -> RemovalList:
    """Pin a list of protected IDs, and read its entries lazily.

    Args:
        session: The session, with its file systems.
        location: A location for `read_removal_list`, or a saved file that ends in .jsonl or .csv.
        image_id_type: The type of the image table's IDs. The list must have the same type.
        id_column: The ID column; saved files ignore it. None takes the recognised producer's.

    Raises:
        InputError: As for `read_removal_list`; or a saved file is too large, or can't be read.

    *Cost:* as for `read_removal_list`; the driver reads a saved file as a whole.
    """
    saved_format = location.lower().rpartition(".")[2]
    if is_path(location) and saved_format in SAVED_FORMATS:
        location = session.storage.canonical(location)
        if not session.storage.is_directory(location):
            return _read_saved(session, location, saved_format, image_id_type)
    item = DuplicateIds(location, id_column, "remove")
    return read_removal_list(session, item, image_id_type=image_id_type, role=ROLE)


def _read_saved(
    session: Session, location: str, saved_format: str, id_type: DataType
) -> RemovalList:
    what = f"{ROLE} {location!r}"
    if not session.storage.exists(location):
        raise TableNotFoundError(f"{what} does not exist.")
    files = session.storage.list_files(location)
    if sum(file.size_bytes for file in files) > _LARGEST_BYTES:
        raise UnreadableFileError(
            f"{what} is larger than {_LARGEST_BYTES // 1024**2} MB, too large for marks of a "
            "person: write it as Parquet with a column id."
        )
    try:
        data = session.storage.read_head(location, _LARGEST_BYTES)
    except StorageError as error:
        raise UnreadableFileError(f"{what}: {error} Restore or remove it.") from error
    ids = parse_ids(data, saved_format, id_type=id_type.simpleString(), what=what)
    return RemovalList(
        location=location,
        format="csv" if saved_format == "csv" else "jsonl",
        version=None,
        fingerprint=fingerprint(files),
        shape=ListShape("remove", "marks of the review page", SAVED_COLUMN),
        frame=_frame(session.spark, ids, id_type),
        pairs=None,
        num_rows=len(ids),
        listed_rows=len(ids),
    )


def _frame(spark: SparkSession, ids: list[object], id_type: DataType) -> DataFrame:
    """Return a frame of IDs of a type: `image_id`, nullable."""
    # createDataFrame would send the rows through a Python worker.
    is_binary = isinstance(id_type, BinaryType)
    read_as = "string" if is_binary else id_type.simpleString()
    parsed = F.explode(F.from_json(F.lit(json.dumps(ids)), f"array<{read_as}>"))
    rows = one_row(spark).select(parsed.alias(ENTRY_COLUMN))
    digits = F.replace(ENTRY_COLUMN, F.lit("-"), F.lit(""))
    return rows.select(F.unhex(digits).alias(ENTRY_COLUMN)) if is_binary else rows
