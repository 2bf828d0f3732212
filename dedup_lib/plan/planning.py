"""Make the removal plan, and count."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from pyspark.sql import DataFrame

from dedup_lib.errors import NoImageRowsError
from dedup_lib.lists.removal_list import RemovalList, is_plain
from dedup_lib.plan import (
    eps_sweep,
    groups,
    id_join,
    id_scan,
    keepers,
    list_counts,
    list_sizes,
    protection,
    removal_plan,
)
from dedup_lib.plan.groups import Ranking
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.inputs import Inputs
from dedup_lib.plan.keepers import KeeperCounts
from dedup_lib.plan.match_hints import why_few_match
from dedup_lib.plan.plan import Plan, Record
from dedup_lib.plan.protection import Protection
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.report import Report
from dedup_lib.session.conf import SCAN_SETTINGS
from dedup_lib.settings import Settings
from dedup_lib.tables.pinned import FileRows, PinnedTable

_NAMING_KEEPERS = {"pairwise", "groups"}
# Joins of IDs with IDs: hashed where each part of them is small, which takes half of sorting them.
PLAN_SETTINGS = SCAN_SETTINGS | {
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "32MB",
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "32MB",
}
# What a list says of an ID costs so much, beside a keeper as long as the ID.
_MARK_BYTES = 64
_log = logging.getLogger(__name__)


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
            files = id_scan.scan_image_ids(
                self.images,
                self.column,
                moves_images=self.settings.method_traits.moves_images,
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
            matched, by_list = list_counts.count_matched(self.own_ids, self.lists, join)
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
        return list_counts.unmatched_ids(self.own_ids, self.lists, join)

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
