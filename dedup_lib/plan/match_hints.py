"""Say why few IDs of a removal list are in the image table, with counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

_SHOWN_CHARACTERS = 60
_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_INVISIBLE = "\0\u200b\u200e\u200f\u2060\ufeff"  # of no width, marks of byte order and direction
_SUFFIX = r"\.[A-Za-z][A-Za-z0-9]{0,4}\z"
# Source: nemo_curator/stages/image/io/image_reader.py, of tar files that are numbered.
_POSITION = r"^(group_.+_x[0-9]+|(.*-)?[0-9]+)_[0-9]{6,}\z"


@dataclass(frozen=True)
class MatchHint:
    """One way in which the IDs of list and table differ.

    Attributes:
        reason: What differs: a rule of `why_few_match`.
        ids: How many IDs it would explain.
        of_ids: How many were looked at.
        text: The same as a sentence, without a full stop, on one line.
    """

    reason: str
    ids: int
    of_ids: int
    text: str


def _without_blanks(image_id: Column) -> Column:
    return F.btrim(image_id, F.lit(_BLANKS + _INVISIBLE))


def _without_suffix(image_id: Column) -> Column:
    return F.regexp_replace(image_id, _SUFFIX, "")


def _without_directories(image_id: Column) -> Column:
    return F.substring_index(F.translate(image_id, "\\", "/"), "/", -1)


def _as_number(image_id: Column) -> Column:
    """Undo what readers of CSV and pandas do: 007 becomes 7, or 7 becomes 7.0."""
    whole = F.regexp_replace(image_id, r"^([0-9]+)\.0+\z", "$1")
    return F.regexp_replace(whole, r"^0+([0-9A-Za-z])", "$1")


def _without_all(image_id: Column) -> Column:
    name = _without_suffix(_without_directories(_without_blanks(image_id)))
    return _as_number(F.lower(name))


_FORMS: Mapping[str, Callable[[Column], Column]] = {
    "blanks": _without_blanks,
    "case": F.lower,
    "numbers": _as_number,
    "suffix": _without_suffix,
    "directories": _without_directories,
    "together": _without_all,
}
_CONDITIONS = {
    "blanks": "without blanks and invisible characters around",
    "case": "if upper and lower case were the same",
    "numbers": "without leading zeros and '.0' at the end",
    "directories": "without directories",
    "together": "without directories, suffixes, blanks around, case and leading zeros together, "
    "more than without any one of them",
}
_RULES = (*_FORMS, "positions")
_POSITIONS = len(_FORMS)


def why_few_match(
    image_ids: DataFrame, unmatched_ids: DataFrame, *, sample_ids: int = 20_000
) -> list[MatchHint]:
    """Look for what differs between IDs of lists and those of the image table.

    Strings are compared without blanks around them, case, leading zeros, file suffix, directories,
    and all of these together; whether both look like positions in files is told, too. Of integers
    the ranges are compared.

    Args:
        image_ids: `image_id` (string, bigint or int), one row per image row.
        unmatched_ids: `image_id` of the same type, one row per list entry that is no image ID.
        sample_ids: How many distinct ones of these to look at, at most: always the same.

    Returns:
        One hint per rule that would explain some; first the one that tells most images apart.

    *Nulls:* are left out, on both sides.
    *Cost:* one scan of the image IDs; one evaluation of the unmatched ones, with a shuffle of them.
    Some 100 bytes per rule and looked-at ID are broadcast; what matches in any form is sorted where
    it was read, and shuffled once per form.
    """
    sample = _sample(unmatched_ids, sample_ids)
    if isinstance(image_ids.schema["image_id"].dataType, StringType):
        return _differences(image_ids, sample)
    return _distance(image_ids, sample)


def _sample(ids: DataFrame, num_ids: int) -> DataFrame:
    distinct = ids.where(F.col("image_id").isNotNull()).select("image_id").distinct()
    return distinct.orderBy(F.xxhash64("image_id"), "image_id").limit(num_ids)


# Strings


def _differences(image_ids: DataFrame, sample: DataFrame) -> list[MatchHint]:
    rows = sorted(_matches(image_ids, _keys(sample)).collect(), key=lambda row: row["rule"])
    found = {_RULES[row["rule"]]: row for row in rows if row["ids"] > 0}
    of_ids = rows[-1]["of_ids"] if rows else 0
    if not _is_mostly_positions(rows):
        found.pop("positions", None)
    together = found.pop("together", None)
    if together and together["ids"] > max((row["ids"] for row in found.values()), default=0):
        found["together"] = together
    best_first = sorted(found.items(), key=lambda item: item[1]["unclear_ids"] - item[1]["ids"])
    return [
        MatchHint(rule, row["ids"], of_ids, _text(rule, row, of_ids)) for rule, row in best_first
    ]


def _is_mostly_positions(rows: Sequence[Row]) -> bool:
    return bool(rows) and 2 * rows[-1]["rows_like_positions"] > rows[-1]["image_rows"]


def _keys(sample: DataFrame) -> DataFrame:
    """Hash every form of every ID, with its rule: small, and of one width, whatever the IDs are.

    Returns:
        One row per `rule` and `key` (the hash): `ids`, how many have it (or look like positions),
        `of_ids`, how many there are, `list_id`, an example, and its `list_suffix`.
    """
    image_id = F.col("image_id")
    entries = sample.select("image_id", F.posexplode(_hashes(image_id)).alias("rule", "key"))
    nothing_left = [F.xxhash64(F.lit(rule), F.lit("")) for rule in _FORMS]
    counts = (F.col("rule") != _POSITIONS) | _is_position(image_id)
    example = F.min(F.when(counts, image_id))
    return (
        entries.where(~F.col("key").isin(nothing_left))
        .groupBy("rule", "key")
        .agg(
            F.count_if(counts).alias("ids"),
            F.count(F.lit(1)).alias("of_ids"),
            _shortened(example).alias("list_id"),
            _suffix(example).alias("list_suffix"),
        )
    )


def _matches(image_ids: DataFrame, keys: DataFrame) -> DataFrame:
    """Count, per rule, the IDs that match an image ID: one row per rule that any matches by."""
    image_id = F.col("image_id")
    hashed = image_ids.where(image_id.isNotNull()).select(
        "image_id", F.explode(_hashes(image_id)).alias("key")
    )
    example = F.coalesce(F.min(F.when(_is_position(image_id), image_id)), F.min(image_id))
    by_key = (
        hashed.join(F.broadcast(keys), "key")
        .groupBy(*keys.columns)
        .agg(
            F.count(F.lit(1)).alias("image_rows"),
            F.count_if(_is_position(image_id)).alias("rows_like_positions"),
            (F.min(image_id) != F.max(image_id)).alias("is_several"),
            _shortened(example).alias("table_id"),
            _suffix(example).alias("table_suffix"),
        )
    )
    is_unclear = (F.col("rule") != _POSITIONS) & (F.col("is_several") | (F.col("ids") > 1))
    suffixes = F.struct("list_suffix", "table_suffix")
    return by_key.groupBy("rule").agg(
        F.sum("ids").alias("ids"),
        F.sum(F.when(is_unclear, F.col("ids")).otherwise(0)).alias("unclear_ids"),
        F.max("of_ids").alias("of_ids"),
        F.sum("image_rows").alias("image_rows"),
        F.sum("rows_like_positions").alias("rows_like_positions"),
        F.min(F.struct(is_unclear.alias("is_unclear"), "list_id", "table_id")).alias("example"),
        F.mode(suffixes, deterministic=True).alias("suffixes"),
        (F.min(suffixes) != F.max(suffixes)).alias("has_other_suffixes"),
    )


def _hashes(image_id: Column) -> Column:
    """Hash an ID's form by each rule, in their order; the last is the same for every ID."""
    hashes = [F.xxhash64(F.lit(rule), form(image_id)) for rule, form in _FORMS.items()]
    return F.array(*hashes, F.xxhash64(F.lit("any ID")))


