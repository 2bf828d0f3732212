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
_OF_READERS = frozenset({KEY, _URL, "__local_path__"})
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
        ids_are_text: Whether the image IDs are text.
        uuids: The columns of UUIDs.
        enums: The columns of enums: bytes for pyarrow, and text for Spark.
    """

    id_column: str
    has_keys: bool
    data: Sequence[str]
    text: Sequence[str]
    facts: Sequence[str]
    json_suffix: str
    ids_are_text: bool
    uuids: frozenset[str]
    enums: frozenset[str]

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


def choose_columns(
    file: Any, id_column: str, source: str, added: Sequence[str] = ()
) -> SampleColumns:
    """Choose the members of the samples of a file by its schema.

    Args:
        file: pyarrow's reader of a Parquet file.
        id_column: The column of the image ID.
        source: The name of the file in messages.
        added: Suffixes of members that each sample gets besides.

    Raises:
        FileRefusedError: There is no column of bytes, one has bytes within other values, one has a
            name that can't be a suffix, or two have the same name.
    """
    leaves = [file.schema.column(index) for index in range(len(file.schema))]
    enums, uuids = _leaves_of(leaves, "ENUM"), _leaves_of(leaves, "UUID")
    return choose_members(file.schema_arrow, id_column, source, added, enums=enums, uuids=uuids)


def choose_members(
    schema: Any,
    id_column: str,
    source: str,
    added: Sequence[str] = (),
    *,
    enums: frozenset[str] = frozenset(),
    uuids: frozenset[str] = frozenset(),
) -> SampleColumns:
    """Choose the members of samples by an Arrow schema, as `choose_columns` does."""
    types = {field.name: _as_text(field, enums) for field in schema}
    has_keys = KEY in types and _is_text(types[KEY])
    not_members = {id_column, KEY, _URL} if has_keys else {id_column}
    members = {name: of for name, of in types.items() if name not in not_members}
    data = [name for name, of in members.items() if _is_bytes(of) or _is_file(of)]
    text = [name for name, of in members.items() if name == _TEXT and _is_text(of)]
    left_out = {*text, *(name for name in data if _is_bytes(types[name]))}
    facts = [name for name in types if name not in (left_out | {KEY, _URL} & not_members)]
    chosen = SampleColumns(
        id_column,
        has_keys,
        data,
        text,
        facts,
        json_suffix=f"columns.{_JSON}" if has_keys and _JSON in data else _JSON,
        ids_are_text=_is_text(types[id_column]),
        uuids=uuids,
        enums=enums,
    )
    nested = [name for name in facts if name not in data and _has_bytes_within(types[name])]
    reason = _why_not(chosen, nested, added)
    if (name := _find_repeated(schema)) is not None:
        reason = f"two columns or fields have the name {name!r}"
    if reason is not None:
        raise FileRefusedError(
            "types", f"file {source!r} can't be written as shards: {reason}. {_INSTEAD}"
        )
    return chosen


def _why_not(chosen: SampleColumns, nested: Sequence[str], added: Sequence[str]) -> str | None:
    if nested:
        return f"column {nested[0]!r} has bytes within lists or other values"
    if not chosen.data:
        return "it has no column of bytes"
    names = [*(chosen.data if chosen.are_suffixes else ()), *chosen.text]
    for name in names:
        if (
            split_name(f"k.{name}") != NameParts("k", name, is_disputed=False)
            or _CONTROL.search(name)
            or name.lower() in _OF_READERS
        ):
            return f"the name of column {name!r} can't be a suffix"
    others = (*([chosen.json_suffix] if chosen.facts else ()), *added)
    lower = [name.lower() for name in (*names, *others)]
    if twice := next((name for name in lower if lower.count(name) > 1), None):
        return f"two members would have the suffix {twice!r}"
    return None


def _leaves_of(leaves: Sequence[Any], logical_type: str) -> frozenset[str]:
    return frozenset(leaf.path for leaf in leaves if leaf.logical_type.type == logical_type)


def _as_text(field: Any, enums: frozenset[str]) -> Any:
    import pyarrow as pa

    return pa.string() if field.name in enums else field.type


def _find_repeated(fields: Any) -> str | None:
    """Return a name that two fields of a schema or struct have; None if there is no such name."""
    import pyarrow as pa

    children = list(fields)
    names = [field.name for field in children]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return str(twice)
    nested = (field.type for field in children if pa.types.is_nested(field.type))
    within = (
        # The entries of a map are also a struct.
        _find_repeated([of.field(index) for index in range(of.num_fields)])
        for of in nested
    )
    return next((name for name in within if name is not None), None)


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
