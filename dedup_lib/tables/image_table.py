"""An image table: a pinned table, and the column that holds its image IDs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from dedup_lib.session.conf import SCAN_SETTINGS
from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.tables import id_types
from dedup_lib.tables.columns import RowPlaces
from dedup_lib.tables.id_types import ImageId
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.schema import holds_uuids

# Columns whose IDs are numbers of one run, and who counts.
_COUNTED = {
    "_curator_dedup_id": "NeMo Curator counts the images of each run",
    "key": "if img2dataset wrote it, it is a position in one download",
}


def id_warning(column: str) -> str | None:
    """Return why the IDs of a column may be those of other images; None for other columns."""
    if column not in _COUNTED:
        return None
    return (
        f"the IDs are those of column {column!r}: {_COUNTED[column]}. Another run gives the same "
        "IDs to other images, so make sure that the lists were made from this very table"
    )


@dataclass(frozen=True)
class ImageTable(PinnedTable):
    """A pinned image table.

    Attributes:
        id_column: The column that holds the image IDs.
    """

    id_column: str

    @classmethod
    def of(cls, table: PinnedTable, id_column: str) -> ImageTable:
        """Return a pinned table as an image table; the caller has checked the ID column."""
        return cls(**vars(table), id_column=id_column)

    def described(self) -> dict[str, object]:
        """Return what the report says about the table."""
        return {**super().described(), "id_warning": id_warning(self.id_column)}

    @property
    def id_type(self) -> DataType:
        """The type of the image IDs."""
        return self.frame.schema[self.id_column].dataType

    @property
    def id(self) -> Column:
        """The column `image_id` for conditions and joins: only its values count, not statistics."""
        return values_of(self.id_column).alias("image_id")

    @property
    def stored_id(self) -> Column:
        """The column `image_id` for reading only: statistics may decide a condition on it."""
        return F.col(quoted(self.id_column)).alias("image_id")

    @cached_property
    def id_frame(self) -> DataFrame:
        """The rows of the table, for scans that read next to nothing of a file."""
        return self.table_format.tuned_frame(self, SCAN_SETTINGS)

    def tuned(self, settings: Mapping[str, str]) -> ImageTable:
        """Return the table, to be read as settings say; the caller also sets them."""
        return replace(self, frame=self.table_format.tuned_frame(self, settings))

    @property
    def row_index(self) -> Column:
        """The column `row_index` of `id_frame`: a row's position in its file, NULL if unknown."""
        position = self.id_places.row_index if self.has_row_index else F.lit(None)
        return position.cast("bigint").alias("row_index")

    @property
    def places(self) -> RowPlaces:
        """Where each row of the frame is."""
        return self.table_format.row_places(self.frame)

    @property
    def id_places(self) -> RowPlaces:
        """Where each row of `id_frame` is."""
        return self.table_format.row_places(self.id_frame)

    @property
    def ids_are_uuids(self) -> bool:
        """Whether the ID column has the Parquet type UUID; to Spark it is binary."""
        return any(holds_uuids(schema, self.id_column) for schema in self.file_schemas)

    def shown(self, image_id: Any) -> Any:
        """Return a collected ID as people see it, an `ImageId`; None stays None."""
        return id_types.shown(image_id, is_uuid=self.ids_are_uuids)

    def as_text(self, image_id: Column) -> Column:
        """Return IDs of this table as text that people can read."""
        return id_types.as_text(image_id, self.id_type, is_uuid=self.ids_are_uuids)

    def is_one_of(self, image_id: Column, ids: Iterable[ImageId]) -> Column:
        """Return the condition that an ID is one of a few that people see."""
        return image_id.isin([id_types.stored(one, self.id_type) for one in ids])

    @property
    def num_rows(self) -> int | None:
        """The number of rows, if the IDs were read already."""
        files = () if self.id_table is None else self.id_table.facts.files
        return sum(file.num_rows for file in files) if files else None

    @property
    def table_ids(self) -> DataFrame:
        """`image_id`, one row per row of the table."""
        if self.id_table is not None:
            return self.located_ids.select("image_id")
        return self.id_frame.select(self.id)

    @property
    def located_ids(self) -> DataFrame:
        """`image_id`, `file_path`, `row_index` (NULL if unknown), one row per row of the table."""
        if self.id_table is not None:
            return self.id_table.rows
        file_path = self.id_places.file_path.alias("file_path")
        return self.id_frame.select(self.id, file_path, self.row_index)

    @property
    def compared(self) -> DataFrame:
        """The ID column and those that the plan compares, one row per row of the table.

        There may be more columns.
        """
        if self.id_table is not None and self.id_table.facts.has_all:
            return self.id_table.compared
        return self.frame
