"""Mark the samples that the rows of a table become: each says whether it is a duplicate."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from dedup_lib.executor.shards.marks import MARK_SUFFIX, mark_data
from dedup_lib.executor.shards.packing.sample_columns import SampleColumns
from dedup_lib.executor.shards.packing.sample_rows import RowSample

_UUID_BYTES = 16


def mark_samples(
    samples: Iterator[RowSample],
    is_duplicate: Sequence[bool],
    keepers: Mapping[int, bytes | int | Decimal],
    columns: SampleColumns,
) -> Iterator[RowSample]:
    """Yield samples with one more member, the mark; see `marks.mark_data`.

    The ID of the kept image is text in any case: numbers are their digits, bytes are hex digits,
    and UUIDs have their usual form, as in the key of a sample.

    Args:
        samples: The samples.
        is_duplicate: For each row of the file, whether it is a duplicate.
        keepers: The ID of the kept image, by the row index of the duplicate.
        columns: The columns of the table.
    """
    for sample in samples:
        kept = keepers.get(sample.row_index)
        mark = mark_data(
            is_duplicate=is_duplicate[sample.row_index],
            kept_image_id="" if kept is None else _as_text(kept, columns),
        )
        yield sample._replace(members=[*sample.members, (MARK_SUFFIX, mark)])


def _as_text(image_id: bytes | int | Decimal, columns: SampleColumns) -> str:
    if isinstance(image_id, int | Decimal):
        return str(int(image_id))
    if columns.ids_are_text:
        return bytes(image_id).decode("utf-8", "surrogateescape")
    if columns.id_column in columns.uuids and len(image_id) == _UUID_BYTES:
        return str(uuid.UUID(bytes=bytes(image_id)))
    return bytes(image_id).hex()
