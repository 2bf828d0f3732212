"""Check a removal list against the settings, and select the columns of its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from dedup_lib.errors import ColumnTypeError, SettingsError
from dedup_lib.lists.content import Beside, beside, group_name
from dedup_lib.lists.kinds import recognise
from dedup_lib.lists.shape import ID_FLAG, ListShape
from dedup_lib.session.sql_names import values_of
from dedup_lib.settings import ListKind


class ReadList(NamedTuple):
    """A list that was read.

    Attributes:
        shape: The recognised kind and columns.
        frame: One row per entry, lazily, like the frame of `RemovalList`.
        num_rows: Number of entries; None if unknown.
        listed_rows: Number of entries before `eps` selects pairs; None if unknown.
        beside: The columns beside the IDs whose values tell whether this is a plain list; None if
            there are no such columns, or the user gives the kind.
    """

    shape: ListShape
    frame: DataFrame
    num_rows: int | None
    listed_rows: int | None
    beside: Beside | None = None


@dataclass(frozen=True)
class WantedList:
    """What the settings say about a list.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        kind: The kind that the user gives; None to recognise it.
        id_column: The ID column that the user names; None takes the recognised producer's.
        data_type: The type of the image table's IDs.
        eps: Keep only pairs whose score is at least 1 - eps.
        role: The role of the list in the run, for messages.
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
        """Recognise the kind and columns of the list, or of one file of it.

        Args:
            path: The path of a file, or the path of a table with a slash at the end.
            columns: Names and Spark types of the columns.
            one_file: Whether messages should name this file.
        """
        what = f"{self.what}, file {path!r}" if one_file else self.what
        return recognise(what, path, columns, kind=self.kind, id_column=self.id_column)

    def beside(self, frames: Sequence[DataFrame], shape: ListShape) -> Beside | None:
        """Select the columns beside the IDs that tell whether a list is plain, as it looks."""
        if self.kind is not None or shape.kind != "remove":
            return None
        return beside(frames, shape)

    def entries(self, frame: DataFrame, shape: ListShape) -> DataFrame:
        """Select the columns of the entries, and only pairs that are similar enough."""
        image_id = values_of(shape.id_column)
        named = {"image_id": image_id}
        if shape.keeper_column is not None and shape.score_column is not None:
            # An image without a keeper becomes its own keeper, and so counts as lost.
            named["keeper_id"] = F.coalesce(values_of(shape.keeper_column), image_id)
            named["score"] = values_of(shape.score_column).cast("double")
        if shape.group_column is not None:
            named["group_id"] = group_name(values_of(shape.group_column))
        entries = frame.select(*(column.alias(name) for name, column in named.items()))
        if shape.kind != "pairwise":
            return entries
        if self.eps is None:
            raise SettingsError(
                f"{self.what} holds pairs with scores: set with --eps how similar an image and its "
                "duplicate must be (a score of at least 1 - EPS removes the image)."
            )
        # Compare in 64 bits, like pandas' filter for Parquet (pyarrow). Spark sorts NaN as the
        # largest value, but a pair with NaN is not similar.
        score = F.col("score")
        return entries.where(~F.isnan(score) & (score >= F.lit(1.0 - self.eps)))

    def check_types(self, schema: StructType, shape: ListShape, where: str = "") -> None:
        """Check the types of IDs, keepers and scores.

        Raises:
            ColumnTypeError: A column has the wrong type.
        """
        wanted = self.data_type.simpleString()
        advice = {
            shape.id_column: f"the list with {wanted} IDs, or name another column with {ID_FLAG}",
            shape.keeper_column: f"each pair's keeper as {wanted}",
        }
        for column, how in advice.items():
            if column is not None and (found := schema[column].dataType.simpleString()) != wanted:
                raise ColumnTypeError(
                    f"{self.what}: column {column!r} is {found}{where}, but the image IDs are "
                    f"{wanted}. IDs are never cast implicitly: write {how}."
                )
        if shape.score_column is not None:
            found = schema[shape.score_column].dataType.simpleString()
            if found not in ("float", "double"):
                raise ColumnTypeError(
                    f"{self.what}: column {shape.score_column!r} is {found}{where}, "
                    "and must be a score (float or double)."
                )
