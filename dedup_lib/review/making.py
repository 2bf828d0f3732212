"""Make a review of a plan and write it: figures, and a sample of pairs with their pictures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial, reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import RemovalList
from dedup_lib.plan import id_join, list_counts
from dedup_lib.plan.inputs import Inputs
from dedup_lib.plan.plan import Plan
from dedup_lib.redaction import redact
from dedup_lib.review import score_bins
from dedup_lib.review.columns import ShownColumns, shown_columns
from dedup_lib.review.data import Pair, Part, Review, Scores, Unmatched
from dedup_lib.review.page import render, review_file
from dedup_lib.review.pairs import PictureReader, pair_of
from dedup_lib.review.sample import (
    RemovedRow,
    choose,
    find_row_locations,
    group_sizes,
    keepers_of,
    removed_by_file,
)
from dedup_lib.session.progress import Step
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.id_types import ImageId
from dedup_lib.version import __version__

_EXAMPLES = 12
# If there are more files than that, the page shows partition directories, if there are any.
_MANY_FILES = 100
_STATES = {
    "remove": "made before anything was removed; the run's report says how it ended.",
    "annotate": "the run marks these images as duplicates, and removes no image.",
    "extract": "the run writes only these images, and removes no image.",
}
_log = logging.getLogger(__name__)


def make_review(
    session: Session,
    plan: Plan,
    inputs: Inputs,
    *,
    settings: Settings,
    run: str,
    step: Step,
) -> dict[str, Any]:
    """Write the review; if it can't be made, log a warning and let the run go on.

    Args:
        session: The session, with its file systems.
        plan: The removal plan.
        inputs: The inputs of the plan.
        settings: The run's settings.
        run: The run's name.
        step: Times a step.

    Returns:
        The value of `review` in the report.

    Raises:
        UsageError: The review can't be written.

    *Cost:* one scan of the image IDs, and some passes over the plan and the lists. Only the shown
    images are read: by this process, or over Spark Connect by Python tasks of executors.
    """
    location = str(settings.review)
    try:
        with step("make review"):
            making = _Making(session, plan, inputs, settings, run)
            review = making.review()
            page = render(review)
    except Exception as error:  # a failed review must not stop the run
        reason = redact(f"{type(error).__name__}: {error}")
        _log.warning("no review was made: %s", reason)
        return {"location": location, "pairs": None, "reason": reason[:1000]}
    with step("write review"):
        review_file(location).write(session.storage, page)
    _log.info("review: %s", redact(location))
    return {"location": location, "reason": making.why_no_pictures, **making.numbers}


@dataclass
class _Making:
    """Makes a review; each method is one step."""

    session: Session
    plan: Plan
    inputs: Inputs
    settings: Settings
    run: str

    def __post_init__(self) -> None:
        self.numbers: dict[str, Any] = {}

    def review(self) -> Review:
        plan = self.plan
        removed = removed_by_file(plan.rows)
        sample = choose(
            plan.images, plan.rows, self.settings.review_samples, plan.counts.removed_rows
        )
        sizes = self.group_sizes(sample.rows)
        pairs = self.pairs(sample.rows, sizes[1])
        self.numbers |= {
            "pairs": len(pairs),
            "pictures": sum(map(_num_pictures, pairs)),
        }
        return Review(
            run=self.run,
            images=plan.images.location,
            lists=[(item.location, _taken_for(item, self.settings)) for item in self.inputs.lists],
            input_rows=plan.image_ids.num_rows,
            removed_rows=plan.counts.removed_rows,
            input_bytes=plan.input_bytes,
            removed_bytes=self.removed_bytes(removed),
            pairs=pairs,
            sample=sample.described,
            scores=self.scores(),
            group_sizes=sizes[0] or None,
            **self.parts(removed),
            unmatched=self.unmatched(),
            state="" if self.settings.dry_run else _STATES[self.settings.action],
            made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=__version__,
        )

    @cached_property
    def columns(self) -> ShownColumns:
        images = self.plan.images
        if not images.table_format.has_image_column:
            return ShownColumns((), ())
        schema = images.frame.schema
        return shown_columns(schema, images.id_column, images.partition_columns)

    @property
    def why_no_pictures(self) -> str | None:
        return self.columns.why_no_image or None

    def group_sizes(self, rows: Sequence[RemovedRow]) -> tuple[dict[int, int], dict[Any, int]]:
        if self.plan.keepers is None:
            return {}, {}
        return group_sizes(self.plan.images, self.plan.rows, keepers_of(rows))

    def removed_bytes(self, removed: Mapping[str, int]) -> int:
        row_bytes = {file.file_path: file.size_bytes / file.num_rows for file in self.plan.files}
        return round(sum(row_bytes[path] * num_rows for path, num_rows in removed.items()))

    def parts(self, removed: Mapping[str, int]) -> dict[str, Any]:
        """Count the losses of files, or of partition directories if there are many files."""
        plan = self.plan
        by_directory = bool(plan.images.partition_columns) and len(plan.files) > _MANY_FILES
        rows_in, rows_out = Counter[str](), Counter[str]()
        for file in plan.files:
            name = self.name_of(file.file_path)
            name = name.rpartition("/")[0] if by_directory else name
            rows_in[name] += file.num_rows
            rows_out[name] += removed.get(file.file_path, 0)
        parts = [Part(name, num_rows, rows_out[name]) for name, num_rows in rows_in.items()]
        return {"parts": parts, "part_kind": "partitions" if by_directory else "input files"}

    def name_of(self, file_path: str) -> str:
        images = self.plan.images
        path = images.table_format.file_path_of(images, file_path)
        root = images.root.rstrip("/")
        return redact(path.removeprefix(root).lstrip("/") or path.rpartition("/")[2])

    def scores(self) -> Scores | None:
        """Count the scores of all pairs; the plan's lists lack those below the threshold."""
        eps = self.settings.planned_eps
        frames = [
            item.pairs.select("image_id", F.col(item.pairs.columns[1]).alias("other"), "score")
            for item in self.inputs.lists
            if item.pairs is not None and item.shape.has_similarities
        ]
        if eps is None or not frames:
            return None
        # The first image of each of Curator's clusters names itself, with a meaningless score.
        scores = [frame.where("image_id != other").select("score") for frame in frames]
        return score_bins.count_scores(reduce(DataFrame.unionByName, scores), eps)

    def unmatched(self) -> Unmatched:
        plan = self.plan
        counts = plan.reported_counts()
        num_ids = counts["list_unmatched_ids"]
        examples: Sequence[ImageId] = ()
        if num_ids != 0:
            rows = self.unmatched_ids().select("image_id").distinct().limit(_EXAMPLES)
            examples = sorted(plan.images.shown(row["image_id"]) for row in rows.collect())
        return Unmatched(num_ids, counts["list_distinct_ids"], examples, plan.hint_texts)

    def unmatched_ids(self) -> DataFrame:
        plan = self.plan
        if plan.unmatched is not None:
            return plan.unmatched.rows
        join = id_join.choose_join(plan.image_ids, plan.list_ids)
        return list_counts.unmatched_ids(plan.images.table_ids, self.inputs.lists, join)

    def pairs(self, sample: Sequence[RemovedRow], sizes: Mapping[ImageId, int]) -> list[Pair]:
        images = self.plan.images
        keepers = find_row_locations(images, keepers_of(sample))
        path_of = partial(images.table_format.file_path_of, images)
        sizes_of_files = {path_of(file.file_path): file.size_bytes for file in self.plan.files}
        showing = PictureReader(self.session, images, self.columns, sizes_of_files)
        pictures = showing.pictures(sample, keepers, self.why_no_pictures)
        self.numbers["read_bytes"] = showing.read_bytes
        return [pair_of(row, keepers, pictures, sizes) for row in sample]


def _taken_for(item: RemovalList, settings: Settings) -> str:
    words = f"{item.kind}: {item.shape.producer}"
    if item.shape.score_column is None:
        return words
    if item.shape.has_similarities:
        return f"{words}, eps {settings.planned_eps:g}"
    return f"{words}, up to a distance"


def _num_pictures(pair: Pair) -> int:
    shown = (pair.removed, pair.keeper)
    return sum(one is not None and one.thumbnail.webp is not None for one in shown)
