"""Draw pictures of rows in threads of the driver, or over Spark Connect on executors."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from dedup_lib.executor.bounds import Bounds
from dedup_lib.executor.picture_reads import (
    RowPicture,
    RowPosition,
    RowSource,
    read_pictures,
    unread_picture,
)
from dedup_lib.executor.picture_task import draw_rows as draw_on_executor
from dedup_lib.executor.picture_task import unpack_picture
from dedup_lib.redaction import redact
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import cores

# A Python task takes some time to start, so it should have several rows.
_LEAST_ROWS_PER_TASK = 4
_READERS_PER_TASK = 4
_LEAST_HELD_BYTES = 64 * 1024**2
_log = logging.getLogger(__name__)
_RETURNS = "read_bytes bigint, pictures array<struct<webp: binary, facts: string>>"


def draw_rows(
    session: Session,
    rows: Sequence[RowPosition],
    source: RowSource,
    bounds: Bounds,
) -> tuple[Mapping[RowPosition, RowPicture], int]:
    """Read rows and draw them, on the side that can open files: the driver or the executors.

    Args:
        session: The session, with its file systems.
        rows: The positions of the rows, each once.
        source: What to read of them.
        bounds: When to stop.

    Returns:
        The picture of each row, and how many bytes were read. A broken file raises no error.

    *Cost:* as `read_pictures` says. Over Spark Connect one job, with about as many Python tasks as
    there are cores. Each task has its part of the bytes and of the memory, and draws one image at
    a time.
    """
    if not rows:
        return {}, 0
    if session.storage.is_remote:
        return _on_executors(session, rows, source, bounds)
    return read_pictures(rows, source, session.storage.open_file, bounds)


def _on_executors(
    session: Session,
    rows: Sequence[RowPosition],
    source: RowSource,
    bounds: Bounds,
) -> tuple[Mapping[RowPosition, RowPicture], int]:
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
        lambda number: draw_on_executor(parts[number], source, of_part, ends, options),
        f"struct<{_RETURNS}>",
    )
    numbers = session.spark.range(0, len(parts), 1, len(parts))
    try:
        answers = numbers.select("id", drawn("id").alias("drawn")).collect()
    except SPARK_ERRORS as failure:
        why = f"Python on an executor failed: {redact(find_task_failure(failure))}"
        _log.warning("the review has no pictures: %s", why)
        return dict.fromkeys(rows, unread_picture(why)), 0
    pictures = {
        row: unpack_picture(*packed)
        for answer in answers
        for row, packed in zip(parts[answer["id"]], answer["drawn"]["pictures"], strict=True)
    }
    return pictures, sum(answer["drawn"]["read_bytes"] for answer in answers)


def _parts(rows: Sequence[RowPosition], most: int) -> list[list[RowPosition]]:
    """Cut rows into parts of about equal size, so that few files are in several parts."""
    files = {path: number for number, path in enumerate(dict.fromkeys(r.file_path for r in rows))}
    ordered = sorted(rows, key=lambda row: (files[row.file_path], row.row_index))
    wanted = max(min(most, len(rows) // _LEAST_ROWS_PER_TASK), 1)
    cuts = [len(rows) * number // wanted for number in range(wanted + 1)]
    return [ordered[start:end] for start, end in pairwise(cuts)]
