"""Read the inputs, make the removal plan, count, and check it against the limits."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from pyspark.sql import DataFrame, SparkSession

from dedup_lib import eps_sweep, groups, id_scan, keepers, removal_plan, safety_limits, tables
from dedup_lib.errors import (
    ColumnTypeError,
    MissingColumnError,
    NoImageRowsError,
    SettingsError,
)
from dedup_lib.groups import Ranking
from dedup_lib.id_scan import FileRows, IdSizes
from dedup_lib.keepers import KeeperCounts
from dedup_lib.match_hints import why_few_match
from dedup_lib.removal_list import RemovalList, read_removal_list
from dedup_lib.removal_plan import PlanCounts
from dedup_lib.report import Report
from dedup_lib.settings import Action, Settings
from dedup_lib.storage import Storage
from dedup_lib.tables import PinnedTable

_NAMING_KEEPERS = {"pairwise", "groups"}
# Joins of IDs with IDs: hashed where each part of them is small, which takes half of sorting them.
PLAN_SETTINGS = id_scan.SCAN_SETTINGS | {
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "32MB",
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "32MB",
}
# So small a share of what could match is no accident of two tables that overlap.
_FEW_FRACTION = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The image table and the removal lists, pinned."""

    images: PinnedTable
    lists: Sequence[RemovalList]


@dataclass(frozen=True)
class Record:
    """Rows that a run keeps beside its output: what they are, the rows, and how many."""

    holds: str
    rows: DataFrame
    num_rows: int


@dataclass(frozen=True)
class Plan:
    """A materialised removal plan, the table that it is for, and what was counted on the way.

    Attributes:
        images: The image table.
        rows: One row per image row that goes, as `removal_plan.plan_schema` says.
        counts: What the plan holds.
        files: Rows and sizes of the image table's files.
        image_ids: Sizes of the image IDs.
        list_ids: Sizes of all list entries together.
        list_distinct_ids: How many IDs the lists name; None where that was not counted.
        list_matched_ids: How many of them are in the image table.
        keepers: What became of the keepers; None where no list names any.
        match_hints: Why only few of the listed IDs are in the table, in sentences; none where
            enough are, or nothing was found out.
        unmatched: The listed IDs that are not in the table, one row per list and ID: `image_id`,
            `list_location`, `list_kind`; None where they are not asked for.
    """

    images: PinnedTable
    rows: DataFrame
    counts: PlanCounts
    files: Sequence[FileRows]
    image_ids: IdSizes
    list_ids: IdSizes
    list_distinct_ids: int | None
    list_matched_ids: int
    keepers: KeeperCounts | None
    match_hints: Sequence[str]
    unmatched: Record | None

    @property
    def records(self) -> dict[str, Record]:
        """What can be kept beside the output, by the setting that says where."""
        kept = {"removed_output": Record("removal plan", self.rows, self.counts.removed_rows)}
        return kept if self.unmatched is None else {**kept, "unmatched_output": self.unmatched}

    @property
    def matches_few(self) -> bool:
        """Whether hardly any listed ID is in the table, though both are large enough."""
        list_ids, image_ids = self.list_ids, self.image_ids
        listed = self.list_distinct_ids or list_ids.num_rows - list_ids.num_nulls
        could_match = min(listed, image_ids.num_rows - image_ids.num_nulls)
        return self.list_matched_ids < _FEW_FRACTION * could_match

    @property
    def kept_rows(self) -> int:
        """How many rows stay."""
        return self.image_ids.num_rows - self.counts.removed_rows

    @property
    def removed_ids(self) -> DataFrame:
        """One row per ID that goes, `image_id`."""
        return self.rows.select("image_id").distinct()

    @property
    def input_bytes(self) -> int:
        """Size of the image table's data files; of Delta's those that hold a row."""
        return sum(file.size_bytes for file in self.images.files or self.files)

    def output_rows(self, action: Action) -> int:
        """Return how many rows an output by this action has."""
        rows = {"remove": self.kept_rows, "extract": self.counts.removed_rows}
        return rows.get(action, self.image_ids.num_rows)

    def reported_counts(self) -> dict[str, int | None]:
        """Return the report's counts, but for what is known only when rows were written."""
        distinct, matched = self.list_distinct_ids, self.list_matched_ids
        return {
            "input_rows": self.image_ids.num_rows,
            "removed_rows": self.counts.removed_rows,
            "null_id_rows": self.image_ids.num_nulls,
            "list_rows": self.list_ids.num_rows,
            "list_null_ids": self.list_ids.num_nulls,
            "list_distinct_ids": distinct,
            "list_matched_ids": matched,
            "list_unmatched_ids": None if distinct is None else distinct - matched,
        }