def _is_position(image_id: Column) -> Column:
    return image_id.rlike(_POSITION)


def _suffix(image_id: Column) -> Column:
    return F.regexp_extract(image_id, _SUFFIX, 0)


def _shortened(image_id: Column) -> Column:
    """Keep both ends of an ID that is too long to be shown."""
    end = (_SHOWN_CHARACTERS - 1) // 2
    ends = F.concat(F.left(image_id, F.lit(end)), F.lit("…"), F.right(image_id, F.lit(end)))
    return F.when(F.length(image_id) > _SHOWN_CHARACTERS, ends).otherwise(image_id)


def _text(rule: str, row: Row, of_ids: int) -> str:
    list_id, table_id = row["example"]["list_id"], row["example"]["table_id"]
    count = f"{row['ids']:,} of {of_ids:,}"
    if rule == "positions":
        return (
            f"{count} look like positions (such as {list_id!r}, in the table {table_id!r}), which "
            "change when input files are grouped anew: make the list anew from this table"
        )
    condition = _suffix_condition(row) if rule == "suffix" else _CONDITIONS[rule]
    text = f"{count} would match {condition} ({list_id!r} in the list, {table_id!r} in the table)"
    if row["unclear_ids"]:
        text += f", but {row['unclear_ids']:,} of these would not be told apart from other IDs"
    return text


def _suffix_condition(row: Row) -> str:
    of_list, of_table = row["suffixes"]
    if of_list and of_table:
        most = "most often " if row["has_other_suffixes"] else ""
        return f"without their suffixes, {most}{of_list!r} in the list, {of_table!r} in the table"
    one = "their suffix, most often" if row["has_other_suffixes"] else "the suffix"
    where = "which only the list has" if of_list else "which only the table has"
    return f"without {one} {of_list or of_table!r}, {where}"


# Integers


def _distance(image_ids: DataFrame, sample: DataFrame) -> list[MatchHint]:
    """Tell that most IDs are below or above all of the table's."""
    image_id = F.col("image_id")
    table = image_ids.agg(F.min("image_id").alias("lowest"), F.max("image_id").alias("highest"))
    is_outside = ~image_id.between(F.col("lowest"), F.col("highest"))
    row = (
        sample.crossJoin(F.broadcast(table))
        .agg(
            F.count_if(is_outside).alias("ids"),
            F.count(F.lit(1)).alias("of_ids"),
            F.min(F.when(is_outside, image_id)).alias("lowest_outside"),
            F.max(F.when(is_outside, image_id)).alias("highest_outside"),
            F.max("lowest").alias("lowest"),
            F.max("highest").alias("highest"),
        )
        .collect()[0]
    )
    if 2 * row["ids"] <= row["of_ids"]:
        return []
    text = (
        f"{row['ids']:,} of {row['of_ids']:,} (from {row['lowest_outside']:,} to "
        f"{row['highest_outside']:,}) are outside the range of the table's IDs (from "
        f"{row['lowest']:,} to {row['highest']:,}): integer IDs are often given by position, anew "
        "with each run, so make sure that the list was made from this table"
    )
    return [MatchHint("range", row["ids"], row["of_ids"], text)]
