"""The engine that rewrites shards one by one: ranges of bytes are copied in Python tasks."""

from __future__ import annotations

from dedup_lib.errors import AmbiguousListError, DedupError, UnsupportedError
from dedup_lib.executor.shards import shard_tasks
from dedup_lib.files import rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, Staged, Target


class ShardEngine:
    """The engine `arrow` for shards: pyarrow opens them, and all that stays keeps its bytes."""

    name = "arrow"

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why the run can't write shards, or None: executors have read all of them."""
        if settings.action == "annotate":
            return UnsupportedError("--action annotate can't mark the samples of shards.")
        if images.id_column != "image_id":
            return UnsupportedError(
                "--image-id-from says where the IDs of shards are: leave --image-id-column out."
            )
        return None

    def check_plan(self, plan: Plan, settings: Settings) -> None:
        """Refuse a list of positions that does not fit the shards: it was made for others."""
        unmatched = plan.reported_counts()["list_unmatched_ids"]
        if settings.image_id_from == shard_tasks.CURATOR and unmatched:
            raise AmbiguousListError(
                f"{unmatched} listed IDs name no image of the shards in {plan.images.location!r}: "
                "NeMo Curator's numbers hold for the shards that it read, one in each task. If it "
                "read other shards, or several in a task (group_…), the numbers name other images."
            )

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write each shard under its name; one that loses all its samples is left out."""
        id_from = run.settings.image_id_from
        return rewrite.write(
            run, plan, output, attempt, id_column=id_from, rewrite_one=shard_tasks.rewrite_shard
        )
