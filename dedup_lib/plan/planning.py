"""Make the removal plan from the image IDs and the lists."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from pyspark.sql import DataFrame

from dedup_lib.errors import NoImageRowsError
from dedup_lib.lists.entries import warn_of_groups
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
from dedup_lib.plan.match_hints import MatchHint, why_few_match
from dedup_lib.plan.plan import Plan, Record
from dedup_lib.plan.protection import Protection
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.session.conf import SCAN_SETTINGS, tuned_for_rows, tuning_settings
from dedup_lib.session.progress import Step
from dedup_lib.settings import Settings
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable

_NAMING_KEEPERS = {"pairwise", "groups"}
# Hash joins of IDs if each partition is small: they take half the time of sort joins. A hash table
# takes ten times the bytes of its shuffled IDs, or more, and can't be spilled.
PLAN_SETTINGS = SCAN_SETTINGS | {
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "8MB",
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "8MB",
    # A condition on a field that stands beside an image, such as image.path, reads only that field.
    "spark.sql.optimizer.nestedSchemaPruning.enabled": "true",
}
# Bytes of a list mark in a broadcast, besides the ID and a keeper of the same length.
_MARK_BYTES = 64
_log = logging.getLogger(__name__)


def make_plan(
    settings: Settings,
    inputs: Inputs,
    step: Step,
    materialise: Callable[[DataFrame], DataFrame],
) -> Plan:
    """Find and count the rows to remove, and materialise them for the rest of the run.

    Args:
        settings: The run's settings.
        inputs: The pinned inputs.
        step: Times a step.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    *Cost:* if there is no ID table, one scan of the image table makes it. Then one scan of the ID
    table, and two or three of the lists. Each of these adds a scan of the ID table: lists to keep,
    groups, following keepers, unmatched IDs if asked for, and protected IDs, which also take two
    scans of their lists. --protect-where also takes one, and adds its columns to those that rank
    images; if these are nested, long or in directory names, the image table may be scanned for
    them. If few IDs match, there are two more scans. If Delta will delete rows, its log is read.
    """
    with step("scan image IDs"):
        images = id_scan.read_ids(inputs.images, settings, materialise)
    inputs = replace(inputs, images=images)
    return _Planning(settings, inputs, step, materialise).make()


class _Sizes(TypedDict):
    image_ids: IdSizes
    list_ids: IdSizes


@dataclass(frozen=True)
class _Planning:
    """Makes a plan: each method is a step."""

    settings: Settings
    inputs: Inputs
    step: Step
    materialise: Callable[[DataFrame], DataFrame]

    def make(self) -> Plan:
        files = self.count_files()
        spark = self.images.frame.sparkSession
        lists = (*self.lists, *self.inputs.protected)
        rows = [id_scan.total(files).num_rows, *(item.listed_rows for item in lists)]
        with tuned_for_rows(spark, *rows):
            sizes, distinct, join = self.weigh(files)
            with tuning_settings(spark, id_join.shuffle_settings(spark, join["chosen"], **sizes)):
                return self.find_all(files, sizes, distinct, join)

    def find_all(
        self,
        files: Sequence[FileRows],
        sizes: _Sizes,
        distinct: int | None,
        join: dict[str, Any],
    ) -> Plan:
        """Find all that the plan says, now that the sizes are known."""
        ranking = groups.ranking_of(
            self.images, self.settings.keeper_rules, self.settings.protected_rows
        )
        protected = self.find_protected(sizes["image_ids"])
        found, protected = self.find_rows(ranking, sizes, protected)
        swept = self.sweep_eps(found, files)
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
            match_hints=None,
            unmatched=self.find_unmatched(sizes),
            join=join,
            eps_sweep=swept,
        )
        return replace(plan, match_hints=self.why_few_match(sizes)) if plan.matches_few else plan

    @property
    def images(self) -> ImageTable:
        return self.inputs.images

    @property
    def lists(self) -> Sequence[RemovalList]:
        return self.inputs.lists

    def count_files(self) -> Sequence[FileRows]:
        files = id_scan.scan_image_ids(self.images, self.settings, self.materialise)
        if not any(file.num_rows for file in files):
            raise NoImageRowsError(f"image table {self.images.location!r} has no rows.")
        if (warning := id_scan.why_without_ids(self.images, id_scan.total(files))) is not None:
            _log.warning("%s", warning)
        return files

    def weigh(self, files: Sequence[FileRows]) -> tuple[_Sizes, int | None, dict[str, Any]]:
        """Measure the IDs of both sides, and choose how to join them."""
        image_ids = id_scan.total(files)
        with self.step("count list entries"):
            list_ids, distinct = list_sizes.count_entries(self.lists, self.settings.list_counts)
        if not is_plain(self.lists):  # IDs are joined together with their marks
            id_bytes = 2 * list_ids.id_bytes + _MARK_BYTES * list_ids.num_rows
            list_ids = replace(list_ids, id_bytes=id_bytes)
        join = {
            "chosen": id_join.choose_join(image_ids, list_ids),
            "list_bytes": list_ids.broadcast_bytes,
            "image_id_bytes": image_ids.broadcast_bytes,
            "limit_bytes": id_join.BROADCAST_LIMIT_BYTES,
        }
        _log.debug("plan join: %s", join)
        return {"image_ids": image_ids, "list_ids": list_ids}, distinct, join

    def find_protected(self, image_ids: IdSizes) -> Protection | None:
        lists, condition = self.inputs.protected, self.settings.protected_rows
        if not lists and condition is None:
            return None
        with self.step("find protected IDs"):
            return protection.find_protected(
                self.images, lists, condition, image_ids, self.materialise
            )

    def find_rows(
        self, ranking: Ranking, sizes: _Sizes, protected: Protection | None
    ) -> tuple[DataFrame, Protection | None]:
        """Find the rows to remove, without the protected ones."""
        with self.step("find rows that go"):
            marking = [self.marking(item, ranking) for item in self.lists]
            found = removal_plan.find_rows(self.images, marking, **sizes)
            if protected is None:
                return self.materialise(found), None
            found, spared = protection.spare(self.materialise(protected.mark(found)))
        return found, replace(protected, spared=spared)

    def marking(self, item: RemovalList, ranking: Ranking) -> RemovalList:
        """Turn groups into pairs; leave other lists as they are."""
        if item.kind != "groups":
            return item
        members = item.frame
        if item.shape.partner_column is not None:
            members = self.materialise(groups.members_of(members, self.materialise))
            warn_of_groups(item.location, members)
        return replace(item, frame=groups.pairs(members, ranking))

    def sweep_eps(self, found: DataFrame, files: Sequence[FileRows]) -> list[dict[str, Any]] | None:
        if not self.settings.eps_values:
            return None
        with self.step("sweep eps"):
            scored_by = [
                index for index, item in enumerate(self.lists) if item.shape.has_similarities
            ]
            return eps_sweep.sweep(found, files, self.settings.eps_values, scored_by)

    def follow_keepers(
        self, found: DataFrame, ranking: Ranking
    ) -> tuple[DataFrame, KeeperCounts | None]:
        if not _NAMING_KEEPERS.intersection(item.kind for item in self.lists):
            return found, None
        on_lost = self.settings.on_lost_keeper
        with self.step("follow keepers"):
            rows, counts = keepers.resolve_keepers(
                found, self.images.table_ids, ranking, on_lost, self.materialise
            )
        counts = replace(counts, examples=tuple(map(self.images.shown, counts.examples)))
        self.warn_of_keepers(counts)
        return rows, counts

    def warn_of_keepers(self, counts: KeeperCounts) -> None:
        if counts.surviving_elsewhere_ids:
            _log.warning(
                "%d removed images have a survivor only outside this table: make sure it exists",
                counts.surviving_elsewhere_ids,
            )
        if counts.lost_ids:
            _log.warning(
                "%d images would be lost with all their duplicates (such as %s); spared: %d",
                counts.lost_ids,
                ", ".join(map(repr, counts.examples)),
                counts.spared_ids,
            )

    def count(self, found: DataFrame) -> tuple[DataFrame, PlanCounts]:
        """Add the columns of a plan to the rows, and count them."""
        with self.step("count rows that go"):
            rows = removal_plan.finish_plan(found, self.lists, self.images.id_type)
            return rows, removal_plan.count_plan(rows)

    def count_matched(
        self, counts: PlanCounts, sizes: _Sizes, protected: Protection | None
    ) -> tuple[int, Sequence[int]]:
        """Count the listed IDs that are in the table, for all lists and for each."""
        if is_plain(self.lists):  # with other lists a matched ID may stay for other reasons
            spared_ids = 0 if protected is None else protected.spared.num_ids
            matched = counts.matched_ids + spared_ids
            return matched, [matched]
        with self.step("count matches"):
            join = id_join.choose_join(**sizes)
            matched, by_list = list_counts.count_matched(self.images.table_ids, self.lists, join)
        for item, num_ids in zip(self.lists, by_list, strict=True):
            if num_ids == 0:
                _log.warning("no ID of list %r is in the image table", item.location)
        return matched, by_list

    def find_unmatched(self, sizes: _Sizes) -> Record | None:
        if self.settings.unmatched_output is None:
            return None
        with self.step("find unmatched IDs"):
            rows = self.materialise(removal_plan.with_texts(self.unmatched(sizes), self.images))
            return Record("listed IDs that are not in the image table", rows, rows.count())

    def unmatched(self, sizes: _Sizes) -> DataFrame:
        join = id_join.choose_join(**sizes)
        return list_counts.unmatched_ids(self.images.table_ids, self.lists, join)

    def why_few_match(self, sizes: _Sizes) -> list[MatchHint]:
        """Look for reasons why listed IDs do not match, and log them."""
        with self.step("look why few IDs match"):
            hints = why_few_match(self.images.table_ids, self.unmatched(sizes))
        shown = "; ".join(hint.text for hint in hints) or "no reason was found"
        _log.warning("hardly any listed ID is in the image table: %s", shown)
        return hints
