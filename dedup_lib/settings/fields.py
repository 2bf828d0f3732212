"""Fields of the settings: how each is declared, and which values fit its type."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, Literal

from dedup_lib.errors import SettingsError


def option(
    group: str,
    text: str,
    *,
    default: Any = None,
    metavar: str | None = None,
    choices: Callable[[], tuple[str, ...]] | None = None,
    is_secret: bool = False,
) -> Any:
    """Return a dataclass field that is also a flag.

    Args:
        group: The group of `--help` that lists it.
        text: Its text in `--help`.
        default: Its default value.
        metavar: The word for its value in `--help`; None chooses one by the name.
        choices: Returns the values that it can have now, if they are registered while the program
            runs.
        is_secret: Whether to leave it out of the settings' text.
    """
    metadata = {"group": group, "help": text, "metavar": metavar, "choices": choices}
    return field(default=default, metadata=metadata, repr=not is_secret)


def setting_types(model: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass, with registered choices as a Literal."""
    hints = typing.get_type_hints(model)
    for item in fields(model):
        if (choices := item.metadata.get("choices")) is not None:
            named: Any = Literal.__getitem__(choices())
            is_optional = type(None) in alternatives(hints[item.name])
            hints[item.name] = named | None if is_optional else named
    return hints


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union of types, or the one type."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def check_value(name: str, value: Any, hint: Any) -> None:
    """Check that a value is of a type.

    Args:
        name: What to call it in the message.
        value: Anything.
        hint: A class, a Literal, a tuple of one class, or a union of these.

    Raises:
        SettingsError: It isn't.
    """
    members = alternatives(hint)
    if not any(_fits(value, member) for member in members):
        raise SettingsError(f"{name} must be {_described(members)} (got {value!r}).")


def check_storage_option(value: Any) -> None:
    """Check the form only, and show no value: it may be a secret.

    Raises:
        SettingsError: It is no tuple of KEY=VALUE.
    """
    if not _fits(value, tuple[str, ...]):
        raise SettingsError("storage_option must be a list of KEY=VALUE.")
    for item in value:
        if not re.fullmatch(r"[a-z_]+=.*", item, flags=re.DOTALL):
            raise SettingsError(
                "--storage-option must be KEY=VALUE, where KEY is an argument of pyarrow's file "
                "system, in lower case."
            )


def _fits(value: Any, member: Any) -> bool:
    if typing.get_origin(member) is Literal:
        return isinstance(value, str) and value in typing.get_args(member)
    if typing.get_origin(member) is tuple:
        kind = typing.get_args(member)[0]
        return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if member is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, member)


def _described(members: tuple[Any, ...]) -> str:
    return " or ".join(_words(member) for member in members if member is not type(None))


def _words(member: Any) -> str:
    if typing.get_origin(member) is Literal:
        return "one of " + ", ".join(typing.get_args(member))
    if typing.get_origin(member) is tuple:
        return f"a tuple of {typing.get_args(member)[0].__name__}"
    words = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
    return words[member]
