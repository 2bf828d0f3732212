"""Values of single settings: choices, removal lists, values spelled as text, and ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dedup_lib.errors import SettingsError
from dedup_lib.locations import check_location
from dedup_lib.redaction import redact
from dedup_lib.settings.condition import parse_condition

if TYPE_CHECKING:
    from dedup_lib.settings.model import Settings

# Names that `traits` lists: a format can be registered while the program runs.
ImagesFormat = str
TableFormat = str
Method = str
OutputMode = Literal["error", "overwrite"]
Engine = Literal["auto", "arrow", "spark"]
Strategy = Literal["auto", "broadcast-ids", "row-positions"]
ListCounts = Literal["auto", "exact", "matched"]
ListKind = Literal["remove", "keep", "pairwise", "groups"]
AskedListKind = Literal["auto", "remove", "keep", "pairwise", "groups"]
ScoreMeaning = Literal["similarity", "distance"]
OnLostKeeper = Literal["error", "keep-one", "ignore"]
Action = Literal["remove", "annotate", "extract"]
# Columns that say which images are alike, with the kind of such a list. A list has one of them.
RELATIONS: Mapping[str, ListKind] = {
    "group_column": "groups",
    "partner_column": "groups",
    "keeper_column": "pairwise",
}
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


_SMALLEST_ID = "smallest-id"
_MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class DuplicateIds:
    """One removal list: its location, what its entries mean, and the columns to read.

    What is None is taken from the setting of the same name (`id_column` from
    `Settings.duplicate_id_column`, `kind` from `Settings.list_kind`).

    Attributes:
        location: A directory, a file (Parquet, DataComp's .npy, CSV, JSON Lines or text), or a
            table's path or name.
        id_column: The column with the IDs.
        kind: What the entries mean.
        group_column: For groups, the column whose value the members of a group share.
        keeper_column: For pairs, the column with the image that stays.
        partner_column: For pairs in which either image may stay, the column with the other image.
        score_column: For pairs, the column that tells how alike the images are.
        score_means: Whether a high score (`similarity`) or a low one (`distance`) means alike.
        max_distance: Pairs with a larger distance are no duplicates.
    """

    location: str
    id_column: str | None = None
    kind: AskedListKind | None = None
    group_column: str | None = None
    keeper_column: str | None = None
    partner_column: str | None = None
    score_column: str | None = None
    score_means: ScoreMeaning | None = None
    max_distance: float | None = None

    @property
    def is_explained(self) -> bool:
        """Whether the user says what the entries mean."""
        return self.kind not in (None, "auto") or bool(self.relations)

    @property
    def relations(self) -> tuple[str, ...]:
        """The fields among `RELATIONS` that name a column."""
        return tuple(name for name in RELATIONS if getattr(self, name) is not None)


@dataclass(frozen=True)
class KeeperRule:
    """A preference for one image of a group.

    Attributes:
        column: The column of the image table that is compared.
        is_largest: Whether the image with the largest value stays, rather than the smallest.

    *Nulls:* An image with NULL stays only if all images of the group have NULL.
    """

    column: str
    is_largest: bool


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def parse_keeper(text: str) -> tuple[KeeperRule, ...]:
    """Read --keeper: preferences in order. If none of them decides, the smallest ID stays.

    Raises:
        SettingsError: The text is not a list of rules.
    """
    rules = re.split(r",(?=(?:largest|smallest)(?::|-id))", text)
    return tuple(_parse_rule(rule) for rule in rules if rule != _SMALLEST_ID or rule != rules[-1])


def _parse_rule(text: str) -> KeeperRule:
    order, _, column = text.partition(":")
    if order not in ("largest", "smallest") or not column:
        raise SettingsError(
            f"--keeper must be smallest-id, largest:COLUMN or smallest:COLUMN, or several of these "
            f"with commas between them; {_SMALLEST_ID} can only be the last (got {text!r})."
        )
    return KeeperRule(column, is_largest=order == "largest")


def parse_eps_sweep(text: str) -> tuple[float, ...]:
    """Read --eps-sweep; the order stays.

    Raises:
        SettingsError: A part of it is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            "--eps-sweep must be numbers with commas between them, such as 0.01,0.05 "
            f"(got {text!r})."
        ) from error


