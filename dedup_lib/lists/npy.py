"""Read lists of 128-bit IDs from .npy files: executors read one part of a file at a time."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import StorageError, UnreadableFileError, UnsupportedError
from dedup_lib.executor import npy_ids
from dedup_lib.executor.npy_ids import IdFile
from dedup_lib.lists.npy_header import HEAD_BYTES, parse_header
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, Storage

# A part is 2 MB. All parts of a task are in memory together; starting a Python task takes 0.1 s.
_PARTS_PER_TASK = 8


def read_ids(session: Session, files: Sequence[FileInfo], *, what: str) -> tuple[DataFrame, int]:
    """Read .npy files of IDs, lazily.

    Args:
        session: The session, with its file systems.
        files: The files.
        what: The name of the list in messages.

    Returns:
        One row per ID, `image_id` (string, never NULL): 32 lower-case hex digits; and the number of
        IDs.

    Raises:
        UnreadableFileError: A file is not a .npy file, or is incomplete.
        NotAListError: A file holds something other than IDs.
        UnsupportedError: Executors lack pyarrow, or can't reach the files with it.

    *Cost:* the first bytes of each file; one small Spark job. Then about 100 MB of memory for each
    core of an executor, whatever the size of the files.
    """
    located = _locate(session.storage, files, what)
    num_ids = sum(file.num_ids for file in located)
    options = dict(session.storage.pyarrow_options)
    _check_executors(session.spark, located[0].uri, options, what)
    read = on_executors(lambda number: npy_ids.read_part(number, located, options), "string")
    num_parts = located[-1].first_part + _num_parts(located[-1].num_ids)
    parts = session.spark.range(0, num_parts, 1, max(1, -(-num_parts // _PARTS_PER_TASK)))
    texts = parts.select(read("id").alias("text"))
    return texts.select(F.explode(F.split("text", " ")).alias("image_id")), num_ids


def _locate(storage: Storage, files: Sequence[FileInfo], what: str) -> list[IdFile]:
    """Find the offset of the IDs in each file, and number the parts."""
    located: list[IdFile] = []
    first_part = 0
    for file in files:
        named = f"{what}: file {file.path!r}"
        try:
            head = storage.read_head(file.path, HEAD_BYTES)
        except StorageError as error:
            raise UnreadableFileError(f"{what}: {error} Restore or remove it.") from error
        found = parse_header(head, file.size_bytes, named)
        located.append(IdFile(file.path, file.size_bytes, *found, first_part))
        first_part += _num_parts(found.num_ids)
    return located


def _num_parts(num_ids: int) -> int:
    return -(-num_ids // npy_ids.PART_IDS)


def _check_executors(spark: SparkSession, uri: str, options: dict[str, str], what: str) -> None:
    probed = on_executors(lambda _: npy_ids.why_unusable(uri, options), "string")
    try:
        reason = spark.range(0, 1, 1, 1).select(probed("id")).collect()[0][0]
    except SPARK_ERRORS as failure:
        reason = f"a Python task failed on an executor: {find_task_failure(failure)}"
    if reason is not None:
        raise UnsupportedError(
            f"{what} holds .npy files. Executors need pyarrow to read them, and can't: {reason}. "
            "Install pyarrow on the executors, or write the IDs as Parquet."
        )
