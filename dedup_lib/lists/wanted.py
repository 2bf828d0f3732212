"""Check a removal list against the settings, and select the columns of its entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType, StructType

from dedup_lib.errors import ColumnTypeError, MissingColumnError
from dedup_lib.lists.content import Beside, beside, group_name
from dedup_lib.lists.kinds import recognise
from dedup_lib.lists.scores import is_alike, meaning_of, similarity
from dedup_lib.lists.shape import ID_FLAG, NO_GROUP, ListShape
from dedup_lib.lists.suggestions import advised
from dedup_lib.session.sql_names import values_of
from dedup_lib.session.storage import FileInfo
from dedup_lib.settings import DuplicateIds
from dedup_lib.tables.id_types import as_text


class ReadList(NamedTuple):
    """A list that was read.

    Attributes:
        shape: The recognised kind and columns.
        frame: One row per entry, lazily, like the frame of `RemovalList`.
        pairs: All pairs, also those that are not alike, like `RemovalList.pairs`.
        num_rows: Number of entries; None if unknown.
        listed_rows: Number of entries before a limit selects pairs; None if unknown.
        beside: The columns beside the IDs whose values tell whether this is a plain list; None if
            there are no such columns, or the user gives the kind.
        header: The first line of the ID column, which may be an ID instead of its name; None if it
            can't be one.
        more_files: Files that were read besides those of the list.
    """

    shape: ListShape
    frame: DataFrame
    pairs: DataFrame | None
    num_rows: int | None
    listed_rows: int | None
    beside: Beside | None = None
    header: str | None = None
    more_files: Sequence[FileInfo] = ()


@dataclass(frozen=True)
class WantedList:
    """What the settings say about a list.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        asked: What the user says about the list.
        data_type: The type of the image table's IDs.
        eps: Keep only pairs whose similarity is at least 1 - eps.
        role: The role of the list in the run, for messages.
        image_ids: Returns `image_id`, one row per row of the image table; None if no error needs
            it.
    """

    location: str
    asked: DuplicateIds
    data_type: DataType
    eps: float | None
    role: str = "removal list"
    image_ids: Callable[[], DataFrame] | None = None

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
        shape = recognise(what, path, columns, self.asked)
        if shape.score_column is None:
            return shape
        meaning = meaning_of(
            what,
            shape.score_column,
            asked=self.asked.score_means,
            eps=self.eps,
            max_distance=self.asked.max_distance,
        )
        return replace(shape, score_means=meaning)

    def advised(self, error: MissingColumnError, rows: DataFrame) -> MissingColumnError:
        """Return the error with the column that may be meant, by what the columns of rows hold."""
        if self.image_ids is None or error.column is None:
            return error
        return advised(error, rows, self.asked, self.image_ids())

    def beside(self, frames: Sequence[DataFrame], shape: ListShape) -> Beside | None:
        """Select the columns beside the IDs that tell whether a list is plain, as it looks."""
        if self.asked.is_explained or shape.kind != "remove":
            return None
        return beside(frames, shape)

    def select(self, frame: DataFrame, shape: ListShape) -> DataFrame:
        """Select the columns of the entries: all rows, with raw scores.

        *Nulls:* an image that is its own keeper, or partner, has none. So has an image with one of
        the values that name no group.
        """
        image_id = values_of(shape.id_column)
        named = {"image_id": image_id}
        for name, column in (
            ("keeper_id", shape.keeper_column),
            ("partner_id", shape.partner_column),
        ):
            if column is not None:
                named[name] = self._other(values_of(column), image_id, shape)
        if shape.score_column is not None:
            named["score"] = values_of(shape.score_column).cast("double")
        if shape.group_column is not None:
            of = frame.schema[shape.group_column].dataType
            named["group_id"] = group_name(values_of(shape.group_column), of)
        return frame.select(*(column.alias(name) for name, column in named.items()))

    def _other(self, other: Column, image_id: Column, shape: ListShape) -> Column:
        """Return the other image of a pair."""
        if shape.names_only_duplicates:  # so an image without a keeper counts as lost
            return F.coalesce(other, image_id)
        is_none = as_text(other, self.data_type).isin(*NO_GROUP)
        return F.when((other != image_id) & ~is_none, other)

    def entries(self, rows: DataFrame, shape: ListShape) -> DataFrame:
        """Choose the entries of a list: only pairs that are alike, with similarities as scores.

        A pair with partners is two entries, one for each image.

        Args:
            rows: The rows of `select`.
            shape: The recognised shape.
        """
        if shape.score_column is not None:
            rows = self._alike(rows, shape)
        if shape.keeper_column is not None:  # an image without another one stays
            return rows.where(F.col("keeper_id").isNotNull())
        if shape.partner_column is None:
            return rows
        back = {"image_id": F.col("partner_id"), "partner_id": F.col("image_id")}
        return rows.unionByName(rows.where("partner_id IS NOT NULL").withColumns(back))

    def _alike(self, rows: DataFrame, shape: ListShape) -> DataFrame:
        meaning, score = shape.score_means, F.col("score")
        limit = self.eps if meaning == "similarity" else self.asked.max_distance
        if limit is None:
            raise TypeError("pairs with scores have a limit")
        alike = rows.where(is_alike(score, meaning, limit))
        return alike.withColumn("score", similarity(score, meaning))

    def check_types(self, schema: StructType, shape: ListShape, where: str = "") -> None:
        """Check the types of IDs, keepers and scores.

        Raises:
            ColumnTypeError: A column has the wrong type.
        """
        wanted = self.data_type.simpleString()
        advice = {
            shape.id_column: f"the list with {wanted} IDs, or name another column with {ID_FLAG}",
            shape.other_id_column: f"the other image of each pair as {wanted}",
        }
        for column, how in advice.items():
            if column is not None and (found := schema[column].dataType.simpleString()) != wanted:
                raise ColumnTypeError(
                    f"{self.what}: column {column!r} is {found}{where}, but the image IDs are "
                    f"{wanted}. IDs are never cast implicitly: write {how}."
                )
        if shape.score_column is not None:
            of_scores = schema[shape.score_column].dataType
            if not isinstance(of_scores, NumericType):
                raise ColumnTypeError(
                    f"{self.what}: column {shape.score_column!r} is {of_scores.simpleString()}"
                    f"{where}, and must be a score (a number)."
                )
