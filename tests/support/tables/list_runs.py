"""Ask many lists at once what a run makes of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import DedupError
from dedup_lib.plan.inputs import ListReader
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables.image_table import ImageTable
from tests.support.tables.pinned import pinned_images


@dataclass(frozen=True)
class ListRuns:
    """Runs over one image table that only make a plan.

    Attributes:
        spark: The session.
        images: The image table, a file.
        work: A folder for plans.
    """

    spark: SparkSession
    images: Path
    work: Path

    def pinned(self, id_column: str) -> ImageTable:
        """Pin the image table; its IDs are in this column."""
        return pinned_images(self.spark, self.images, id_column)

    def stop(self, images: ImageTable, item: DuplicateIds, **settings: Any) -> DedupError | None:
        """Read a list as a run does before it plans, and return the error that stops the run."""
        session = Session(self.spark, open_storage(self.spark))
        asked = self._settings(images.id_column, [item], **settings)
        try:
            list(ListReader(session, asked).read_lists(images))
        except DedupError as error:
            return error
        return None

    def removed(
        self, id_column: str, lists: Sequence[DuplicateIds], **settings: Any
    ) -> Mapping[str, set[Any]]:
        """Plan the removal of all lists, and return the IDs that each removes, by location."""
        plan = self.work / f"plan-{len(list(self.work.iterdir()))}"
        # Lists that choose other keepers contradict each other. What each of them says stays.
        settings = {"max_removed_fraction": 1.0, "on_lost_keeper": "ignore"} | settings
        run(self.spark, self._settings(id_column, lists, removed_output=str(plan), **settings))
        found: dict[str, set[Any]] = defaultdict(set)
        for row in pq.read_table(plan).to_pylist():
            for reason in row["reasons"]:
                found[reason["list_location"].removeprefix("file:")].add(row["image_id"])
        return found

    def _settings(self, id_column: str, lists: Sequence[DuplicateIds], **settings: Any) -> Settings:
        given = {"images": str(self.images), "image_id_column": id_column, "dry_run": True}
        return Settings(duplicate_ids=tuple(lists), **(given | settings))
