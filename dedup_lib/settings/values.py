"""Values of single settings: those that are spelled as text, and numbers with bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dedup_lib.errors import SettingsError
from dedup_lib.redaction import redact


@dataclass(frozen=True)
class KeeperRule:
    """Which image of a group stays.

    Attributes:
        column: The column of the image table to go by; None for the ID itself.
        is_largest: Whether the largest value stays; NULL never does where there is another.
            Of equal ones the smallest ID stays.
    """

    column: str | None
    is_largest: bool


def keeper_rule_of(text: str) -> KeeperRule:
    """Read --keeper.

    Raises:
        SettingsError: It is no rule.
    """
    if text == "smallest-id":
        return KeeperRule(None, is_largest=False)
    order, _, column = text.partition(":")
    if order not in ("largest", "smallest") or not column:
        raise SettingsError(
            f"--keeper must be smallest-id, largest:COLUMN or smallest:COLUMN (got {text!r})."
        )
    return KeeperRule(column, is_largest=order == "largest")


def eps_values_of(text: str) -> tuple[float, ...]:
    """Read --eps-sweep, in its order.

    Raises:
        SettingsError: A part of it is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            "--eps-sweep must be numbers with commas between them, such as 0.01,0.05 "
            f"(got {text!r})."
        ) from error


def bytes_of(size: str) -> int:
    """Read --target-file-size, in bytes.

    Raises:
        SettingsError: It is no number, or has another unit.
    """
    found = re.fullmatch(r"([1-9]\d*) ?([KMG]?)B?", size.strip().upper())
    if found is None:
        raise SettingsError(
            "--target-file-size must be a number of bytes, KB, MB or GB, such as 512MB "
            f"(got {size!r})."
        )
    factor: int = 1024 ** " KMG".index(found[2] or " ")
    return int(found[1]) * factor


def key_values_of(pairs: Sequence[str]) -> dict[str, str]:
    """Read --storage-option, each of which is KEY=VALUE."""
    parts = (pair.partition("=") for pair in pairs)
    return {key: value for key, _, value in parts}


def check_run_key(key: str | None) -> None:
    """Check that a run key is a name and no secret; None is no key.

    Raises:
        SettingsError: It reads like a secret.
    """
    if key is not None and redact(key) != key:
        raise SettingsError(
            "--run-key reads like a secret, and the output keeps it for all to see: choose a name."
        )


def check_range(flag: str, value: float | None, highest: int) -> None:
    """Check that a number is from 0 to another; None is.

    Raises:
        SettingsError: It isn't, or is NaN.
    """
    if value is not None and not 0 <= value <= highest:
        raise SettingsError(f"{flag} must be from 0 to {highest} (got {value}).")


def check_count(flag: str, value: int, most: int) -> None:
    """Check that a number is from 1 to another.

    Raises:
        SettingsError: It isn't.
    """
    if not 1 <= value <= most:
        raise SettingsError(f"{flag} must be from 1 to {most:,} (got {value}).")
