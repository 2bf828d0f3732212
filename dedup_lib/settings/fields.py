"""Fields of the settings: how a field is declared, and whether a value has its type."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass
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
        group: The group of `--help` that lists the flag.
        text: The text in `--help`.
        default: The default value.
        metavar: The word for the value in `--help`; None derives it from the name.
        choices: Returns the values that are possible now, if they are registered at run time.
        is_secret: Whether to omit the field from the text of the settings.
    """
    metadata = {"group": group, "help": text, "metavar": metavar, "choices": choices}
    return field(default=default, metadata=metadata, repr=not is_secret)


def find_types(model: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass, with registered choices as a Literal."""
    found = typing.get_type_hints(model)
    for item in fields(model):
        if (choices := item.metadata.get("choices")) is not None:
            named: Any = Literal.__getitem__(choices())
            is_optional = type(None) in alternatives(found[item.name])
            found[item.name] = named | None if is_optional else named
    return found


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union of types, or the one type."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def check_fields(model: type, given: Mapping[str, Any], prefix: str = "") -> None:
    """Check that each value has the type of its field, also within dataclasses.

    Args:
        model: The dataclass.
        given: Values by field name; some may be missing.
        prefix: Text before the field name in the message.

    Raises:
        SettingsError: A value has another type.
    """
    hints = find_types(model)
    for name, value in given.items():
        if name == "storage_option":
            _check_storage_option(value)
            continue
        members = alternatives(hints[name])
        if not any(_fits(value, member) for member in members):
            raise SettingsError(f"{prefix}{name} must be {_describe(members)} (got {value!r}).")
        for item in value if isinstance(value, tuple) else ():
            if is_dataclass(item):
                check_fields(type(item), vars(item), f"{name}: ")


def _check_storage_option(value: Any) -> None:
    """Check only the form, and show no value, because it may be a secret."""
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


def _describe(members: tuple[Any, ...]) -> str:
    return " or ".join(_describe_one(member) for member in members if member is not type(None))


def _describe_one(member: Any) -> str:
    if typing.get_origin(member) is Literal:
        return "one of " + ", ".join(typing.get_args(member))
    if typing.get_origin(member) is tuple:
        return f"a tuple of {typing.get_args(member)[0].__name__}"
    words = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
    return words[member]
