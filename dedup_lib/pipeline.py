"""Plan, check, apply, verify, publish: a run from end to end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from dedup_lib import (
    id_scan,
    image_settings,
    publish,
    removal_plan,
    replacement,
    safety_limits,
    spark_rewrite,
    tables,
    targets,
)
from dedup_lib.errors import (
    ColumnTypeError,
    DedupError,
    InputError,
    NoImageRowsError,
    PublishError,
    SettingsError,
    StorageError,
    UnreadableFileError,
)
from dedup_lib.id_scan import FileRows, IdSizes
from dedup_lib.overlap import check_places, check_report
from dedup_lib.parquet_files import PARQUET_READER_OPTIONS
from dedup_lib.parquet_types import check_types_are_kept
from dedup_lib.publish import Staged
from dedup_lib.publish_lock import Attempt, attempt_directory, new_attempt_id
from dedup_lib.removal_list import RemovalList, read_removal_list
from dedup_lib.removal_plan import PlanCounts
from dedup_lib.report import Report
from dedup_lib.session_settings import session_settings
from dedup_lib.settings import Settings, check_supported, is_path
from dedup_lib.storage import FileInfo, Storage
from dedup_lib.tables import PinnedTable
from dedup_lib.targets import Target
from dedup_lib.uris import decoded
from dedup_lib.version import __version__

# Nothing may be skipped in silence, whatever the cluster's defaults are.
_READ_SETTINGS = {
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "parquet.page.verify-checksum.enabled": "true",
}
_SAMPLED_FILES = 8
# What a refusal of a file system means, by phase: an unreadable input, or a failed output.
_STORAGE_ERRORS: dict[str, type[DedupError]] = {"plan": InputError, "apply": DedupError}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """The materialised removal plan, its inputs, and what was counted on the way."""

    images: PinnedTable
    rows: DataFrame
    counts: PlanCounts
    files: list[FileRows]
    image_ids: IdSizes
    list_ids: IdSizes

    @property
    def kept_rows(self) -> int:
        return self.image_ids.num_rows - self.counts.removed_rows


def run(spark: SparkSession, settings: Settings, *, report: Report | None = None) -> Report:
    """Remove the rows that the removal lists name, and publish what stays.

    Args:
        spark: A classic Spark session; its settings are changed for the time of the run and
            put back.
        settings: What to do.
        report: Filled in as the run goes on, so that a caller has it when the run fails;
            default a new one.

    Returns:
        The report; it is written to `settings.report`, too, on failure as well.

    Raises:
        DedupError: As `dedup_lib.errors` says; nothing is published then, unless the message
            names a Delta commit.

    *Cost:* two scans of the image IDs and two or three of the lists; then one scan of the
    images, and a write of those that stay.
    """
    report = Report() if report is None else report
    report.describe(settings)
    storage = Storage(spark)
    is_saved = False  # not before it is sure that the report replaces no input
    try:
        with _storage_errors_as(InputError):
            check_report(spark, storage, settings)
        is_saved = settings.report is not None
        check_supported(settings)
        with session_settings(spark, _READ_SETTINGS), _read_errors_named():
            _Run(spark, storage, settings, report).execute()
    except BaseException as error:
        report.fail(error)
        raise
    finally:
        if is_saved and settings.report is not None:
            report.save(settings.report, storage)
    return report


class _Run:
    """One run: the flow of the README, a step a method."""

    def __init__(
        self, spark: SparkSession, storage: Storage, settings: Settings, report: Report
    ) -> None:
        self.spark = spark
        self.storage = storage
        self.settings = settings
        self.report = report
        self.attempt_id = new_attempt_id()

    def execute(self) -> None:
        with ExitStack() as cleanup:
            with self.phase("plan"):
                check_places(self.spark, self.storage, self.settings)
                output = self.find_target(self.settings.output)
                removed_output = self.find_target(self.settings.removed_output)
                images, lists = self.read_inputs()
                attempt = self.open_attempt(output, cleanup)
                plan = self.make_plan(images, lists, attempt, cleanup)
            if self.settings.dry_run:
                self.keep_plan(plan, removed_output)
            with self.phase("check"):
                self.check_limits(plan)
            if self.settings.dry_run or output is None or attempt is None:
                self.report.counts["kept_rows"] = plan.kept_rows
                self.report.finish("dry_run")
                return
            with self.phase("apply"):
                staged = self.rewrite(plan, output, attempt)
            with self.phase("verify"):
                self.verify(plan, staged)
            with self.phase("publish"):
                self.keep_plan(plan, removed_output)
                publish.promote(self.storage, staged, attempt, self.manifest())
                replacement.finish(self.storage, removed_output)
            self.report.finish("succeeded")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        with self.report.phase(name), _storage_errors_as(_STORAGE_ERRORS.get(name, PublishError)):
            yield
        numbers = {key: value for key, value in self.report.counts.items() if value is not None}
        _log.info("%s took %.1f s: %s", name, self.report.seconds[name], numbers)

    def find_target(self, location: str | None) -> Target | None:
        """Look at a place that is to be written; an earlier run's half-done swap is mended."""
        settings = self.settings
        if location is None:
            return None
        mode = settings.output_mode
        if not settings.dry_run:
            replacement.repair(self.storage, location, self.attempt_id)
            if replacement.is_unfinished(self.storage, location):
                mode = "overwrite"
        if location == settings.output:
            table_format = settings.resolved_output_format
        else:
            table_format = "parquet" if is_path(location) else "delta"
        return targets.find_target(self.spark, self.storage, location, table_format, mode)

    def read_inputs(self) -> tuple[PinnedTable, list[RemovalList]]:
        settings = self.settings
        images = tables.read_images(
            self.spark, self.storage, settings.images, settings.images_format
        )
        self.report.inputs["images"] = images.described()
        self.check_images(images)
        lists = []
        for index, item in enumerate(settings.duplicate_ids):
            removal_list = read_removal_list(
                self.spark,
                self.storage,
                item,
                default_column=settings.duplicate_id_column,
                image_id_type=images.frame.schema[settings.image_id_column].dataType,
            )
            lists.append(removal_list)
            self.report.inputs["duplicate_ids"][index] = removal_list.described()
        return images, lists

    def check_images(self, images: PinnedTable) -> None:
        column, what = self.settings.image_id_column, f"image table {images.location!r}"
        tables.id_type(images.frame, column, what=what, flag="--image-id-column")
        if images.format == "parquet" and column in images.partition_columns:
            raise ColumnTypeError(
                f"{what}: column {column!r} is kept in directory names, which have no type: "
                "image IDs must be a column of the files."
            )
        check_types_are_kept(images)

    def open_attempt(self, output: Target | None, cleanup: ExitStack) -> Attempt | None:
        """Make the place for plan and staged files; a dry run needs none."""
        settings = self.settings
        if output is None or settings.dry_run:
            return None
        base = targets.default_base(self.spark, self.storage, output)
        if settings.work_location is not None:
            work = self.storage.canonical(settings.work_location)
            if output.is_renamed and not self.storage.same_file_system(work, base):
                raise SettingsError(
                    f"--work-location {work!r} is on another file system than the output: "
                    "staged files could not be renamed into place."
                )
            base = f"{work}/{base.rpartition('/')[2]}"
        with _storage_errors_as(PublishError):
            return cleanup.enter_context(attempt_directory(self.storage, base, self.attempt_id))

    def make_plan(
        self,
        images: PinnedTable,
        lists: list[RemovalList],
        attempt: Attempt | None,
        cleanup: ExitStack,
    ) -> _Plan:
        """Find the rows that go, keep them for the rest of the run, and count."""
        settings = self.settings
        files = id_scan.count_files(images, settings.image_id_column)
        unread = id_scan.unread_files(images, files)
        id_scan.check_every_file_was_read(images, files, self.empty_files(images, unread))
        image_ids = id_scan.total(files)
        if image_ids.num_rows == 0:
            raise NoImageRowsError(f"image table {images.location!r} has no rows.")
        list_ids = removal_plan.count_entries(lists)
        lazy_rows = removal_plan.plan(
            images, settings.image_id_column, lists, image_ids=image_ids, list_ids=list_ids
        )
        rows = self.materialise(lazy_rows, attempt, cleanup)
        plan = _Plan(images, rows, removal_plan.count_plan(rows), files, image_ids, list_ids)
        self.note_counts(plan, lists)
        return plan

    def empty_files(self, images: PinnedTable, unread: list[str]) -> list[str]:
        files = [file for file in images.files if file.path in set(unread)]
        return [path for path, rows in self.storage.parquet_num_rows(files) if rows == 0]

    def materialise(
        self, rows: DataFrame, attempt: Attempt | None, cleanup: ExitStack
    ) -> DataFrame:
        """Evaluate the plan once: to files, which no lost executor can change."""
        if attempt is None:
            kept = rows.persist(StorageLevel.DISK_ONLY)
            cleanup.callback(kept.unpersist)
            return kept
        rows.write.parquet(attempt.plan)
        reader = self.spark.read.options(**PARQUET_READER_OPTIONS)
        return reader.schema(rows.schema).parquet(attempt.plan)

    def note_counts(self, plan: _Plan, lists: list[RemovalList]) -> None:
        distinct = removal_plan.distinct_entries(
            lists, self.settings.list_counts, plan.list_ids.num_rows
        )
        matched = plan.counts.matched_ids
        self.report.counts |= {
            "input_rows": plan.image_ids.num_rows,
            "removed_rows": plan.counts.removed_rows,
            "null_id_rows": plan.image_ids.num_nulls,
            "list_rows": plan.list_ids.num_rows,
            "list_null_ids": plan.list_ids.num_nulls,
            "list_distinct_ids": distinct,
            "list_matched_ids": matched,
            "list_unmatched_ids": None if distinct is None else distinct - matched,
        }
        files = plan.images.files or plan.files
        self.report.bytes["input"] = sum(file.size_bytes for file in files)

    def check_limits(self, plan: _Plan) -> None:
        settings = self.settings
        num_ids = plan.list_ids.num_rows - plan.list_ids.num_nulls
        safety_limits.check_list_not_empty(
            num_ids=num_ids, allow_empty_list=settings.allow_empty_list
        )
        safety_limits.check_matches(
            num_ids=num_ids,
            removed_rows=plan.counts.removed_rows,
            allow_no_matches=settings.allow_no_matches,
        )
        safety_limits.check_removed_fraction(
            input_rows=plan.image_ids.num_rows,
            removed_rows=plan.counts.removed_rows,
            max_removed_fraction=settings.max_removed_fraction,
        )

    def rewrite(self, plan: _Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the rows that stay, where no reader sees them yet."""
        images, settings = plan.images, self.settings
        strategy = spark_rewrite.choose_strategy(
            settings.strategy, plan.counts, has_row_index=images.has_row_index
        )
        self.report.engine, self.report.strategy = "spark", strategy
        if plan.kept_rows == 0 and output.format == "parquet":
            return publish.stage_empty_parquet(self.spark, output, images.frame.schema, attempt)
        kept = spark_rewrite.keep(images, settings.image_id_column, plan.rows, strategy)
        writer = spark_rewrite.writer(kept, images.partition_columns)
        note = {**self.manifest(), "kept_rows": plan.kept_rows}
        with session_settings(self.spark, self.image_settings(plan)):
            return publish.stage(
                output,
                writer,
                attempt,
                spark=self.spark,
                column_names=kept.columns,
                note=note,
            )

    def image_settings(self, plan: _Plan) -> dict[str, str]:
        """Work out reader and writer settings from what the images weigh."""
        binary = image_settings.binary_columns(plan.images.frame.schema)
        largest = sorted(plan.files, key=lambda file: file.size_bytes)[-_SAMPLED_FILES:]
        sample = [
            FileInfo(decoded(file.file_path), file.size_bytes, file.modified_ms) for file in largest
        ]
        chunks = self.storage.parquet_column_sizes(sample)
        weights = image_settings.weigh(plan.files, chunks, binary)
        return image_settings.rewrite_settings(weights, binary, plan.images.file_schemas)

    def verify(self, plan: _Plan, staged: Staged) -> None:
        """Compare what was written with the plan: kept + removed = input."""
        tables.check_unchanged(self.storage, plan.images)
        found = publish.count_rows(self.spark, self.storage, staged)
        publish.check_rows(staged, expected_rows=plan.kept_rows, found_rows=found)
        self.report.counts["kept_rows"] = found
        self.report.bytes["output"] = publish.written_bytes(self.spark, self.storage, staged)
        self.report.output = {
            "location": staged.target.location,
            "format": staged.target.format,
            "version": staged.version,
        }

    def keep_plan(self, plan: _Plan, removed_output: Target | None) -> None:
        """Publish the plan as a table of its own (--removed-output)."""
        if removed_output is None:
            return
        base = targets.default_base(self.spark, self.storage, removed_output)
        note = {**self.manifest(), "holds": "removal plan"}
        with attempt_directory(self.storage, base, self.attempt_id) as attempt:
            writer = spark_rewrite.writer(plan.rows, ())
            staged = publish.stage(
                removed_output,
                writer,
                attempt,
                spark=self.spark,
                column_names=plan.rows.columns,
                note=note,
            )
            found = publish.count_rows(self.spark, self.storage, staged)
            publish.check_rows(staged, expected_rows=plan.counts.removed_rows, found_rows=found)
            unfinished = {} if self.settings.dry_run else {"unfinished": True}
            publish.promote(self.storage, staged, attempt, note | unfinished)

    def manifest(self) -> dict[str, Any]:
        return {
            "dedup_lib": __version__,
            "run": self.attempt_id,
            "counts": self.report.counts,
            "inputs": self.report.inputs,
        }


@contextmanager
def _storage_errors_as(kind: type[DedupError]) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise kind(str(error)) from error


@contextmanager
def _read_errors_named() -> Iterator[None]:
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if "FAILED_READ_FILE" in str(error) or "CANNOT_READ_FILE_FOOTER" in str(error):
            lines = [line for line in str(error).splitlines() if "READ_FILE" in line]
            raise UnreadableFileError(
                f"Spark could not read an input file: {lines[0].strip()} "
                "Restore or remove that file."
            ) from error
        raise
