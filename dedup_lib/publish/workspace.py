"""Manage the hidden directories of a run, and delete those that killed runs left."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from dedup_lib.errors import PublishError, SettingsError, StorageError
from dedup_lib.locations import get_scheme, is_path
from dedup_lib.publish import marker, swap, sweep, targets
from dedup_lib.publish.attempts import attempt_directory, attempt_without_directory
from dedup_lib.publish.owners import note_ended
from dedup_lib.publish.shared_disks import check_shared
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.failures import storage_errors_as
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import is_on_one_machine
from dedup_lib.settings import Settings
from dedup_lib.tables.foreign import check_written
from dedup_lib.tables.id_table import WantedIds, columns_to_copy
from dedup_lib.tables.read import root_of
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import UNKNOWN_SCHEME, Attempt, Target

# Makes the run's directory when it is first called, for the root of the image table. In a dry run
# there is none.
OpenAttempt = Callable[[str], Attempt | None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workspace:
    """The hidden directories of one run, for its plan and its staged files."""

    session: Session
    settings: Settings
    attempt_id: str
    _swept: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def clean_up(self) -> None:
        """Repair outputs and delete files that killed runs left at this run's output paths."""
        if self.settings.dry_run:
            return
        output = self.settings.output if self._keeps_files else None
        with storage_errors_as(PublishError):
            for location in (output, *self.settings.record_locations.values()):
                if location is not None and is_path(location):
                    self._tidy_up_at(self.session.storage.canonical(location))

    def _tidy_up_at(self, location: str) -> None:
        if self.session.storage.renames_in_one_step(location):
            swap.repair(self.session.storage, location, self.attempt_id)
        else:
            marker.finish_marking(self.session.storage, location)
        self._sweep(location)

    def clean_up_beside(self, root: str) -> None:
        """Delete files that killed runs left beside a table."""
        if self._keeps_files:
            self._sweep(root)

    def attempt_opener(self, output: Target | None, cleanup: ExitStack) -> OpenAttempt:
        """Return a function that makes the directory when it is first called.

        The directory is deleted when `cleanup` ends.
        """
        cleanup.callback(note_ended, self.attempt_id)
        return functools.cache(lambda root: self._open_attempt(output, root, cleanup))

    def wanted_ids(self, open_attempt: OpenAttempt, cleanup: ExitStack) -> WantedIds | None:
        """Say which IDs to copy, and where, while the image table is read for the first time.

        With --since-last-run, most runs only need to know that nothing is new. A dry run writes to
        the disk of this machine, if that is the only one.
        """
        settings = self.settings
        if settings.since_last_run or settings.changes_images:
            return None

        def make_directory() -> str | None:
            if settings.dry_run:
                return self._temporary_directory(cleanup)
            attempt = open_attempt(root_of(self.session, settings.images))
            return attempt.ids if attempt is not None and attempt.has_directory else None

        columns, has_all = columns_to_copy(settings)
        is_for_spark = settings.method_traits.moves_images and settings.engine != "arrow"
        return WantedIds(
            columns,
            has_all,
            is_for_spark,
            settings.image_id_from,
            make_directory,
            has_review=settings.review is not None,
            action=settings.action,
            output_has_shards=format_named(settings.resolved_output_format).traits.has_shards,
        )

    def _temporary_directory(self, cleanup: ExitStack) -> str | None:
        if not is_on_one_machine(self.session.spark):
            return None
        made = tempfile.TemporaryDirectory(prefix="remove-duplicates-", ignore_cleanup_errors=True)
        return f"file:{os.path.realpath(cleanup.enter_context(made))}/ids"

    def _open_attempt(
        self, output: Target | None, images_root: str, cleanup: ExitStack
    ) -> Attempt | None:
        """Make the directory for the plan and staged files; a dry run needs none."""
        if self.settings.dry_run:
            return None
        base = images_root
        if output is not None:
            base = targets.default_base(self.session, output)
        work_base = self._work_base(base)
        may_lack_one = self.session.storage.is_remote or not self._is_reached(work_base)
        if may_lack_one and (output is None or output.is_committed):
            return attempt_without_directory(work_base, self.attempt_id)
        targets.check_base_is_known(
            work_base, "give --work-location, such as a directory of a volume."
        )
        is_renamed = output is not None and output.is_renamed
        if is_renamed and not self.session.storage.same_file_system(work_base, base):
            raise SettingsError(
                f"--work-location {self.settings.work_location!r} is on another file system than "
                "the output: staged files can't be renamed into place."
            )
        with storage_errors_as(PublishError):
            if self.settings.work_location is not None:
                check_written(self.session.storage, work_base, "work location")
            self._sweep_at({work_base})
            attempt = cleanup.enter_context(
                attempt_directory(self.session.storage, work_base, self.attempt_id)
            )
            check_shared(self.session, attempt.directory)
        if output is not None and output.is_marked:
            return dataclasses.replace(attempt, output=output.location)
        return attempt

    def materialiser(self, attempt: Attempt | None) -> Callable[[DataFrame], DataFrame]:
        """Return a function that evaluates a frame once, and returns a frame of the result.

        If the attempt has a directory, files there hold the result: the loss of an executor can't
        change it.
        """

        def materialise(rows: DataFrame) -> DataFrame:
            if attempt is None or not attempt.has_directory:
                # Not `persist`: each frame is made from earlier ones, so their plans would nest.
                return rows.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY)
            path = f"{attempt.plan}/{next(self._numbers)}"
            rows.write.options(**self.session.storage.committer_options(path)).parquet(path)
            reader = self.session.spark.read.options(**PARQUET_READER_OPTIONS)
            return reader.schema(rows.schema).parquet(path)

        return materialise

    @property
    def _keeps_files(self) -> bool:
        """Whether the run keeps files beside its output; a commit over Spark Connect does not."""
        output = format_named(self.settings.resolved_output_format)
        return not self.session.storage.is_remote or not output.traits.takes_commits

    def _sweep(self, base: str) -> None:
        self._sweep_at({base, self._work_base(base)})

    def _sweep_at(self, locations: set[str]) -> None:
        for location in filter(self._is_reached, locations - self._swept):
            sweep.sweep(self.session.storage, location, self.attempt_id)
            self._swept.add(location)

    def _is_reached(self, base: str) -> bool:
        """Tell whether files can be kept beside a table: a format may reach a store by itself."""
        if get_scheme(base) == UNKNOWN_SCHEME:
            return True  # `check_base_is_known` says what to do
        try:
            self.session.storage.canonical(base)
        except StorageError as error:
            _log.info("the plan is kept on the disks of executors: %s", error)
            return False
        return True

    def _work_base(self, base: str) -> str:
        """Return the location beside which the attempt works: `base`, or one in --work-location."""
        if self.settings.work_location is None:
            return base
        work = self.session.storage.canonical(self.settings.work_location)
        return f"{work}/{base.rpartition('/')[2]}"
