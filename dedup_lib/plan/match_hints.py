"""Explain with counts why only few IDs of a removal list are in the image table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType

from dedup_lib.lists.spellings import CONDITIONS, FORMS, SUFFIX, name_of

_SHOWN_CHARACTERS = 60
# Source: nemo_curator/stages/image/io/image_reader.py, which reads numbered tar files.
_POSITION = r"^(group_.+_x[0-9]+|(.*-)?[0-9]+)_[0-9]{6,}\z"


@dataclass(frozen=True)
class MatchHint:
    """One way in which the IDs of the list and the table differ.

    Attributes:
        reason: What differs: the name of a rule of `why_few_match`. `none`: a warning that comes
            first if every rule makes different images equal.
        ids: How many listed IDs would match by the rule.
        unclear_ids: How many of these would match several images, or the same image as another
            listed ID.
        of_ids: How many listed IDs were compared.
        text: The hint as a sentence on one line, without a full stop.
    """

    reason: str
    ids: int
    unclear_ids: int
    of_ids: int
    text: str


_NONE = (
    "no change of the IDs that was tried makes them match without making different images equal, "
    "so make a new list from this table"
)
_RULES = (*FORMS, "positions")
_POSITIONS = len(FORMS)
# Rules of several parts, which must explain more than each part.
_PARTS = {"paths": {"schemes", "encoding"}, "together": {*_RULES} - {"together"}}
# Different images may have the same name: where paths differ in their spelling, that comes first.
_OF_PATHS, _OF_NAMES = {"schemes", "encoding", "paths"}, {"directories", "together"}


def why_few_match(
    image_ids: DataFrame, unmatched_ids: DataFrame, *, sample_ids: int = 20_000
) -> list[MatchHint]:
    """Look for differences between the IDs of the lists and those of the image table.

    Strings are compared without surrounding blanks, without case, without leading zeros, without
    schemes, decoded from URLs, without file suffixes, without directories, and without all of these
    together. Another rule tells whether both sides look like positions in files. For numbers, the
    ranges are compared.

    Args:
        image_ids: `image_id`, one row per image row. For binary IDs there are no rules.
        unmatched_ids: `image_id` of the same type, one row per list entry that is not an image ID.
        sample_ids: How many distinct unmatched IDs to compare, at most. The sample is always the
            same.

    Returns:
        One hint per rule that explains some IDs, those with the most matches first. But a rule that
        makes different images equal comes after all that do not, and is never the first hint.

    *Nulls:* NULL IDs are left out, on both sides.
    *Cost:* one scan of the image IDs; one evaluation of the unmatched IDs, with a shuffle of them.
    Some 100 bytes per rule and compared ID are broadcast. Image IDs that match in any form are
    sorted in the tasks that read them, and shuffled once per form.
    """
    sample = _sample(unmatched_ids, sample_ids)
    of = image_ids.schema["image_id"].dataType
    if isinstance(of, StringType):
        return _differences(image_ids, sample)
    return [] if isinstance(of, BinaryType) else _distance(image_ids, sample)


def _sample(ids: DataFrame, num_ids: int) -> DataFrame:
    """Choose some IDs, and all others with the same names: a rule may make these equal."""
    distinct = ids.where(F.col("image_id").isNotNull()).select("image_id").distinct()
    name = name_of(F.col("image_id").cast("string"))
    return distinct.orderBy(F.xxhash64(name), "image_id").limit(num_ids)


# Strings


def _differences(image_ids: DataFrame, sample: DataFrame) -> list[MatchHint]:
    rows = sorted(_matches(image_ids, _keys(sample)).collect(), key=lambda row: row["rule"])
    found = {_RULES[row["rule"]]: row for row in rows if row["ids"] > 0}
    of_ids = rows[-1]["of_ids"] if rows else 0
    if not _is_mostly_positions(rows):
        positions = found.pop("positions", None)
        if positions is not None and not found:
            return _positions_of_others(positions)
    for rule, parts in _PARTS.items():
        best = max((found[part]["ids"] for part in parts & found.keys()), default=0)
        if rule in found and found[rule]["ids"] <= best:
            del found[rule]
    return _best_first([_hint(rule, row, of_ids) for rule, row in found.items()])


def _best_first(hints: Sequence[MatchHint]) -> list[MatchHint]:
    last = _OF_NAMES if any(hint.reason in _OF_PATHS for hint in hints) else set()

    def rank(hint: MatchHint) -> tuple[bool, bool, int]:
        return hint.unclear_ids > 0, hint.reason in last, hint.unclear_ids - hint.ids

    ranked = sorted(hints, key=rank)
    if ranked and ranked[0].unclear_ids:
        ranked.insert(0, MatchHint("none", 0, 0, ranked[0].of_ids, _NONE))
    return ranked


def _is_mostly_positions(rows: Sequence[Row]) -> bool:
    return bool(rows) and 2 * rows[-1]["rows_like_positions"] > rows[-1]["image_rows"]


def _positions_of_others(row: Row) -> list[MatchHint]:
    """Give a hint if most listed IDs look like positions, but none of the table's IDs does."""
    if row["rows_like_positions"] or 2 * row["ids"] <= row["of_ids"]:
        return []
    text = (
        f"{row['ids']:,} of {row['of_ids']:,} look like NeMo Curator's positions of images in "
        f"shards (such as {row['example']['list_id']!r}), but the table's IDs do not (such as "
        f"{row['example']['table_id']!r}): for WebDataset shards use --image-id-from curator"
    )
    return [MatchHint("positions", row["ids"], 0, row["of_ids"], text)]


