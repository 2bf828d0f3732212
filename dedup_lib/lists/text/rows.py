"""The rows of a list in text: what their values are, and the entries that they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, NumericType

from dedup_lib.errors import ColumnTypeError, MissingColumnError
from dedup_lib.lists.text.lines import BYTES, NUMBER
from dedup_lib.lists.wanted import ReadList, WantedList
from dedup_lib.session.spark_session import literal_rows
from dedup_lib.session.sql_names import quoted
from dedup_lib.session.storage import FileInfo

_WHOLE = r"[+-]?\d+(\.0*)?|[+-]?[nN][aA][nN]"
_TIME = r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?"


@dataclass(frozen=True)
class TextRows:
    """The rows of a list in text.

    Attributes:
        frame: One row per entry, lazily: the columns of `types`, each as text or of its type.
        types: For each column, the Spark type that describes its values best.
        holds: For each column, the types of all its values. They can be taken for each of these.
        num_rows: The number of rows.
        path: The path of one of the files.
        find: Raises an error with the line in which a value of a column is not of a type; returns
            if there is no such line.
        told: What the form says about the list: fields of `DuplicateIds`.
        producer: The program that writes such lists, in words; None if it is not known.
        has_header: Whether the names of the columns are a line that could also be a row.
        more_files: The files that were also read.
    """

    frame: DataFrame
    types: Mapping[str, str]
    holds: Mapping[str, frozenset[str]]
    num_rows: int
    path: str
    find: Callable[[Mapping[str, str]], None] = lambda _: None
    told: Mapping[str, Any] = field(default_factory=dict)
    producer: str | None = None
    has_header: bool = False
    more_files: Sequence[FileInfo] = ()

    def refuse(self, what: str, column: str, of: str) -> NoReturn:
        """Refuse the values of a column.

        Raises:
            ColumnTypeError: A value is not of the type.
        """
        self.find({column: of})
        raise ColumnTypeError(f"{what}: column {column!r} has values that are not {of}.")


def measure(frame: DataFrame, id_type: DataType, path: str) -> TextRows:
    """Find the types of columns of text.

    Args:
        frame: The rows, with columns of text.
        id_type: The type of the image IDs.
        path: The path of one of the files.

    *Cost:* one pass.
    """
    columns = frame.columns
    tests = [
        F.struct(*_tests(F.col(quoted(name)), id_type)).alias(f"{n}")
        for n, name in enumerate(columns)
    ]
    found = frame.agg(F.count(F.lit(1)).alias("rows"), *tests).collect()[0]
    of = id_type.simpleString()
    types, holds = {}, {}
    for index, name in enumerate(columns):
        types[name], holds[name] = _types(found[str(index)].asDict(), of)
    return TextRows(frame, types, holds, found["rows"], path)


def _tests(value: Column, id_type: DataType) -> list[Column]:
    is_number = isinstance(id_type, NumericType)
    # Only a number's own spelling is a number: not 007, 7.0, +7, or a blank before it.
    own = value.try_cast(id_type).cast("string") == value if is_number else F.lit(False)
    if isinstance(id_type, BinaryType):
        own = value.rlike(rf"^({BYTES})\z")
    tests = {
        "id": own,
        "double": value.rlike(rf"^({NUMBER})\z"),
        "whole": value.rlike(rf"^({_WHOLE})\z"),
        "boolean": F.lower(value).isin("true", "false"),
        "timestamp": value.rlike(rf"^({_TIME})\z"),
    }
    return [
        F.count(value).alias("values"),
        *(F.count_if(test).alias(name) for name, test in tests.items()),
    ]


def _types(found: Mapping[str, int], id_type: str) -> tuple[str, frozenset[str]]:
    """Return the type that describes a column's values best, and all that they can be taken for."""
    names = {"id": id_type, "double": "double", "boolean": "boolean", "timestamp": "timestamp"}
    fit = {of for name, of in names.items() if found[name] == found["values"]}
    holds = frozenset({"string", *fit, *({id_type} if found["values"] == 0 else ())})
    if found["values"] == 0:
        return "void", holds
    is_fractional = "double" in fit and found["whole"] < found["values"]
    ranked = ("boolean", "timestamp", id_type, *(["double"] if is_fractional else []))
    return next((of for of in ranked if of in fit), "string"), holds


def entries_of(rows: TextRows, wanted: WantedList) -> ReadList:
    """Recognise a list by its columns, and read its entries.

    Raises:
        ColumnTypeError: A value is not of the type of the image IDs, or a score is no number.
        MissingColumnError: A column is missing; the error names those that hold image IDs.
        InputError: As for `WantedList.recognise`.
    """
    is_named = wanted.asked.id_column is not None
    wanted = replace(wanted, asked=replace(wanted.asked, **rows.told))
    try:
        shape = wanted.recognise(rows.path, rows.types, one_file=False)
    except MissingColumnError as error:
        raise wanted.advised(error, _typed(rows.frame, rows.types)) from None
    if rows.producer is not None:
        shape = replace(shape, producer=rows.producer)
    id_type = wanted.data_type.simpleString()
    wanted_types = {
        column: of
        for column, of in (
            (shape.score_column, "double"),
            (shape.other_id_column, id_type),
            (shape.id_column, id_type),
        )
        if column is not None
    }
    for column, of in wanted_types.items():
        if of not in rows.holds[column]:
            rows.refuse(wanted.what, column, of)
    types = {**rows.types, **wanted_types}
    if shape.group_column is not None:
        types[shape.group_column] = "string"
    frame = _typed(rows.frame, types)
    wanted.check_types(frame.schema, shape)
    selected = wanted.select(frame, shape)
    are_pairs = shape.other_id_column is not None
    return ReadList(
        shape,
        wanted.entries(selected, shape),
        selected if are_pairs else None,
        None if are_pairs else rows.num_rows,
        rows.num_rows,
        wanted.beside([frame], shape),
        shape.id_column if rows.has_header and not is_named else None,
        rows.more_files,
    )


def _typed(frame: DataFrame, types: Mapping[str, str]) -> DataFrame:
    return frame.select(*(_cast(F.col(quoted(name)), of).alias(name) for name, of in types.items()))


def _cast(value: Column, of: str) -> Column:
    if of == "binary":
        return F.unhex(F.replace(value, F.lit("-"), F.lit("")))
    return F.lit(None) if of == "void" else value.try_cast(of)


def text_rows(
    spark: SparkSession, columns: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> DataFrame:
    """Return a frame of some rows of text. They are sent with each query."""
    frame = literal_rows(spark, [{"row": row} for row in rows], "row array<string>")
    return frame.select(*(F.col("row")[n].alias(name) for n, name in enumerate(columns)))
