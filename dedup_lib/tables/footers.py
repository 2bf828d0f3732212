"""Read the Parquet footers of a table or list; on executors if there are many files."""

from __future__ import annotations

import logging
import os.path
from collections.abc import Iterator, Sequence

from dedup_lib.executor import footers
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, ParquetFooter

# The driver takes 4 ms for a footer; a Python task on an executor needs 100 ms to start.
MANY_FILES = 256
_FILES_PER_TASK = 256
_MOST_TASKS = 500
_log = logging.getLogger(__name__)


def read_footers(session: Session, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
    """Yield the footer of each file, in the order of the files.

    If pyarrow finds the same schema in several files, all of them get the schema of the first file.

    Raises:
        StorageError: A file has no readable Parquet footer; the message names it.

    *Cost:* one footer for each file. If there are many files, executors read the footers with
    pyarrow, eight at a time; a footer on a local disk takes 1 ms. The driver then reads one footer
    for each schema, and the footers that executors could not read.
    """
    by_executors = _read_on_executors(session, files) if len(files) >= MANY_FILES else {}
    examples = {digest: path for path, (digest, _) in reversed(by_executors.items())}
    left = [
        file
        for file in files
        if file.path not in by_executors or examples[by_executors[file.path][0]] == file.path
    ]
    by_driver = {footer.path: footer for footer in session.storage.read_footers(left)}
    for file in files:
        if file.path in by_driver:
            yield by_driver[file.path]
        else:
            digest, num_rows = by_executors[file.path]
            yield ParquetFooter(file.path, by_driver[examples[digest]].schema, num_rows)


def _read_on_executors(session: Session, files: Sequence[FileInfo]) -> dict[str, tuple[str, int]]:
    """Return the digest of the schema and the number of rows of each readable file, by path."""
    # Not commonpath: it would turn the two slashes of a URI into one.
    common = os.path.commonprefix([file.path for file in files])  # noqa: RUF071  # cut at a slash
    directory = common.rpartition("/")[0]
    below = [(file.path[len(directory) + 1 :], file.size_bytes) for file in files]
    size = max(_FILES_PER_TASK, -(-len(below) // _MOST_TASKS))  # each task receives all paths
    parts = [below[start : start + size] for start in range(0, len(below), size)]
    options = dict(session.storage.pyarrow_options)

    def read_part(number: int) -> list[tuple[str, int]]:
        return footers.read_digests(directory, parts[number], options)

    read = on_executors(read_part, "array<struct<digest: string, num_rows: bigint>>")
    numbers = session.spark.range(0, len(parts), 1, len(parts))
    try:
        rows = numbers.select("id", read("id").alias("footers")).collect()
    except SPARK_ERRORS as failure:
        _log.info("executors can't read footers by pyarrow: %s", find_task_failure(failure))
        return {}
    answers = {row["id"]: row["footers"] for row in rows}
    return {
        f"{directory}/{path}": tuple(footer)
        for number, part in enumerate(parts)
        for (path, _), footer in zip(part, answers[number], strict=False)
    }
