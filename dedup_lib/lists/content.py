"""Refuse a list of plain IDs if the values beside its IDs look like groups, or like pairs.

A program may list all members of each group of duplicates, or pairs of duplicates in both
directions, under any column names. To remove all these IDs would remove every copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from dedup_lib.errors import AmbiguousListError
from dedup_lib.lists.repeats import find_repeating, hash_of
from dedup_lib.lists.scores import is_score
from dedup_lib.lists.shape import ID_FLAG, KIND_FLAG, NO_GROUP, ListShape
from dedup_lib.session.spark_session import literal_rows
from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.tables.id_types import as_text, can_hold_ids

# Columns, in lower case, that describe an image: they repeat, and say nothing about duplicates.
ATTRIBUTES = frozenset(
    {
        *("width", "height", "w", "h", "channels", "mode", "format", "aspect_ratio", "orientation"),
        *("size", "bytes", "num_bytes", "file_size", "filesize", "size_bytes", "length"),
        *("extension", "ext", "mime", "mime_type", "content_type"),
        *("label", "labels", "class", "category", "split", "license", "language", "lang"),
        *("dist", "rating", "quality"),
        *("year", "month", "day", "timestamp", "created_at", "updated_at"),
        *("shard", "shard_id", "part", "why", "reason", "rule", "method", "tool", "version"),
        *("status", "error_message"),
    }
)
# Types whose values are attributes. Floats are also attributes, unless all are whole numbers:
# pandas writes integers as floats if some are missing.
_ATTRIBUTE_TYPES = re.compile(r"boolean|date|timestamp.*|interval.*|void")
_FLOATS = ("float", "double")
_SIMPLE_ARRAY = re.compile(r"array<[a-z0-9(),]+>")
# Partitions by time.
_DATES = frozenset({"dt", "ds", "date", "hour", "week", "run_date", "ingest_date", "batch_date"})
_DATE = re.compile(r"\d{4}-?\d\d(-?\d\d)?([T %].*)?")
# So many values of a column are searched among the image IDs.
PROBED_VALUES = 10_000
# And so many of all columns together: the driver holds them.
_MOST_PROBED_VALUES = 200_000


@dataclass(frozen=True)
class Beside:
    """The columns beside the IDs of a list whose values tell whether it is a plain list.

    Attributes:
        rows: One row per entry, lazily: `id`, and the columns `0`, `1`, … as text. A value that
            says that its row belongs to no group is NULL. An array is an array of texts.
        types: The Spark types of these columns in the list, by name, in this order.
    """

    rows: DataFrame
    types: Mapping[str, str]


def beside(frames: Sequence[DataFrame], shape: ListShape) -> Beside | None:
    """Select the columns whose values may name groups or other images; None if there are none.

    Args:
        frames: The list's files, which may differ in their schemas.
        shape: The recognised shape.
    """
    found = [{field.name: field.dataType.simpleString() for field in one.schema} for one in frames]
    types: dict[str, str] = {}
    for of_file in found:
        for name in shape.other_columns:
            if name in of_file and may_tell(name, of_file[name]):
                types.setdefault(name, of_file[name])
    if not types:
        return None
    arrays = {
        name
        for name in types
        if all(_SIMPLE_ARRAY.fullmatch(of_file.get(name, "array<void>")) for of_file in found)
    }
    texts = [
        frame.select(
            as_text(values_of(shape.id_column), frame.schema[shape.id_column].dataType).alias("id"),
            *(
                _text(name, frame.schema[name].dataType, name in arrays).alias(str(index))
                for index, name in enumerate(types)
                if name in of_file
            ),
        )
        for frame, of_file in zip(frames, found, strict=True)
    ]
    return Beside(reduce(partial(DataFrame.unionByName, allowMissingColumns=True), texts), types)


def refuse_partitions(what: str, paths: Sequence[str]) -> None:
    """Refuse a list of plain IDs whose partitions may be groups or other images.

    Args:
        what: The name of the list in messages.
        paths: The paths of its files.

    Raises:
        AmbiguousListError: A partition column has several values, and is no attribute and no date.
    """
    parts = [part.partition("=") for path in paths for part in path.split("/")[:-1]]
    values: dict[str, set[str]] = {}
    for name, sign, value in parts:
        if sign:
            values.setdefault(name, set()).add(value)
    for name, found in values.items():
        is_date = name.lower() in _DATES or all(map(_DATE.fullmatch, found))
        if len(found) > 1 and not is_date and may_tell(name, "string"):
            raise AmbiguousListError(
                f"{what} has {len(found)} partitions by {name!r}. They may be groups of "
                "duplicates: then to remove all its IDs would remove every copy. If they all are "
                f"to go, say so: {KIND_FLAG} remove. Otherwise give the list with the group in a "
                "column, and --group-column."
            )


def may_tell(name: str, found: str) -> bool:
    """Tell whether a column may hold IDs or groups, by its name and Spark type."""
    is_attribute = name.lower() in ATTRIBUTES or is_score(name)
    return not (is_attribute or _ATTRIBUTE_TYPES.fullmatch(found))


def _text(name: str, found: DataType, is_array: bool) -> Column:
    value = values_of(name)
    if is_array:
        return value.cast("array<string>")
    if re.match("struct|map|array|variant", found.simpleString()):
        return F.to_json(F.struct(value.alias("value")))
    if found.simpleString() in _FLOATS:  # a whole number is spelled as an integer
        is_whole = (value == F.rint(value)) & (F.abs(value) < 2.0**63)
        value = F.coalesce(
            F.when(is_whole, value.try_cast("bigint").cast("string")), value.cast("string")
        )
        return group_name(value, StringType())
    return group_name(value, found)


def group_name(value: Column, data_type: DataType) -> Column:
    """Return a value of a group column as text, and NULL if it says that there is no group."""
    text = as_text(value, data_type)
    return F.when(~text.isin(*NO_GROUP), text)


def refuse_groups_and_pairs(
    what: str,
    found: Beside,
    *,
    id_column: str,
    image_ids: Callable[[], DataFrame],
    id_type: DataType,
    num_rows: int | None,
) -> None:
    """Refuse a list if a column names other images, or puts the listed rows into groups.

    Args:
        what: The name of the list in messages.
        found: The columns beside the IDs.
        id_column: The list's ID column, for messages.
        image_ids: Returns `image_id`, one row per row of the image table.
        id_type: The type of the image IDs.
        num_rows: The number of rows of the list; None if it is not known.

    Raises:
        AmbiguousListError: There is such a column.

    *Cost:* one pass over these columns. For each column whose values seem to repeat two more, and
    one for columns that are NULL in most rows of a long list. If a column is of the IDs' type, one
    scan of the list's IDs, and one of the image IDs.
    """
    probe = _probe(found, id_type)
    if probe is not None:
        listed = found.rows.select(F.xxhash64("id").alias("hash"))
        if pairs := _first_found(probe, listed):
            name, num_ids = pairs
            raise _pairs(what, name, id_column, f"{num_ids} of these IDs")
    _refuse_groups(what, found, id_column, found.rows.count() if num_rows is None else num_rows)
    if probe is not None:
        text = as_text(F.col("image_id"), id_type)
        if pairs := _first_found(probe, image_ids().select(F.xxhash64(text).alias("hash"))):
            name, num_ids = pairs
            raise _pairs(what, name, id_column, f"{num_ids} IDs of the image table")


def _may_be_ids(found: str, id_type: str) -> bool:
    """Tell whether values of a type may be spelled as IDs are. pandas has integers as floats."""
    of = found.removeprefix("array<").removesuffix(">")
    if of in _FLOATS:
        return id_type not in ("string", "binary")
    return can_hold_ids(of) and (of == "binary") == (id_type == "binary")


def _probe(found: Beside, id_type: DataType) -> DataFrame | None:
    """Return `name` and `hash`: some values of each column that are not the ID of their row.

    The columns are those that may hold IDs. None if there are no such values.
    """
    id_like = [
        (str(index), name)
        for index, (name, of) in enumerate(found.types.items())
        if _may_be_ids(of, id_type.simpleString())
    ]
    most = min(PROBED_VALUES, _MOST_PROBED_VALUES // max(1, len(id_like)))
    probes = []
    for index, name in id_like:
        hashes = _other_values(found.rows, index).select(F.xxhash64("value")).take(most)
        if hashes:
            probes.append({"name": name, "hashes": [row[0] for row in hashes]})
    if not probes:
        return None
    schema = "name string, hashes array<bigint>"
    probe = literal_rows(found.rows.sparkSession, probes, schema)
    return probe.select("name", F.explode("hashes").alias("hash")).distinct()


def _other_values(rows: DataFrame, column: str) -> DataFrame:
    is_array = rows.schema[column].dataType.typeName() == "array"
    value = F.explode(quoted(column)) if is_array else F.col(quoted(column))
    return rows.select("id", value.alias("value")).where("value != id")


def _first_found(probe: DataFrame, ids: DataFrame) -> tuple[str, int] | None:
    """Return the column with the most values that are IDs, with their number; None if none are."""
    hits = ids.join(F.broadcast(probe), "hash").groupBy("name")
    counts = hits.agg(F.count_distinct("hash").alias("ids")).orderBy(F.desc("ids"), "name").head(1)
    return tuple(counts[0]) if counts else None


def _pairs(what: str, name: str, id_column: str, holds: str) -> AmbiguousListError:
    return AmbiguousListError(
        f"{what} has a column {name!r} beside its IDs ({id_column!r}), and it holds at least "
        f"{holds}. So the list may hold pairs of duplicates: then to remove all its IDs could "
        f"remove every copy. Say what it holds: images that stay for those in {id_column!r} "
        f"(--keeper-column {name}); or images that are like them, where either may stay "
        f"(--partner-column {name}); or, if all the IDs are to go: {KIND_FLAG} remove. {ID_FLAG} "
        "names another ID column."
    )


def _refuse_groups(what: str, found: Beside, id_column: str, num_rows: int) -> None:
    names = list(found.types)
    for index in find_repeating(found.rows, range(len(names)), num_rows):
        values = found.rows.select(F.col(quoted(str(index))).cast("string").alias("value"))
        number = F.col("value").try_cast("double")
        hashed = hash_of(F.col("value"))
        counts = values.agg(
            F.count("value").alias("rows"),
            # Hashes, since Spark sorts all rows to find the smallest text.
            F.min(hashed).alias("least"),
            F.max(hashed).alias("most"),
            F.max(number != F.rint(number)).alias("is_fractional"),
        ).collect()[0]
        is_float = found.types[names[index]] in _FLOATS
        if counts["least"] == counts["most"] or (is_float and counts["is_fractional"]):
            continue
        num_values = values.agg(F.count_distinct("value")).collect()[0][0]
        if num_values < counts["rows"]:
            raise _groups(what, names[index], id_column, counts["rows"], num_values)


def _groups(what: str, name: str, id_column: str, rows: int, values: int) -> AmbiguousListError:
    return AmbiguousListError(
        f"{what} has {rows} IDs in {values} values of {name!r}, beside its IDs ({id_column!r}). "
        "Equal values may name a group of duplicates. A list of all members of groups would remove "
        f"every copy. Name the kind of the IDs: {KIND_FLAG} remove, to remove them all; "
        f"{KIND_FLAG} keep, to keep them all and to remove all others; or the groups, to keep one "
        f"image of each: --group-column {name}. If the column says something else about the "
        "images, leave it out of the list."
    )
