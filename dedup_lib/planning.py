"""Make the removal plan, count, and check it against the limits."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from pyspark.sql import DataFrame

from dedup_lib import (
    eps_sweep,
    groups,
    id_join,
    id_scan,
    keepers,
    list_matches,
    list_sizes,
    logged_rows,
    protection,
    removal_plan,
    safety_limits,
)
from dedup_lib.errors import NoImageRowsError
from dedup_lib.groups import Ranking
from dedup_lib.id_scan import FileRows, IdSizes
from dedup_lib.inputs import Inputs
from dedup_lib.keepers import KeeperCounts
from dedup_lib.match_hints import why_few_match
from dedup_lib.protection import Protection
from dedup_lib.removal_list import RemovalList, is_plain
from dedup_lib.removal_plan import PlanCounts
from dedup_lib.report import Report
from dedup_lib.settings import Action, Settings
from dedup_lib.tables import PinnedTable

_NAMING_KEEPERS = {"pairwise", "groups"}
# Joins of IDs with IDs: hashed where each part of them is small, which takes half of sorting them.
PLAN_SETTINGS = id_scan.SCAN_SETTINGS | {
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "32MB",
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "32MB",
}
# What a list says of an ID costs so much, beside a keeper as long as the ID.
_MARK_BYTES = 64
# So small a share of what could match is no accident of two tables that overlap.
_FEW_FRACTION = 0.1
_log = logging.getLogger(__name__)


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
        matched_by_list: The same of each list.
        keepers: What became of the keepers; None where no list names any.
        protection: What stays whatever the lists say; None where nothing does.
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
    matched_by_list: Sequence[int]
    keepers: KeeperCounts | None
    protection: Protection | None
    match_hints: Sequence[str]
    unmatched: Record | None

    @property
    def records(self) -> dict[str, Record]:
        """What can be kept beside the output, by the setting that says where."""
        rows = removal_plan.without_secrets(self.rows, self.images.root)
        kept = {"removed_output": Record("removal plan", rows, self.counts.removed_rows)}
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
    are asked for, and two where few match; one where IDs are protected, and two of their lists.
    Where Delta is to delete rows, its log.
    """
    return _Planning(settings, inputs, report, materialise).make()


class _Sizes(TypedDict):
    image_ids: IdSizes
    list_ids: IdSizes


