"""The footers of an image table's or a list's files: by executors where they are many."""

from __future__ import annotations

import logging
import os.path
from collections.abc import Iterator, Sequence

from dedup_lib.executor import footers
from dedup_lib.session.files import FileInfo, ParquetFooter
from dedup_lib.session.on_executors import on_executors, reason_of
from dedup_lib.session.session import Session
from dedup_lib.session.spark_errors import SPARK_ERRORS

# The driver takes 4 ms for each, and a Python task on an executor some 100 ms before its first.
MANY_FILES = 256
_FILES_PER_TASK = 256
_MOST_TASKS = 500
_log = logging.getLogger(__name__)


def read_footers(session: Session, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
    """Yield what the footer of each file says, in the order of the files.

    Files whose schemas are the same by pyarrow get the schema of the first of them as text.

    Raises:
        StorageError: A file has no readable Parquet footer; the message names it.

    *Cost:* one footer a file. Of many files, executors read them by pyarrow, 1 ms each on a local
    disk and eight at a time; the driver reads one for each schema, and what they could not read.
    """
    found = _read_on_executors(session, files) if len(files) >= MANY_FILES else {}
    examples = {digest: path for path, (digest, _) in reversed(found.items())}
    by_driver = [
        file
        for file in files
        if file.path not in found or examples[found[file.path][0]] == file.path
    ]
    read = {footer.path: footer for footer in session.storage.parquet_footers(by_driver)}
    for file in files:
        if file.path in read:
            yield read[file.path]
        else:
            digest, num_rows = found[file.path]
            yield ParquetFooter(file.path, read[examples[digest]].schema, num_rows)


def _read_on_executors(session: Session, files: Sequence[FileInfo]) -> dict[str, tuple[str, int]]:
    """Return schema digest and number of rows by path, of the files that they can read."""
    # Not commonpath, which would make one slash of a URI's two.
    common = os.path.commonprefix([file.path for file in files])  # noqa: RUF071  # cut at a slash
    directory = common.rpartition("/")[0]
    named = [(file.path[len(directory) + 1 :], file.size_bytes) for file in files]
    size = max(_FILES_PER_TASK, -(-len(named) // _MOST_TASKS))  # each task is sent all names
    parts = [named[start : start + size] for start in range(0, len(named), size)]
    options = dict(session.storage.pyarrow_options)

    def read_part(number: int) -> list[tuple[str, int]]:
        return footers.read_footers(directory, parts[number], options)

    read = on_executors(read_part, "array<struct<digest: string, num_rows: bigint>>")
    numbers = session.spark.range(0, len(parts), 1, len(parts))
    try:
        rows = numbers.select("id", read("id").alias("footers")).collect()
    except SPARK_ERRORS as failure:
        _log.info("executors can't read footers by pyarrow: %s", reason_of(failure))
        return {}
    answers = {row["id"]: row["footers"] for row in rows}
    return {
        f"{directory}/{name}": tuple(footer)
        for number, part in enumerate(parts)
        for (name, _), footer in zip(part, answers[number], strict=False)
    }