def _keys(sample: DataFrame) -> DataFrame:
    """Hash every form of every ID, with its rule: keys are small, however long the IDs are.

    Returns:
        One row per `rule` and `key` (the hash): `ids`, the number of IDs with this key (for the
        rule on positions, only IDs that look like positions); `of_ids`, the number of all IDs with
        this key; `list_id`, an example; and its `list_suffix`.
    """
    image_id = F.col("image_id")
    entries = sample.select("image_id", F.posexplode(_hashes(image_id)).alias("rule", "key"))
    nothing_left = [F.xxhash64(F.lit(rule), F.lit("")) for rule in FORMS]
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
    """Count the IDs that match an image ID, by rule: one row per rule with a match."""
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
    of_several = (F.col("rule") != _POSITIONS) & F.col("is_several")
    suffixes = F.struct("list_suffix", "table_suffix")
    return by_key.groupBy("rule").agg(
        F.sum("ids").alias("ids"),
        F.sum(F.when(is_unclear, F.col("ids")).otherwise(0)).alias("unclear_ids"),
        F.sum(F.when(of_several, F.col("ids")).otherwise(0)).alias("ids_of_several"),
        F.max("of_ids").alias("of_ids"),
        F.sum("image_rows").alias("image_rows"),
        F.sum("rows_like_positions").alias("rows_like_positions"),
        F.min(F.struct(is_unclear.alias("is_unclear"), "list_id", "table_id")).alias("example"),
        F.mode(suffixes, deterministic=True).alias("suffixes"),
        (F.min(suffixes) != F.max(suffixes)).alias("has_other_suffixes"),
    )


def _hashes(image_id: Column) -> Column:
    """Hash an ID's form by each rule, in order; the last hash is the same for every ID."""
    hashes = [F.xxhash64(F.lit(rule), form(image_id)) for rule, form in FORMS.items()]
    return F.array(*hashes, F.xxhash64(F.lit("any ID")))


def _is_position(image_id: Column) -> Column:
    return image_id.rlike(_POSITION)


def _suffix(image_id: Column) -> Column:
    return F.regexp_extract(image_id, SUFFIX, 0)


def _shortened(image_id: Column) -> Column:
    """Keep only both ends of an ID that is too long to show."""
    end = (_SHOWN_CHARACTERS - 1) // 2
    ends = F.concat(F.left(image_id, F.lit(end)), F.lit("…"), F.right(image_id, F.lit(end)))
    return F.when(F.length(image_id) > _SHOWN_CHARACTERS, ends).otherwise(image_id)


def _hint(rule: str, row: Row, of_ids: int) -> MatchHint:
    list_id, table_id = row["example"]["list_id"], row["example"]["table_id"]
    count = f"{row['ids']:,} of {of_ids:,}"
    if rule == "positions":
        text = (
            f"{count} look like positions (such as {list_id!r}, in the table {table_id!r}), which "
            "change when input files are grouped differently: make a new list from this table"
        )
    else:
        condition = _suffix_condition(row) if rule == "suffix" else CONDITIONS[rule]
        examples = f"({list_id!r} in the list, {table_id!r} in the table)"
        text = f"{count} would match {condition} {examples}{_but(row)}"
    return MatchHint(rule, row["ids"], row["unclear_ids"], of_ids, text)


def _but(row: Row) -> str:
    """Say how many IDs can't be told apart by a rule; nothing if there are none."""
    several, unclear = row["ids_of_several"], row["unclear_ids"]
    counts = {"more than one image": several, "the same image as another": unclear - several}
    told = " and ".join(f"{num:,} would match {what}" for what, num in counts.items() if num)
    return f", but of these {told}: so other images could be removed" if told else ""


def _suffix_condition(row: Row) -> str:
    of_list, of_table = row["suffixes"]
    if of_list and of_table:
        most = "most often " if row["has_other_suffixes"] else ""
        return f"without their suffixes, {most}{of_list!r} in the list, {of_table!r} in the table"
    one = "their suffix, most often" if row["has_other_suffixes"] else "the suffix"
    where = "which only the list has" if of_list else "which only the table has"
    return f"without {one} {of_list or of_table!r}, {where}"


# Numbers


def _distance(image_ids: DataFrame, sample: DataFrame) -> list[MatchHint]:
    """Give a hint if most listed IDs are outside the range of the table's IDs."""
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
        f"{row['lowest']:,} to {row['highest']:,}): integer IDs are often row positions, "
        "which change with each run, so make sure that the list was made from this table"
    )
    return [MatchHint("range", row["ids"], 0, row["of_ids"], text)]