@dataclass(frozen=True)
class _Planning:
    """The making of a plan, a step a method."""

    settings: Settings
    inputs: Inputs
    report: Report
    materialise: Callable[[DataFrame], DataFrame]

    def make(self) -> Plan:
        files = self.scan_image_ids()
        sizes, distinct = self.weigh(files)
        ranking = groups.ranking_of(self.images.frame, self.column, self.settings.keeper_rule)
        protected = self.find_protected(sizes["image_ids"])
        found, protected = self.find_rows(ranking, sizes, protected)
        self.sweep_eps(found, files)
        found, keeper_counts = self.follow_keepers(found, ranking)
        rows, counts = self.count(found)
        matched, by_list = self.count_matched(counts, sizes, protected)
        plan = Plan(
            images=self.images,
            rows=rows,
            counts=counts,
            files=files,
            **sizes,
            list_distinct_ids=distinct,
            list_matched_ids=matched,
            matched_by_list=by_list,
            keepers=keeper_counts,
            protection=protected,
            match_hints=(),
            unmatched=self.find_unmatched(sizes),
        )
        self.report.counts |= plan.reported_counts()
        self.report.bytes["input"] = plan.input_bytes
        return replace(plan, match_hints=self.why_few_match(sizes)) if plan.matches_few else plan

    @property
    def images(self) -> PinnedTable:
        return self.inputs.images

    @property
    def lists(self) -> Sequence[RemovalList]:
        return self.inputs.lists

    @property
    def column(self) -> str:
        return self.settings.image_id_column

    @property
    def own_ids(self) -> DataFrame:
        """`image_id`, one row per row of the image table."""
        return id_scan.candidates_of(self.images, self.column).select("image_id")

    def scan_image_ids(self) -> Sequence[FileRows]:
        with self.report.step("scan image IDs"):
            files = logged_rows.scan_image_ids(
                self.images,
                self.column,
                method=self.settings.method,
                materialise=self.materialise,
            )
        if not any(file.num_rows for file in files):
            raise NoImageRowsError(f"image table {self.images.location!r} has no rows.")
        return files

    def weigh(self, files: Sequence[FileRows]) -> tuple[_Sizes, int | None]:
        """Weigh the IDs of both sides, and choose how they are joined."""
        image_ids = id_scan.total(files)
        with self.report.step("count list entries"):
            list_ids, distinct = list_sizes.count_entries(self.lists, self.settings.list_counts)
        if not is_plain(self.lists):  # joined with what lists say of them
            id_bytes = 2 * list_ids.id_bytes + _MARK_BYTES * list_ids.num_rows
            list_ids = replace(list_ids, id_bytes=id_bytes)
        self.report.choose(
            "plan join",
            id_join.choose_join(image_ids, list_ids),
            list_bytes=list_ids.broadcast_bytes,
            image_id_bytes=image_ids.broadcast_bytes,
            limit_bytes=id_join.BROADCAST_LIMIT_BYTES,
        )
        return {"image_ids": image_ids, "list_ids": list_ids}, distinct

    def find_protected(self, image_ids: IdSizes) -> Protection | None:
        lists = self.inputs.protected
        if not lists:
            return None
        with self.report.step("find protected IDs"):
            found = protection.find_protected(self.own_ids, lists, image_ids, self.materialise)
        described = self.report.inputs["protect_ids"]
        for item, of_list in zip(described, found.lists, strict=True):
            item["matched_ids"] = of_list.matched_ids
        return found

    def find_rows(
        self, ranking: Ranking, sizes: _Sizes, protected: Protection | None
    ) -> tuple[DataFrame, Protection | None]:
        """Find the rows that go, but for those that are protected."""
        with self.report.step("find rows that go"):
            marking = [_marking(item, ranking) for item in self.lists]
            found = removal_plan.find_rows(self.images, self.column, marking, **sizes)
            if protected is None:
                return self.materialise(found), None
            found, spared = protection.spare(self.materialise(protected.mark(found)))
        protected = replace(protected, spared=spared)
        self.report.protected = protected.described()
        return found, protected

    def sweep_eps(self, found: DataFrame, files: Sequence[FileRows]) -> None:
        if self.settings.eps_values:
            with self.report.step("sweep eps"):
                swept = eps_sweep.sweep(found, files, self.settings.eps_values)
            self.report.eps_sweep = swept

    def follow_keepers(
        self, found: DataFrame, ranking: Ranking
    ) -> tuple[DataFrame, KeeperCounts | None]:
        if not _NAMING_KEEPERS.intersection(item.kind for item in self.lists):
            return found, None
        on_lost = self.settings.on_lost_keeper
        with self.report.step("follow keepers"):
            settled = keepers.settle(found, self.own_ids, ranking, on_lost, self.materialise)
        self.report.keepers = settled[1].described()
        self.warn_of_keepers(settled[1])
        return settled

    def warn_of_keepers(self, counts: KeeperCounts) -> None:
        if counts.surviving_elsewhere_ids:
            _log.warning(
                "%d images go whose keepers are not in this table: see that they are in another",
                counts.surviving_elsewhere_ids,
            )
        if counts.lost_ids:
            _log.warning(
                "%d images would go with every image that they duplicate (such as %s); spared: %d",
                counts.lost_ids,
                ", ".join(map(repr, counts.examples)),
                counts.spared_ids,
            )

    def count(self, found: DataFrame) -> tuple[DataFrame, PlanCounts]:
        """Give the rows their columns, and count them."""
        id_type = self.images.frame.schema[self.column].dataType
        with self.report.step("count rows that go"):
            rows = removal_plan.finish_plan(found, self.lists, id_type)
            return rows, removal_plan.count_plan(rows)

    def count_matched(
        self, counts: PlanCounts, sizes: _Sizes, protected: Protection | None
    ) -> tuple[int, Sequence[int]]:
        """Count the listed IDs that are in the table, of all lists and of each."""
        if is_plain(self.lists):  # else what matched may stay, protected or not
            spared_ids = 0 if protected is None else protected.spared.num_ids
            matched = counts.matched_ids + spared_ids
            return matched, [matched]
        with self.report.step("count matches"):
            join = id_join.choose_join(**sizes)
            matched, by_list = list_matches.count_matched(self.own_ids, self.lists, join)
        for described, item, num_ids in zip(
            self.report.inputs["duplicate_ids"], self.lists, by_list, strict=True
        ):
            described["matched_ids"] = num_ids
            if num_ids == 0:
                _log.warning("no ID of list %r is in the image table", item.location)
        return matched, by_list

    def find_unmatched(self, sizes: _Sizes) -> Record | None:
        if self.settings.unmatched_output is None:
            return None
        with self.report.step("find unmatched IDs"):
            rows = self.materialise(self.unmatched(sizes))
            return Record("listed IDs that are not in the image table", rows, rows.count())

    def unmatched(self, sizes: _Sizes) -> DataFrame:
        join = id_join.choose_join(**sizes)
        return list_matches.unmatched_ids(self.own_ids, self.lists, join)

    def why_few_match(self, sizes: _Sizes) -> list[str]:
        """Look for what keeps listed IDs from matching; put it in the report and the log."""
        with self.report.step("look why few IDs match"):
            hints = why_few_match(self.own_ids, self.unmatched(sizes))
        self.report.match_hints = [dataclasses.asdict(hint) for hint in hints]
        texts = [hint.text for hint in hints]
        shown = "; ".join(texts) or "nothing was found that would make them match"
        _log.warning("hardly any listed ID is in the image table: %s", shown)
        return texts


