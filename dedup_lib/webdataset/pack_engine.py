"""The engine that writes tables as shards: pyarrow reads the files, in Python tasks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from dedup_lib.errors import DedupError, UnsupportedError
from dedup_lib.executor.file_task import Rewritten, RowSelection
from dedup_lib.executor.shards.packing import pack_tasks
from dedup_lib.executor.shards.packing.pack_tasks import ShardsOfFile
from dedup_lib.executor.shards.packing.stored_columns import StoredSchema
from dedup_lib.files import rewrite
from dedup_lib.locations import decode_path
from dedup_lib.methods.file_engine import FileEngine
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import literal_rows
from dedup_lib.settings import Settings
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.data_files import DataFiles
from dedup_lib.tables.target import Attempt, Staged, Target

_SHARD_BYTES = 1024**3
_SAMPLES = 10_000
# A task notes some 600 bytes for each member of the shard that it writes.
_MOST_SAMPLES = 1_000_000
# Headers and padding of a picture and its JSON, and the JSON.
_SAMPLE_OVERHEAD_BYTES = 2048
_log = logging.getLogger(__name__)


class PackEngine:
    """The engine `arrow` from tables of Parquet files to shards; each has rows of one file.

    Attributes:
        name: The name in --engine and in the report.
    """

    name = "arrow"

    def __init__(self, reader: FileEngine | None) -> None:
        """Take the engine that rewrites the table's own files; None if there is no such engine."""
        self._reader = reader

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why executors can't read the table's files, or make samples of them; or None.

        *Cost:* the footer of one file for each schema; one or two small Spark jobs.
        """
        if settings.action == "annotate" and not images.has_row_index:
            return UnsupportedError(
                f"--action annotate can't mark the rows of {images.location!r} in shards, because "
                "Delta gives no row indexes for it: set delta.enableDeletionVectors on the table, "
                "or make the shards first, and annotate these."
            )
        if self._reader is not None:
            refusal = self._reader.why_unusable(session, images, partial, settings)
            if refusal is not None:
                return refusal
        try:
            schema = images.table_format.stored_schema(session, images)
        except DedupError as error:
            return error
        if schema is None and self._reader is None:
            return UnsupportedError(
                f"a {images.table_format.title} table can't be written as shards: write it with "
                "--output-format parquet, and then that table as shards."
            )
        return _why_no_samples(session, images, settings, schema)

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the rows as samples of new shards, which are numbered through."""
        with run.step("number shards"):
            data = plan.images.table_format.data_files(run.session, plan.images, plan.files)
            images = replace(plan.images, root=data.root, files=data.files)
            plan = replace(plan, images=images)
            shards = number_shards(plan, data, run.settings, attempt.staged)

        def pack_one(
            task: Any, bitmaps: Any, options: Mapping[str, str], selection: RowSelection
        ) -> Rewritten:
            return pack_tasks.pack_file(task, bitmaps, options, selection, shards[task.source])

        id_column = images.id_column
        done = rewrite.write_files(
            run,
            plan,
            output,
            attempt,
            id_column=id_column,
            rewrite_one=pack_one,
            hides_rows=data.hides_rows,
        )
        num_shards = sum(len(one.numbers) for one in shards.values())
        run.report.choose("shards", str(num_shards), keys_by_position=done.renamed_rows)
        if done.renamed_rows:
            _log.warning(
                "%d samples have a key by position (row-…), because their image ID can't be a key "
                "(no ID, a dot in its last part, an empty part, …) or is that of another row of "
                "the shard. Their .json has the ID: --image-id-from json:%s",
                done.renamed_rows,
                id_column,
            )
        return Staged(output, attempt.staged, None)


def _why_no_samples(
    session: Session, images: ImageTable, settings: Settings, schema: StoredSchema | None
) -> DedupError | None:
    options = settings.storage_options
    selection = RowSelection(settings.action, images.id_column)

    def probe(source: str | None, options: Mapping[str, str]) -> Rewritten:
        return pack_tasks.probe(source, selection, options, schema)

    rows = [{"source": file.path} for file in images.schema_examples]
    if schema is not None:
        path = metadata(images.frame, "file_path").alias("path")
        first = images.frame.select(path).head()
        rows = [{} if first is None else {"source": decode_path(first["path"])}]
    frame = literal_rows(session.spark, rows, "source string")
    outcome = rewrite.outcomes_of(probe, options)("source").alias("outcome")
    try:
        outcomes = frame.select(outcome).select("outcome.*").collect()
    except SPARK_ERRORS as failure:
        return UnsupportedError(
            f"a Python task failed on an executor: {find_task_failure(failure)}"
        )
    errors = (rewrite.refusal_of(row) for row in outcomes)
    return next((error for error in errors if error is not None), None)


def number_shards(
    plan: Plan, data: DataFiles, settings: Settings, directory: str
) -> dict[str, ShardsOfFile]:
    """Number the shards of all files through, by the rows that each file will write.

    Args:
        plan: The removal plan.
        data: The files of its table.
        settings: The settings of the run.
        directory: The URI of the directory of the shards.

    Returns:
        The shards of each file, by the file's path, in the order of the paths. If no row is
        written, the first file has one shard.

    *Cost:* one pass over the plan, and a row for each file on the driver and in each task.
    """
    planned = plan.rows.groupBy("file_path").agg(F.count(F.lit(1)).alias("num_rows")).collect()
    removed = {decode_path(row["file_path"]): row["num_rows"] for row in planned}
    scanned = {decode_path(file.file_path): file.num_rows for file in plan.files}
    samples, num_shards = [], []
    for file in data.files:
        num_rows, num_removed = scanned.get(file.path, 0), removed.get(file.path, 0)
        written_rows = {"extract": num_removed, "annotate": num_rows}.get(
            settings.action, num_rows - num_removed
        )
        samples.append(samples_per_shard(settings, file.size_bytes // max(1, num_rows)))
        num_shards.append(-(-written_rows // samples[-1]))
    if not any(num_shards):
        num_shards[0] = 1
    digits = max(5, len(str(sum(num_shards) - 1)))
    numbered: dict[str, ShardsOfFile] = {}
    first = 0
    for number, (file, each, of_file) in enumerate(
        zip(data.files, samples, num_shards, strict=True)
    ):
        numbers = range(first, first + of_file)
        partition = data.partitions.get(file.path, {})
        numbered[file.path] = ShardsOfFile(
            number, directory, numbers, digits, each, partition, data.schema
        )
        first += of_file
    return numbered


def samples_per_shard(settings: Settings, row_bytes: int) -> int:
    """Return how many samples a shard has, if its rows have so many bytes on average."""
    num_bytes, most = settings.shard_bytes, settings.samples_per_shard
    if num_bytes is None and most is None:
        num_bytes, most = _SHARD_BYTES, _SAMPLES
    fitting = [_MOST_SAMPLES if most is None else most]
    if num_bytes is not None:
        fitting.append(max(1, num_bytes // (row_bytes + _SAMPLE_OVERHEAD_BYTES)))
    return min(fitting)
