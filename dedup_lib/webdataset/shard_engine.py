"""The engine that rewrites shards one by one: ranges of bytes are copied in Python tasks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import functions as F

from dedup_lib.errors import DedupError, TableFormatError, UnsupportedError
from dedup_lib.executor.file_task import Rewritten, RowSelection
from dedup_lib.executor.shards import read_tasks, rewrite_tasks
from dedup_lib.executor.shards.marks import MARK_SUFFIX
from dedup_lib.executor.shards.sample_ids import is_by_position
from dedup_lib.files import rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, Staged, Target

_SHOWN = 5
_log = logging.getLogger(__name__)


class ShardEngine:
    """The engine `arrow` for shards: pyarrow opens them, and all that stays keeps its bytes."""

    name = "arrow"

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why the run can't write shards, or None: executors have read all of them."""
        if settings.shard_size or settings.samples_per_shard:
            return UnsupportedError(
                "--shard-size and --samples-per-shard are for tables that become shards: shards "
                "keep their names and the samples that stay. Leave both out."
            )
        facts = None if images.id_table is None else images.id_table.facts
        if settings.action == "annotate" and facts is not None and facts.unmarkable is not None:
            return TableFormatError(
                f"--action annotate adds a member KEY.{MARK_SUFFIX} to each sample, but "
                f"{facts.unmarkable}. Use --action remove or extract, or other shards."
            )
        return None

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write each shard under its name; one that loses all its samples is left out."""
        id_from = run.settings.image_id_from
        firsts = first_ids(plan.images, id_from)

        def rewrite_one(
            task: Any, bitmaps: Any, options: Mapping[str, str], selection: RowSelection
        ) -> Rewritten:
            return rewrite_tasks.rewrite_shard(task, bitmaps, options, selection, firsts)

        done = rewrite.write_files(
            run, plan, output, attempt, id_column=id_from, rewrite_one=rewrite_one
        )
        if done.left_out:
            shown = done.left_out[:_SHOWN]
            _log.warning("%d metadata files are not copied: %s", len(done.left_out), shown)
        if done.unwritten:
            _log.warning(
                "%d shards are not written, because none of their samples stays (an empty one: tar "
                "-cf SHARD.tar -T /dev/null): %s",
                len(done.unwritten),
                done.unwritten[:_SHOWN],
            )
        return Staged(output, attempt.staged, None, counted=done.counted)


def check_links(run: RunContext, plan: Plan) -> None:
    """Refuse a plan if a link would stay, but its target would go.

    Raises:
        UnreadableFileError: There is such a link.

    *Cost:* nothing if no shard has links. Otherwise the headers of those that have some are read
    once more, in a job or two.
    """
    images, settings = plan.images, run.settings
    linked = frozenset() if images.id_table is None else images.id_table.facts.with_links
    files = tuple(file for file in images.files if file.path in linked)
    if not files or settings.action == "annotate":
        return
    with run.step("check links"):
        rewrite.rewrite(
            run.session.spark,
            replace(images, files=files),
            plan.files,
            plan.rows,
            staged="",
            partial=None,
            options=settings.storage_options,
            selection=RowSelection(settings.action, settings.image_id_from),
            keeps_empty=False,
            materialise=run.workspace.materialiser(None),
            rewrite_one=read_tasks.check_links_of,
        )


def first_ids(images: ImageTable, id_from: str) -> dict[str, str]:
    """Return NeMo Curator's first ID in each shard, by its path: it tells where numbers begin.

    *Cost:* one pass over the ID table, and a row per shard on the driver and in each task; nothing
    for other IDs.
    """
    if not is_by_position(id_from):
        return {}
    numbered = images.located_ids.where(F.col("image_id").isNotNull())
    first = F.min_by("image_id", "row_index").alias("first_id")
    return {
        row["file_path"]: row["first_id"]
        for row in numbered.groupBy("file_path").agg(first).collect()
    }