def _marking(item: RemovalList, ranking: Ranking) -> RemovalList:
    """Turn a list's entries into marks of what goes: of groups all but the best."""
    if item.kind != "groups":
        return item
    return replace(item, frame=groups.pairs(item.frame, ranking))


def check_limits(plan: Plan, inputs: Inputs, settings: Settings) -> None:
    """Check a plan against all safety limits; for a sweep of eps only that the lists match.

    Raises:
        SafetyLimitError: It passes one.
    """
    check_lists(plan, inputs, settings)
    if settings.eps_values:  # a sweep is a question: the answer is in the report
        return
    safety_limits.check_removed_fraction(
        input_rows=plan.image_ids.num_rows,
        removed_rows=plan.counts.removed_rows,
        max_removed_fraction=settings.max_removed_fraction,
    )


def check_lists(plan: Plan, inputs: Inputs, settings: Settings) -> None:
    """Check what the lists came to against the safety limits, whatever share of the rows goes.

    Raises:
        SafetyLimitError: They pass one.
    """
    num_ids = plan.list_ids.num_rows - plan.list_ids.num_nulls
    safety_limits.check_list_not_empty(
        num_ids=num_ids,
        allow_empty_list=settings.allow_empty_list,
        dissimilar_pairs=sum(
            item.listed_rows or 0 for item in inputs.lists if item.kind == "pairwise"
        ),
    )
    safety_limits.check_lists_to_keep(
        {
            item.location: matched
            for item, matched in zip(inputs.lists, plan.matched_by_list, strict=True)
            if item.kind == "keep"
        },
        allow_no_matches=settings.allow_no_matches,
    )
    if plan.protection is not None:
        safety_limits.check_protected(
            plan.protection.lists,
            allow_empty_list=settings.allow_empty_list,
            allow_no_matches=settings.allow_no_matches,
        )
    safety_limits.check_matches(
        num_ids=num_ids,
        matched_ids=plan.list_matched_ids,
        allow_no_matches=settings.allow_no_matches,
        hints=plan.match_hints,
    )
    must_survive = settings.on_lost_keeper == "error" and not settings.eps_values
    if plan.keepers is not None and must_survive:
        safety_limits.check_keepers(plan.keepers)
