"""Fields of the settings, with what the command line says of each."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def option(
    group: str,
    text: str,
    *,
    default: Any = None,
    metavar: str | None = None,
    is_secret: bool = False,
) -> Any:
    """Return a dataclass field that is a flag, too.

    Args:
        group: Where `--help` lists it.
        text: What `--help` says of it.
        default: Of the field.
        metavar: What stands for its value in `--help`, where its name does not tell.
        is_secret: Whether to leave it out of the settings' text.
    """
    metadata = {"group": group, "help": text, "metavar": metavar}
    return field(default=default, metadata=metadata, repr=not is_secret)