def parse_file_size(flag: str, text: str) -> int:
    """Read the value of a flag that is a size, in bytes.

    Raises:
        SettingsError: The text is not a number, or has an unknown unit.
    """
    found = re.fullmatch(r"([1-9]\d*) ?([KMG]?)B?", text.strip().upper())
    if found is None:
        raise SettingsError(
            f"{flag} must be a number of bytes, KB, MB or GB, such as 512MB (got {text!r})."
        )
    factor: int = 1024 ** " KMG".index(found[2] or " ")
    return int(found[1]) * factor


def parse_storage_options(pairs: Sequence[str]) -> dict[str, str]:
    """Read --storage-option: each is KEY=VALUE."""
    parts = (pair.partition("=") for pair in pairs)
    return {key: value for key, _, value in parts}


def check_values(settings: Settings) -> None:
    """Refuse a single value that no run can use.

    Raises:
        SettingsError: A value is missing, out of range, misspelled, or not a location.
    """
    if not settings.duplicate_ids and settings.apply_plan is None:
        raise SettingsError("no removal list given: --duplicate-ids is required (or --apply-plan).")
    _check_range("--max-removed-fraction", settings.max_removed_fraction, 1)
    _check_range("--eps", settings.eps, 2)
    for item in settings.asked_lists:
        _check_range("--max-distance", item.max_distance, math.inf)
        for name in ("id_column", *RELATIONS, "score_column"):
            if getattr(item, name) == "":
                raise SettingsError(f"a list has an empty name as its {name}.")
    for eps in settings.eps_values:
        _check_range("--eps-sweep", eps, 2)
    _check_count("--review-samples", settings.review_samples, 2000)
    parse_keeper(settings.keeper)
    if not re.fullmatch(
        "key|curator(:[1-9][0-9]{0,8})?|(json|parquet):.+", settings.image_id_from, flags=re.DOTALL
    ):
        raise SettingsError(
            "--image-id-from must be key, json:FIELD, parquet:FIELD, curator or curator:N (got "
            f"{settings.image_id_from!r})."
        )
    if settings.protect_where is not None:
        parse_condition(settings.protect_where)
    _check_run_key(settings.run_key)
    _check_sizes(settings)


def check_locations(settings: Settings) -> None:
    """Refuse a location that looks like one thing, but would be read as another.

    Raises:
        SettingsError: As `dedup_lib.locations.check_location` says.
    """
    written = ("output", "removed_output", "unmatched_output", "metrics_output", "work_location")
    for name in ("images", "apply_plan", *written):
        check_location(name, getattr(settings, name))
    for item in settings.duplicate_ids:
        check_location("duplicate_ids", item.location)
    for location in settings.protect_ids:
        check_location("protect_ids", location)


def _check_sizes(settings: Settings) -> None:
    for name in ("target_file_size", "shard_size"):
        if (size := getattr(settings, name)) is not None:
            parse_file_size(flag_of(name), size)
    if settings.samples_per_shard is not None:
        _check_count("--samples-per-shard", settings.samples_per_shard, _MOST_SAMPLES)


def _check_run_key(key: str | None) -> None:
    if key is not None and redact(key) != key:
        raise SettingsError(
            "--run-key looks like a secret, and the output shows it to readers: use another key."
        )


def _check_range(flag: str, value: float | None, highest: float) -> None:
    if value is not None and not 0 <= value <= highest:  # this also refuses NaN
        raise SettingsError(f"{flag} must be from 0 to {highest} (got {value}).")


def _check_count(flag: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise SettingsError(f"{flag} must be from 1 to {most:,} (got {value}).")
