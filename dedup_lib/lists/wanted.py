"""What a removal list must be, and an entry's columns: ID, and keeper, score or group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from dedup_lib.errors import ColumnTypeError, SettingsError
from dedup_lib.lists.kinds import recognise
from dedup_lib.lists.shape import ID_FLAG, ListShape
from dedup_lib.session.sql_names import values_of
from dedup_lib.settings import ListKind


class ReadList(NamedTuple):
    """A list that was read.

    Attributes:
        shape: What it was taken for.
        frame: One row per entry, lazily, as `RemovalList` has it.
        num_rows: How many; None where that is not known.
        listed_rows: How many there were before `eps` chose; None where that is not known.
    """

    shape: ListShape
    frame: DataFrame
    num_rows: int | None
    listed_rows: int | None


@dataclass(frozen=True)
class WantedList:
    """What a list must be.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        kind: What the user says it is; None where it is to be recognised.
        id_column: The ID column that the user names; None takes the recognised producer's.
        data_type: The type of the image table's IDs.
        eps: Of pairs those count whose score is at least 1 - eps.
        role: What the list is to the run, for messages.
    """

    location: str
    kind: ListKind | None
    id_column: str | None
    data_type: DataType
    eps: float | None
    role: str = "removal list"

    @property
    def what(self) -> str:
        """The list, for messages."""
        return f"{self.role} {self.location!r}"

    def recognise(self, path: str, columns: Mapping[str, str], *, one_file: bool) -> ListShape:
        """Tell what the list, or one file of it, is.

        Args:
            path: Of a file, or of what holds them and a slash.
            columns: Name to type, as Spark spells types.
            one_file: Whether that file alone is meant.
        """
        what = f"{self.what}, file {path!r}" if one_file else self.what
        return recognise(what, path, columns, kind=self.kind, id_column=self.id_column)

    def entries(self, frame: DataFrame, shape: ListShape) -> DataFrame:
        """Select an entry's columns, and of pairs those that are similar enough."""
        image_id = values_of(shape.id_column)
        named = {"image_id": image_id}
        if shape.keeper_column is not None and shape.score_column is not None:
            # Without a keeper an image would go unproved: as its own it counts as lost.
            named["keeper_id"] = F.coalesce(values_of(shape.keeper_column), image_id)
            named["score"] = values_of(shape.score_column).cast("double")
        if shape.group_column is not None:
            named["group_id"] = values_of(shape.group_column).cast("string")
        entries = frame.select(*(column.alias(name) for name, column in named.items()))
        if shape.kind != "pairwise":
            return entries
        if self.eps is None:
            raise SettingsError(
                f"{self.what} holds pairs with scores: say with --eps from which similarity on an "
                "image is a duplicate (it goes when its score is at least 1 - EPS)."
            )
        # As pandas' filter for Parquet (pyarrow) compares: in 64 bits; and NaN, which Spark takes
        # for the largest, is not alike.
        score = F.col("score")
        return entries.where(~F.isnan(score) & (score >= F.lit(1.0 - self.eps)))

    def check_types(self, schema: StructType, shape: ListShape, where: str = "") -> None:
        """Check the types of IDs, keepers and scores.

        Raises:
            ColumnTypeError: One can't be used.
        """
        wanted = self.data_type.simpleString()
        advice = {
            shape.id_column: f"the list with {wanted} IDs, or name another column with {ID_FLAG}",
            shape.keeper_column: f"each pair's keeper as {wanted}, too",
        }
        for column, how in advice.items():
            if column is not None and (found := schema[column].dataType.simpleString()) != wanted:
                raise ColumnTypeError(
                    f"{self.what}: column {column!r} is {found}{where}, but the image IDs are "
                    f"{wanted}. Nothing is cast in silence: write {how}."
                )
        if shape.score_column is not None:
            found = schema[shape.score_column].dataType.simpleString()
            if found not in ("float", "double"):
                raise ColumnTypeError(
                    f"{self.what}: column {shape.score_column!r} is {found}{where}, and no score."
                )
