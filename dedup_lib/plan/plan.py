"""A removal plan, the table that it is for, and what was counted on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from dedup_lib.plan import removal_plan
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.keepers import KeeperCounts
from dedup_lib.plan.protection import Protection
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.settings import Action
from dedup_lib.tables.pinned import FileRows, PinnedTable

# So small a share of what could match is no accident of two tables that overlap.
_FEW_FRACTION = 0.1


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
