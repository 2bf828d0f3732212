"""Choose which columns of a table become which members of samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.shards.samples import NameParts, split_name
from dedup_lib.executor.stores import FileRefusedError

# The columns that readers of shards add to the members.
KEY = "__key__"
_URL = "__url__"
_TEXT, _JSON = "txt", "json"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INSTEAD = (
    "Write a table whose pictures are columns of bytes, or structs of bytes and path, with "
    "different names that can be suffixes"
)


class SampleColumns(NamedTuple):
    """Which columns of a table become which members.

    Attributes:
        id_column: The column of the image ID.
        has_keys: Whether the table has a column of keys, as one that was made from shards.
        data: The columns of bytes, or of structs with bytes. Each is a member.
        text: The columns of text that are a member; at most one.
        facts: The columns that the JSON holds; also structs of `data`, without their bytes.
        json_suffix: The suffix of the JSON.
        uuids: The columns of UUIDs.
    """

    id_column: str
    has_keys: bool
    data: Sequence[str]
    text: Sequence[str]
    facts: Sequence[str]
    json_suffix: str
    uuids: frozenset[str]

    @property
    def are_suffixes(self) -> bool:
        """Whether the names of the columns of bytes tell the suffixes of their members."""
        return self.has_keys or len(self.data) > 1


def is_key(text: str) -> bool:
    """Tell whether a text can be the key of a sample, for all readers and as a file's path."""
    return (
        split_name(f"{text}.x") == NameParts(text, "x", is_disputed=False)
        and not {"", ".."}.intersection(text.split("/"))
        and not _CONTROL.search(text)
    )


def choose_columns(file: Any, id_column: str, source: str) -> SampleColumns:
    """Choose the members of the samples of a file by its schema.

    Args:
        file: pyarrow's reader of a Parquet file.
        id_column: The column of the image ID.
        source: The name of the file in messages.

    Raises:
        FileRefusedError: There is no column of bytes, one has bytes within other values, or one
            has a name that can't be a suffix.
    """
    types = {field.name: field.type for field in file.schema_arrow}
    has_keys = KEY in types and _is_text(types[KEY])
    not_members = {id_column, KEY, _URL} if has_keys else {id_column}
    members = {name: of for name, of in types.items() if name not in not_members}
    data = [name for name, of in members.items() if _is_bytes(of) or _is_file(of)]
    text = [name for name, of in members.items() if name == _TEXT and _is_text(of)]
    left_out = {*text, *(name for name in data if _is_bytes(types[name]))}
    facts = [name for name in types if name not in (left_out | {KEY, _URL} & not_members)]
    leaves = map(file.schema.column, range(len(file.schema)))
    chosen = SampleColumns(
        id_column,
        has_keys,
        data,
        text,
        facts,
        json_suffix=f"columns.{_JSON}" if _JSON in data else _JSON,
        uuids=frozenset(leaf.path for leaf in leaves if leaf.logical_type.type == "UUID"),
    )
    nested = [name for name in facts if name not in data and _has_bytes_within(types[name])]
    if (reason := _why_not(chosen, nested)) is not None:
        raise FileRefusedError(
            "types", f"file {source!r} can't be written as shards: {reason}. {_INSTEAD}"
        )
    return chosen


def _why_not(chosen: SampleColumns, nested: Sequence[str]) -> str | None:
    if nested:
        return f"column {nested[0]!r} has bytes within lists or other values"
    if not chosen.data:
        return "it has no column of bytes"
    names = [*(chosen.data if chosen.are_suffixes else ()), *chosen.text]
    for name in names:
        if split_name(f"k.{name}") != NameParts("k", name, is_disputed=False) or (
            _CONTROL.search(name)
        ):
            return f"the name of column {name!r} can't be a suffix"
    lower = [name.lower() for name in (*names, *([chosen.json_suffix] if chosen.facts else ()))]
    if twice := next((name for name in lower if lower.count(name) > 1), None):
        return f"two members would have the suffix {twice!r}"
    return None


def _is_text(of: Any) -> bool:
    import pyarrow as pa

    of = of.value_type if pa.types.is_dictionary(of) else of
    return bool(
        pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of)
    )


def _is_bytes(of: Any) -> bool:
    """Tell whether a column holds bytes of any length; those of a fixed length are no pictures."""
    import pyarrow as pa

    of = of.value_type if pa.types.is_dictionary(of) else of
    return bool(
        pa.types.is_binary(of) or pa.types.is_large_binary(of) or pa.types.is_binary_view(of)
    )


def _is_file(of: Any) -> bool:
    """Tell whether a column is a struct of bytes and path, as Hugging Face keeps a picture."""
    import pyarrow as pa

    if not pa.types.is_struct(of):
        return False
    fields = {of.field(index).name: of.field(index).type for index in range(of.num_fields)}
    return fields.keys() == {"bytes", "path"} and _is_bytes(fields["bytes"])


def _has_bytes_within(of: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_nested(of):
        return False
    fields = (of.field(index).type for index in range(of.num_fields))
    return any(_is_bytes(field) or _has_bytes_within(field) for field in fields)