def read_inputs(
    spark: SparkSession, storage: Storage, settings: Settings, report: Report
) -> Inputs:
    """Pin the image table and the lists, and note them in the report as they are found."""
    images = tables.read_images(spark, storage, settings.images, settings.images_format)
    report.inputs["images"] = images.described()
    _check_id_column(images, settings.image_id_column)
    lists = []
    for index, item in enumerate(settings.duplicate_ids):
        removal_list = read_removal_list(
            spark,
            storage,
            item,
            image_id_type=images.frame.schema[settings.image_id_column].dataType,
            default_column=settings.duplicate_id_column,
            default_kind=settings.list_kind,
            eps=settings.planned_eps,
        )
        lists.append(removal_list)
        report.inputs["duplicate_ids"][index] = removal_list.described()
        shape = removal_list.shape
        _log.info("%r is taken for: %s (%s)", removal_list.location, shape.kind, shape.producer)
    _check_kinds(images, lists, settings)
    return Inputs(images, lists)


def _check_kinds(images: PinnedTable, lists: Sequence[RemovalList], settings: Settings) -> None:
    """Check that what was set for kinds of lists is for a list that is there."""
    kinds = {item.kind for item in lists}
    if settings.planned_eps is not None and "pairwise" not in kinds:
        raise SettingsError(
            "--eps is for pairwise lists, and there is none: the lists were taken for "
            f"{', '.join(sorted(kinds))}. Leave it out, or give the pairwise results."
        )
    column = settings.keeper_rule.column
    if column is not None and column not in images.frame.columns:
        what = f"image table {images.location!r}"
        raise MissingColumnError.of(what, column, images.frame.columns, "--keeper")


def make_plan(
    settings: Settings,
    inputs: Inputs,
    report: Report,
    materialise: Callable[[DataFrame], DataFrame],
) -> Plan:
    """Find the rows that go, keep them for the rest of the run, and count.

    Args:
        settings: What to do.
        inputs: The pinned inputs.
        report: Gets the counts.
        materialise: Evaluates a frame once, and returns one that reads what came out.

    *Cost:* two scans of the image IDs, and two or three of the lists; one more scan of the IDs for
    lists to keep, for groups, and for following keepers, for IDs that match nothing where these
    are asked for, and two where few match.
    """
    images, lists, column = inputs.images, inputs.lists, settings.image_id_column
    with report.step("scan image IDs"):
        files = id_scan.count_files(images, column)
        id_scan.check_every_file_was_read(images, files)
    image_ids = id_scan.total(files)
    if image_ids.num_rows == 0:
        raise NoImageRowsError(f"image table {images.location!r} has no rows.")
    with report.step("count list entries"):
        list_ids, distinct = removal_plan.count_entries(lists, settings.list_counts)
    report.choose(
        "plan join",
        removal_plan.choose_join(image_ids, list_ids),
        list_bytes=list_ids.broadcast_bytes,
        image_id_bytes=image_ids.broadcast_bytes,
        limit_bytes=removal_plan.BROADCAST_LIMIT_BYTES,
    )
    sizes: _Sizes = {"image_ids": image_ids, "list_ids": list_ids}
    ranking = groups.ranking_of(images.frame, column, settings.keeper_rule)
    with report.step("find rows that go"):
        marking = [_marking(item, ranking) for item in lists]
        found = materialise(removal_plan.find_rows(images, column, marking, **sizes))
    if settings.eps_values:
        with report.step("sweep eps"):
            report.eps_sweep = eps_sweep.sweep(found, files, settings.eps_values)
    keeper_counts = None
    if _NAMING_KEEPERS.intersection(item.kind for item in lists):
        with report.step("follow keepers"):
            own_ids = removal_plan.candidates_of(images, column).select("image_id")
            found, keeper_counts = keepers.settle(
                found, own_ids, ranking, settings.on_lost_keeper, materialise
            )
            report.keepers = keeper_counts.described()
    with report.step("count rows that go"):
        rows = removal_plan.finish_plan(found, lists, images.frame.schema[column].dataType)
        counts = removal_plan.count_plan(rows)
        matched = counts.matched_ids
        if {item.kind for item in lists} - {"remove"}:  # what matched may stay all the same
            matched = removal_plan.count_matched(images, column, lists, **sizes)
    unmatched = None
    if settings.unmatched_output is not None:
        with report.step("find unmatched IDs"):
            unmatched = _record_of_unmatched(inputs, column, sizes, materialise)
    plan = Plan(
        images=images,
        rows=rows,
        counts=counts,
        files=files,
        image_ids=image_ids,
        list_ids=list_ids,
        list_distinct_ids=distinct,
        list_matched_ids=matched,
        keepers=keeper_counts,
        match_hints=(),
        unmatched=unmatched,
    )
    if plan.matches_few:
        with report.step("look why few IDs match"):
            plan = replace(plan, match_hints=_why_few_match(inputs, column, plan, report))
    report.counts |= plan.reported_counts()
    report.bytes["input"] = plan.input_bytes
    return plan


