"""The engine that writes each shard as a Parquet file of an image table, in Python tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from dedup_lib.errors import DedupError, TableFormatError, UnsupportedError
from dedup_lib.executor.file_task import Rewritten, RowSelection
from dedup_lib.executor.shards import unpack_tasks
from dedup_lib.executor.shards.table_columns import MOST_SUFFIXES
from dedup_lib.executor.shards.unpack import Columns
from dedup_lib.executor.shards.unpack_tasks import NewTable, file_name
from dedup_lib.files import rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.methods.spark_engine import ADDED_COLUMNS
from dedup_lib.plan.plan import Plan
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.id_table import IdFacts, IdTable
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Attempt, Staged, Target
from dedup_lib.webdataset.shard_engine import first_ids
from dedup_lib.webdataset.shards import warn_of_others

_KEY = "key"
_SHOWN = 10
_INSTEAD = "Write shards (--output-format webdataset), or change these."


class UnpackEngine:
    """The engine `arrow` for shards that become a table: a row for each sample."""

    name = "arrow"

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why a table can't hold all that is in the shards, or None."""
        if images.id_table is None:
            return UnsupportedError("--since-last-run can't follow shards: leave it out.")
        facts = images.id_table.facts
        if settings.action == "annotate" and (taken := _taken_by_marks(facts)):
            return TableFormatError(
                f"--action annotate adds the columns {' and '.join(ADDED_COLUMNS)}, and members in "
                f"{images.location!r} have the suffix {taken!r} already. {_INSTEAD}"
            )
        return _why_not_columns(images, facts) or _why_not_names(images)

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write a file for each shard, and make a table of these. Metadata files are left out."""
        warn_of_others(plan.images.beside)
        id_from = run.settings.image_id_from
        facts = cast("IdTable", plan.images.id_table).facts
        columns = Columns(
            facts.suffixes,
            has_ids=id_from != _KEY,
            has_marks=run.settings.action == "annotate",
        )
        table = NewTable(attempt.staged, columns, first_ids(plan.images, id_from))

        def unpack_one(
            task: Any, bitmaps: Any, options: Mapping[str, str], selection: RowSelection
        ) -> Rewritten:
            return unpack_tasks.unpack_shard(task, bitmaps, options, selection, table)

        staged = rewrite.write(
            run, plan, output, attempt, id_column=id_from, rewrite_one=unpack_one
        )
        return format_named(output.format).adopt_files(run.session, staged, run.note(plan))


def _taken_by_marks(facts: IdFacts) -> str | None:
    """Return a column of marks that is also a suffix, or None."""
    return next((name for name in ADDED_COLUMNS if name in facts.suffixes), None)


def _why_not_columns(images: ImageTable, facts: IdFacts) -> DedupError | None:
    if facts.refused is not None:
        return TableFormatError(f"{facts.refused}: a table can't hold it. {_INSTEAD}")
    if len(facts.suffixes) > MOST_SUFFIXES:
        return TableFormatError(
            f"the shards of {images.location!r} have more than {MOST_SUFFIXES} suffixes, and a "
            f"table has a column for each: {list(facts.suffixes[:_SHOWN])} and others. A suffix is "
            f"all after the first dot of a name, so keys should have no dots. {_INSTEAD}"
        )
    return None


def _why_not_names(images: ImageTable) -> DedupError | None:
    """Return why each shard can't have a file of its own, or None."""
    paths: dict[str, str] = {}
    for file in images.files:
        name = file_name("/".join(relative_parts(images.root, file)))
        other = paths.setdefault(name, file.path)
        if other != file.path:
            return TableFormatError(
                f"image table {images.location!r} has the shards {other!r} and {file.path!r}, "
                f"which would both become {name!r}: rename one."
            )
    return None
