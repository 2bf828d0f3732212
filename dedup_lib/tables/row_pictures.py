"""Pictures of rows: drawn by threads of the driver, or over Spark Connect by executors."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from dedup_lib.executor.picture_reads import (
    Bounds,
    ReadColumns,
    RowPicture,
    RowPlace,
    read_pictures,
    unread,
)
from dedup_lib.executor.pictures import draw_rows as draw_on_executor
from dedup_lib.executor.pictures import unpacked
from dedup_lib.redaction import redact
from dedup_lib.session.on_executors import on_executors, reason_of
from dedup_lib.session.session import Session
from dedup_lib.session.spark_errors import SPARK_ERRORS
from dedup_lib.session.spark_session import cores

# A Python task takes a while before its first row.
_LEAST_ROWS_PER_TASK = 4
_READERS_PER_TASK = 4
_LEAST_HELD_BYTES = 64 * 1024**2
_log = logging.getLogger(__name__)
_RETURNS = "read_bytes bigint, pictures array<struct<webp: binary, facts: string>>"


def draw_rows(
    session: Session,
    rows: Sequence[RowPlace],
    columns: ReadColumns,
    bounds: Bounds,
) -> tuple[Mapping[RowPlace, RowPicture], int]:
    """Read rows and draw them, where files can be opened.

    Args:
        session: The session, with its file systems.
        rows: Each once.
        columns: What is read of them.
        bounds: When to stop.

    Returns:
        What is shown of each row: whatever its file is like, no error comes of it. And how many
        bytes were read.

    *Cost:* as `read_pictures` says. Over Spark Connect one job, of about as many Python tasks as
    there are cores: each has its part of the bytes and of the memory, and draws one image at a
    time.
    """
    if not rows:
        return {}, 0
    if session.storage.is_remote:
        return _on_executors(session, rows, columns, bounds)
    return read_pictures(rows, columns, session.storage.opened, bounds)


def _on_executors(
    session: Session,
    rows: Sequence[RowPlace],
    columns: ReadColumns,
    bounds: Bounds,
) -> tuple[Mapping[RowPlace, RowPicture], int]:
    ends = time.time() + bounds.most_seconds
    parts = _parts(rows, cores(session.spark))
    of_part = replace(
        bounds,
        most_bytes=bounds.most_bytes // len(parts),
        drawn_at_once=1,
        readers=_READERS_PER_TASK,
        held_bytes=max(bounds.held_bytes // len(parts), _LEAST_HELD_BYTES),
    )
    options = dict(session.storage.pyarrow_options)
    drawn = on_executors(
        lambda number: draw_on_executor(parts[number], columns, of_part, ends, options),
        f"struct<{_RETURNS}>",
    )
    numbers = session.spark.range(0, len(parts), 1, len(parts))
    try:
        answers = numbers.select("id", drawn("id").alias("drawn")).collect()
    except SPARK_ERRORS as failure:
        why = f"Python on an executor failed: {redact(reason_of(failure))}"
        _log.warning("the review has no pictures: %s", why)
        return dict.fromkeys(rows, unread(why)), 0
    pictures = {
        row: unpacked(*packed)
        for answer in answers
        for row, packed in zip(parts[answer["id"]], answer["drawn"]["pictures"], strict=True)
    }
    return pictures, sum(answer["drawn"]["read_bytes"] for answer in answers)


def _parts(rows: Sequence[RowPlace], most: int) -> list[list[RowPlace]]:
    """Cut rows in parts of about one size, so that few files are in several."""
    files = {path: number for number, path in enumerate(dict.fromkeys(r.file_path for r in rows))}
    ordered = sorted(rows, key=lambda row: (files[row.file_path], row.row_index))
    wanted = max(min(most, len(rows) // _LEAST_ROWS_PER_TASK), 1)
    cuts = [len(rows) * number // wanted for number in range(wanted + 1)]
    return [ordered[start:end] for start, end in pairwise(cuts)]
