"""Find the members that a review shows, by the offsets that were noted with the IDs."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import functions as F

from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.picture_reads import RowPosition
from dedup_lib.executor.shards.pictures import PICTURE_COLUMNS, NotedMembers
from dedup_lib.locations import decode_path
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import literal_rows
from dedup_lib.tables.pinned import PinnedTable


def find_members(session: Session, table: PinnedTable, rows: Sequence[RowPosition]) -> NotedMembers:
    """Return where the images and captions of a few rows are in their shards.

    *Cost:* one scan of the ID table.
    """
    if table.id_table is None:
        raise TypeError("the IDs of shards are read before their pictures")
    facts = table.id_table.facts
    stored_names = dict(zip(facts.columns, facts.value_names, strict=True))
    wanted = [{"file_path": encode_path(row.file_path), "row_index": row.row_index} for row in rows]
    asked = literal_rows(session.spark, wanted, "file_path string, row_index bigint")
    found = table.id_table.stored.join(F.broadcast(asked), ["file_path", "row_index"]).select(
        "file_path", "row_index", *(stored_names[name] for name in PICTURE_COLUMNS)
    )
    return NotedMembers(
        {
            RowPosition(decode_path(path), index): (image, caption)
            for path, index, image, caption in found.collect()
        }
    )