class _Sizes(TypedDict):
    image_ids: IdSizes
    list_ids: IdSizes


def _record_of_unmatched(
    inputs: Inputs,
    column: str,
    sizes: _Sizes,
    materialise: Callable[[DataFrame], DataFrame],
) -> Record:
    found = removal_plan.unmatched_ids(inputs.images, column, inputs.lists, **sizes)
    rows = materialise(found)
    return Record("listed IDs that are not in the image table", rows, rows.count())


def _why_few_match(inputs: Inputs, column: str, plan: Plan, report: Report) -> list[str]:
    """Look for what keeps listed IDs from matching; put it in the report and the log."""
    sizes: _Sizes = {"image_ids": plan.image_ids, "list_ids": plan.list_ids}
    own_ids = removal_plan.candidates_of(inputs.images, column).select("image_id")
    unmatched = removal_plan.unmatched_ids(inputs.images, column, inputs.lists, **sizes)
    hints = why_few_match(own_ids, unmatched)
    report.match_hints = [dataclasses.asdict(hint) for hint in hints]
    texts = [hint.text for hint in hints]
    shown = "; ".join(texts) or "why can't be told"
    _log.warning("only %d listed IDs are in the image table: %s", plan.list_matched_ids, shown)
    return texts


def _marking(item: RemovalList, ranking: Ranking) -> RemovalList:
    """Turn a list's entries into marks of what goes: of groups all but the best."""
    if item.kind != "groups":
        return item
    return replace(item, frame=groups.pairs(item.frame, ranking))


def check_limits(plan: Plan, settings: Settings) -> None:
    """Check a plan against all safety limits.

    Raises:
        SafetyLimitError: It passes one.
    """
    num_ids = plan.list_ids.num_rows - plan.list_ids.num_nulls
    safety_limits.check_list_not_empty(num_ids=num_ids, allow_empty_list=settings.allow_empty_list)
    safety_limits.check_matches(
        num_ids=num_ids,
        matched_ids=plan.list_matched_ids,
        allow_no_matches=settings.allow_no_matches,
        hints=plan.match_hints,
    )
    if plan.keepers is not None and settings.on_lost_keeper == "error":
        safety_limits.check_keepers(plan.keepers)
    safety_limits.check_removed_fraction(
        input_rows=plan.image_ids.num_rows,
        removed_rows=plan.counts.removed_rows,
        max_removed_fraction=settings.max_removed_fraction,
    )


def _check_id_column(images: PinnedTable, column: str) -> None:
    what = f"image table {images.location!r}"
    tables.id_type(images.frame, column, what=what, flag="--image-id-column")
    if images.format == "parquet" and column in images.partition_columns:
        raise ColumnTypeError(
            f"{what}: column {column!r} is kept in directory names, which have no type: "
            "image IDs must be a column of the files."
        )
