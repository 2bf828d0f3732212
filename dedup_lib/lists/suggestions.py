"""Suggest a column in place of a missing one, by what the columns of a list hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import MissingColumnError, suggest
from dedup_lib.lists.content import PROBED_VALUES, may_tell
from dedup_lib.lists.shape import DEFAULT_ID_COLUMN, ID_FLAG
from dedup_lib.session.sql_names import values_of
from dedup_lib.settings import DuplicateIds
from dedup_lib.settings.values import RELATIONS, flag_of

_KEEPER_FLAG, _PARTNER_FLAG = flag_of("keeper_column"), flag_of("partner_column")
_OF_IDS = (ID_FLAG, _KEEPER_FLAG, _PARTNER_FLAG)
_NUMBER = re.compile("float|double|decimal|[a-z]*int")
# The values of so many columns are searched among the image IDs.
_PROBED_COLUMNS = 20


def advised(
    error: MissingColumnError, rows: DataFrame, asked: DuplicateIds, image_ids: DataFrame
) -> MissingColumnError:
    """Return the error with the columns that hold image IDs, if the missing one should hold them.

    For other columns, it names the one with the most similar name and a fitting type.

    Args:
        error: The error.
        rows: The rows of the list.
        asked: What the user says about the list.
        image_ids: `image_id`, one row per row of the image table.

    *Nulls:* NULL values are ignored, on both sides.
    *Cost:* some rows of each column of the IDs' type; one scan of the image IDs.
    """
    types = _unmapped(error, rows, asked)
    if error.flag not in _OF_IDS:
        return _similar(error, types)
    id_type = image_ids.schema["image_id"].dataType.simpleString()
    fit = [name for name, found in types.items() if found == id_type][:_PROBED_COLUMNS]
    if holding := _holding(fit, rows, image_ids):
        advice = _advice(error.flag, holding, is_mapped=bool(asked.relations))
        return MissingColumnError(f"{error.lacks} {advice}")
    return _similar(error, fit if len(fit) == 1 else ())  # of two, both may be of a pair


def _unmapped(error: MissingColumnError, rows: DataFrame, asked: DuplicateIds) -> dict[str, str]:
    """Return the types of the columns that may be meant, by name."""
    mapped = {asked.id_column or DEFAULT_ID_COLUMN}
    mapped |= {getattr(asked, name) for name in (*RELATIONS, "score_column")}
    types = {name: found for name, found in rows.dtypes if name in {*error.columns} - mapped}
    if error.flag == flag_of("score_column"):
        return {name: found for name, found in types.items() if _NUMBER.match(found)}
    return {name: found for name, found in types.items() if may_tell(name, found)}


def _advice(flag: str, holding: Sequence[str], *, is_mapped: bool) -> str:
    shown = ", ".join(map(repr, holding))
    if len(holding) == 1:
        return f"Did you mean {shown}? It holds image IDs: {flag} {holding[0]}."
    if is_mapped:
        return f"Columns {shown} hold image IDs. Name the one that is meant: {flag}."
    return (
        f"Columns {shown} hold image IDs, so the list may hold pairs of duplicates. Name one of "
        f"them with {ID_FLAG}, and the other with {_KEEPER_FLAG}, if its images stay, or with "
        f"{_PARTNER_FLAG}, if either may stay."
    )


def _similar(error: MissingColumnError, names: Collection[str]) -> MissingColumnError:
    similar = suggest(error.column or "", [*names])
    return MissingColumnError(f"{error.lacks}{similar} Use {error.flag}.")


def _holding(names: Sequence[str], rows: DataFrame, image_ids: DataFrame) -> list[str]:
    """Return the columns that hold an image ID."""
    probes = [
        rows.select(values_of(name).alias("image_id"), F.lit(index).alias("index"))
        .where("image_id IS NOT NULL")
        .limit(PROBED_VALUES)
        .distinct()
        for index, name in enumerate(names)
    ]
    if not probes:
        return []
    probe = F.broadcast(reduce(DataFrame.union, probes))
    found = image_ids.join(probe, "image_id").select("index").distinct().collect()
    return [names[row["index"]] for row in sorted(found)]
