"""A removal plan, with its image table and the counts of planning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.plan import id_scan, removal_plan
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.keepers import KeeperCounts
from dedup_lib.plan.match_hints import MatchHint
from dedup_lib.plan.protection import Protection
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.settings import Action
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable

# A smaller share of matches suggests that list and table spell IDs in different ways.
_FEW_FRACTION = 0.1


@dataclass(frozen=True)
class Record:
    """Rows that a run keeps beside its output: a description, the rows, and their number."""

    holds: str
    rows: DataFrame
    num_rows: int


@dataclass(frozen=True)
class Plan:
    """A materialised removal plan, with its image table and the counts of planning.

    Attributes:
        images: The image table.
        rows: One row per image row to remove, with the columns of `removal_plan.plan_schema`.
        counts: The counts of the plan's rows.
        files: Rows and sizes of the image table's files.
        image_ids: Sizes of the image IDs.
        list_ids: Sizes of all list entries together.
        list_distinct_ids: Number of distinct listed IDs; None if they were not counted.
        list_matched_ids: Number of distinct listed IDs that are in the image table.
        matched_by_list: The same number for each list.
        keepers: The counts on keepers; None if no list names keepers.
        protection: The protected IDs; None if no list protects IDs.
        match_hints: Possible reasons why only few listed IDs are in the table; None if enough IDs
            are.
        unmatched: The listed IDs that are not in the table, one row per list and ID: `image_id`,
            `list_location`, `list_kind`; for binary IDs also `image_id_text`. None if the settings
            do not ask for them.
        join: How IDs were joined (`chosen`), and the numbers that decided; empty for a kept plan.
        eps_sweep: The counts for each of several eps values; None if there are not several.
        kept_facts: For a kept plan, the facts in the report of the run that kept it.
    """

    images: ImageTable
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
    match_hints: Sequence[MatchHint] | None
    unmatched: Record | None
    join: Mapping[str, Any] = field(default_factory=dict)
    eps_sweep: list[dict[str, Any]] | None = None
    kept_facts: Mapping[str, Any] | None = None

    @property
    def records(self) -> dict[str, Record]:
        """The rows that can be kept beside the output, by setting name."""
        rows = removal_plan.with_texts(self.rows, self.images)
        rows = removal_plan.without_secrets(rows, self.images.root)
        kept = {"removed_output": Record("removal plan", rows, self.counts.removed_rows)}
        return kept if self.unmatched is None else {**kept, "unmatched_output": self.unmatched}

    @property
    def hint_texts(self) -> list[str]:
        """The possible reasons why only few IDs match, as sentences without a full stop."""
        no_ids = id_scan.why_without_ids(self.images, self.image_ids)
        return [hint for hint in (no_ids, *(hint.text for hint in self.match_hints or ())) if hint]

    @property
    def matches_few(self) -> bool:
        """Whether only few IDs match, compared with the smaller of list and table."""
        list_ids, image_ids = self.list_ids, self.image_ids
        listed = self.list_distinct_ids or list_ids.num_rows - list_ids.num_nulls
        could_match = min(listed, image_ids.num_rows - image_ids.num_nulls)
        return self.list_matched_ids < _FEW_FRACTION * could_match

    @property
    def kept_rows(self) -> int:
        """The number of rows that stay."""
        return self.image_ids.num_rows - self.counts.removed_rows

    @property
    def removed_ids(self) -> DataFrame:
        """One row per ID to remove: `image_id`."""
        return self.rows.select("image_id").distinct()

    @property
    def input_bytes(self) -> int:
        """Size of the image table's data files; for Delta only of files that hold a row."""
        return sum(file.size_bytes for file in self.images.files or self.files)

    def hash_of_removed(self) -> int:
        """Return a hash of the IDs of all rows to remove, as `id_scan.hash_of` does."""
        return id_scan.hash_of(self.rows.select("image_id"))

    def output_rows(self, action: Action) -> int:
        """Return the number of rows of this action's output."""
        rows = {"remove": self.kept_rows, "extract": self.counts.removed_rows}
        return rows.get(action, self.image_ids.num_rows)

    def reported_counts(self) -> dict[str, int | None]:
        """Return the report's counts that are known before rows are written."""
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

    def reported_facts(self) -> dict[str, Any]:
        """Return the report's facts about the plan, besides its counts, by the report's keys."""
        if self.kept_facts is not None:
            return dict(self.kept_facts)
        hints = self.match_hints
        return {
            "keepers": None if self.keepers is None else self.keepers.described(),
            "protected": None if self.protection is None else self.protection.described(),
            "eps_sweep": self.eps_sweep,
            "match_hints": None if hints is None else [dataclasses.asdict(hint) for hint in hints],
        }
