"""A Parquet file's schema as text, made by pyarrow, wherever that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_PHYSICAL = {"BYTE_ARRAY": "binary", "FIXED_LEN_BYTE_ARRAY": "fixed_len_byte_array"}
_UNITS = {"milliseconds": "MILLIS", "microseconds": "MICROS", "nanoseconds": "NANOS"}


def schema_text(schema: Any) -> str:
    """Spell a schema as Parquet's Java does, with names as JSON; of what is nested only the leaves.

    Args:
        schema: pyarrow's `ParquetSchema`.
    """
    lines = ["message {"]
    for name, leaves in _by_column(schema):
        if [leaf.path for leaf in leaves] == [name]:
            lines.append(f"  {_repetition(leaves[0])} {_leaf(leaves[0], name)}")
            continue
        lines.append(f"  optional group {json.dumps(name)} {{")
        lines += [f"    optional {_leaf(leaf, leaf.path[len(name) + 1 :])}" for leaf in leaves]
        lines.append("  }")
    return "\n".join([*lines, "}\n"])


def _by_column(schema: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each top-level column with its leaves; a leaf's path alone can't tell, for its dots."""
    first = 0
    for field in schema.to_arrow_schema():
        last = first + _num_leaves(field.type)
        yield field.name, [schema.column(index) for index in range(first, last)]
        first = last
    if first != len(schema):
        raise ValueError(f"{len(schema)} leaf columns, where Arrow's schema has {first}")


def _num_leaves(data_type: Any) -> int:
    import pyarrow as pa

    if isinstance(data_type, pa.BaseExtensionType):
        return _num_leaves(data_type.storage_type)
    if isinstance(data_type, pa.DictionaryType):
        return _num_leaves(data_type.value_type)
    if data_type.num_fields == 0:
        return 1
    return sum(_num_leaves(data_type.field(index).type) for index in range(data_type.num_fields))


def _repetition(leaf: Any) -> str:
    if leaf.max_repetition_level > 0:
        return "repeated"
    return "optional" if leaf.max_definition_level > 0 else "required"


def _leaf(leaf: Any, name: str) -> str:
    physical = _PHYSICAL.get(leaf.physical_type, leaf.physical_type.lower())
    length = f"({leaf.length})" if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" else ""
    logical = _logical(json.loads(leaf.logical_type.to_json()))
    annotation = "" if logical is None else f" ({logical})"
    return f"{physical}{length} {json.dumps(name)}{annotation};"


def _logical(facts: dict[str, Any]) -> str | None:
    kind = str(facts["Type"]).upper()
    if kind in ("NONE", "UNDEFINED"):
        return None
    if kind == "INT":
        return f"INTEGER({facts['bitWidth']},{_spelled(facts['isSigned'])})"
    if kind in ("TIME", "TIMESTAMP"):
        return f"{kind}({_UNITS[facts['timeUnit']]},{_spelled(facts['isAdjustedToUTC'])})"
    if kind == "DECIMAL":
        return f"DECIMAL({facts['precision']},{facts['scale']})"
    return "UNKNOWN" if kind == "NULL" else kind


def _spelled(value: bool) -> str:  # Java's spelling
    return str(value).lower()
