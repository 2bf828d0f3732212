"""Read lists of protected IDs (--protect-ids): removal lists, or files from the review page."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql.types import DataType

from dedup_lib.errors import MissingColumnError
from dedup_lib.lists.files import text_format_of
from dedup_lib.lists.removal_list import RemovalList, read_removal_list
from dedup_lib.lists.shape import DEFAULT_ID_COLUMN
from dedup_lib.session.session import Session
from dedup_lib.settings import DuplicateIds

ROLE = "list to protect"


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
        location: A location for `read_removal_list`.
        image_id_type: The type of the image table's IDs. The list must have the same type.
        id_column: The ID column; in a file of text it may also be `id`, as the review page saves
            it. None takes the recognised producer's.

    Raises:
        InputError: As for `read_removal_list`.

    *Cost:* as for `read_removal_list`.
    """
    item = DuplicateIds(location, id_column, "remove")
    try:
        return read_removal_list(session, item, image_id_type=image_id_type, role=ROLE)
    except MissingColumnError:
        if id_column is None or text_format_of(location) is None:
            raise
    item = replace(item, id_column=DEFAULT_ID_COLUMN)
    return read_removal_list(session, item, image_id_type=image_id_type, role=ROLE)
