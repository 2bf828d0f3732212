"""Columns, names and IDs that are hard on a table: made without Spark, to be kept or refused."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

OLD = dt.datetime(1500, 2, 3, 4, 5, 6, 789012)  # before the calendar changed, with microseconds
LATE = dt.datetime(9999, 12, 31, 23, 59, 59, 999999)
FIRST_DAY, NEVER_WAS = dt.date(1, 1, 1), dt.date(1582, 10, 10)
TENSORS = pa.fixed_shape_tensor(pa.float32(), [2])
TEXT = pa.string()
LISTS = pa.list_(pa.list_(TEXT))
SIXTEEN_BYTES = [b"0123456789abcdef", None, b"f" * 16, b"0" * 16]
FLOATS = pa.list_(pa.float32(), 2)

ENGINES: dict[str, dict[str, Any]] = {
    "arrow": {"engine": "arrow"},
    "broadcast-ids": {"engine": "spark", "strategy": "broadcast-ids"},
    "row-positions": {"engine": "spark", "strategy": "row-positions"},
    "delta": {"output_format": "delta"},
}

# Each has four rows, and NULL in the second.
KEPT_BY_BOTH_ENGINES: dict[str, pa.Array] = {
    "boolean": pa.array([True, None, False, True]),
    "int8": pa.array([-128, None, 127, 0], pa.int8()),
    "int16": pa.array([-(2**15), None, 2**15 - 1, 0], pa.int16()),
    "int64": pa.array([-(2**63), None, 2**63 - 1, 0], pa.int64()),
    "float": pa.array([float("-inf"), None, -0.0, float("nan")], pa.float32()),
    "double": pa.array([float("inf"), None, -0.0, float("nan")], pa.float64()),
    "decimal_38_18": pa.array(
        [Decimal("12345678901234567890.123456789012345678"), None, Decimal("-1E-18"), Decimal(0)],
        pa.decimal128(38, 18),
    ),
    "date": pa.array([FIRST_DAY, None, LATE.date(), NEVER_WAS]),
    "UTC_microseconds": pa.array([OLD, None, LATE, OLD], pa.timestamp("us", "UTC")),
    "local_microseconds": pa.array([OLD, None, LATE, OLD], pa.timestamp("us")),
    "struct": pa.array(
        [{"a": {"b": [1, None]}, "c": None}, None, {"a": None, "c": b"x"}, {"a": {"b": []}}],
        pa.struct({"a": pa.struct({"b": pa.list_(pa.int8())}), "c": pa.binary()}),
    ),
    "list_of_structs": pa.array(
        [[{"x": 1, "y": "a"}, None], None, [], [{"x": None, "y": None}]],
        pa.list_(pa.struct({"x": pa.int64(), "y": pa.string()})),
    ),
    "map": pa.array(
        [[("k", [1])], None, [], [("a", None), ("b", [])]],
        pa.map_(pa.string(), pa.list_(pa.int32())),
    ),
    "struct_of_maps": pa.array(
        [{"m": [(1, {"z": "1"})]}, None, {"m": None}, {"m": []}],
        pa.struct({"m": pa.map_(pa.int32(), pa.struct({"z": pa.string()}))}),
    ),
    "lists_of_lists": pa.array([[[["x"], None]], None, [], [[]]], pa.list_(LISTS)),
    "large_string": pa.array(["a", None, "e\u0301", ""], pa.large_string()),
    "large_binary": pa.array([b"a", None, b"\0\xff", b""], pa.large_binary()),
    "large_list": pa.array([[1], None, [], [None]], pa.large_list(pa.int32())),
    "string_view": pa.array(["a", None, "longer than twelve bytes", ""], pa.string_view()),
    "binary_view": pa.array([b"a", None, b"longer than twelve bytes", b""], pa.binary_view()),
    "list_view": pa.array([[1], None, [], [None]], pa.list_view(pa.int32())),
    "dictionary": pa.array(["a", None, "a", "b"]).dictionary_encode(),
    "dictionary_of_numbers": pa.array([10, None, 20, 10]).dictionary_encode(),
    "fixed_size_list": pa.array([[1, 2], None, [3, None], [4, 5]], FLOATS),
}

# In Parquet these are integers and lists; only pyarrow's own schema beside them says what of.
ARROW_ALONE_KNOWS: dict[str, pa.Array] = {
    "duration": pa.array([1, None, 3, 4], pa.duration("us")),
    "Berlin": pa.array([OLD, None, LATE, OLD], pa.timestamp("us", "Europe/Berlin")),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0, 1], pa.int8())),
    "tensor": pa.ExtensionArray.from_storage(
        TENSORS, pa.array([[1, 2], None, [3, 4], [5, 6]], FLOATS)
    ),
}

REFUSED_BY_SPARK: dict[str, pa.Array] = {
    "uint8": pa.array([1, None, 255, 0], pa.uint8()),
    "uint16": pa.array([1, None, 2**16 - 1, 0], pa.uint16()),
    "uint32": pa.array([1, None, 2**32 - 1, 0], pa.uint32()),
    "uint64": pa.array([1, None, 2**64 - 1, 0], pa.uint64()),
    "half": pa.array([1.5, None, -0.0, 0.0], pa.float16()),
    "time_in_milliseconds": pa.array([1, None, 3, 4], pa.time32("ms")),
    "time_in_microseconds": pa.array([1, None, 3, 4], pa.time64("us")),
    "time_in_nanoseconds": pa.array([1, None, 3, 4], pa.time64("ns")),
    "nanoseconds": pa.array([1, None, 3, 4], pa.timestamp("ns")),
    "UTC_nanoseconds": pa.array([1, None, 3, 4], pa.timestamp("ns", "UTC")),
    "local_milliseconds": pa.array([1, None, 3, 4], pa.timestamp("ms")),
    "UTC_milliseconds": pa.array([1, None, 3, 4], pa.timestamp("ms", "UTC")),  # beside µs
    "fixed_length_binary": pa.array(SIXTEEN_BYTES, pa.binary(16)),
    "UUID": pa.array(SIXTEEN_BYTES, pa.binary(16)).cast(pa.uuid()),
    "JSON": pa.array(["{}", None, "1", "[]"]).cast(pa.json_(pa.string())),
    "decimal_50_2": pa.array([Decimal("1.25"), None, Decimal(10**40), 0], pa.decimal256(50, 2)),
    "list_of_unsigned": pa.array([[1], None, [], [2]], pa.list_(pa.uint32())),
    "map_to_nanoseconds": pa.array([[("k", 1)], None, [], []], pa.map_(TEXT, pa.timestamp("ns"))),
    "struct_of_binary": pa.array(
        [{"inner": b"0123456789abcdef"}, None, {"inner": None}, {}],
        pa.struct({"inner": pa.binary(16)}),
    ),
}

# Names that a reader of text takes for something else, or that mean something to SQL or to Spark.
NAMES = (
    "a.b", "a b", "a`b", "`", "``", "a\"b", "a'b", "a;b", "a,b", "a=b", "a{b}", "a(b)", "a\tb",
    "a\nb", "a\\b", "a/b", "[a]", "*", "$x", "{x}", ".", " ", "é", "e\u0301", "\u202eid", "x" * 300,
    "Size (KB)", "x (STRING)", "x = 5;", "} optional int32 y;", "a\n  required int32 z",
    "_metadata", "file_path", "row_index", "_c0", "__dedup_planned_id", "__dedup_file_path",
    "value", "element", "key_value", "drop table images", "select",
)  # fmt: skip

# Two that differ in a byte that no text has would be the same as text.
IDS = (
    b"", b"\0", b"\0\0", b"a", b"A", b"a ", b" a", b"a\n", b"a\r\n", b"a\0", b"a\0b",
    b"\xff", b"\xfe", b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\xef\xbf\xbd", b"\xf4\x90\x80\x80",
    "é".encode(), "e\u0301".encode(), "\u200fa".encode(), "\u202ea".encode(), "\ufeffa".encode(),
    b"x" * 10_240, b"x" * 10_239 + b"y", b"'; DROP TABLE images; --", b"<script>", b"NULL", b"${x}",
)  # fmt: skip


def strings_of(values: list[bytes | None], kind: pa.DataType | None = None) -> pa.Array:
    """An array of strings from bytes, whatever these are."""
    stored = pa.array(values, pa.binary())
    return pa.Array.from_buffers(kind or pa.string(), len(stored), stored.buffers())


def four_rows(columns: dict[str, pa.Array], id_column: str = "image_id") -> pa.Table:
    """Rows with the IDs a, b, c and d, an image each, and these columns."""
    images = pa.array([b"\xff\xd8" + bytes([row]) * 9 for row in range(4)])
    return pa.table({id_column: ["a", "b", "c", "d"], "image": images, **columns})


def as_interval(path: Path, name: str) -> Path:
    """Give a column of 12 fixed bytes the type INTERVAL, which pyarrow can't write."""
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    ends = b"\x18" + bytes([len(name)]) + name.encode()  # Thrift: field 4, a string; then the end
    assert footer.count(ends + b"\0") == 1
    footer = footer.replace(ends + b"\0", ends + b"\x25\x2a\0")  # field 6, the number 21
    path.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def write_encrypted(table: pa.Table, path: Path, *, plaintext_footer: bool) -> Path:
    """Write a Parquet file whose columns, and perhaps footer, only a key opens."""
    from pyarrow.parquet import encryption

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:  # pyarrow's
            return key_bytes

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:  # pyarrow's
            return wrapped_key

    factory = encryption.CryptoFactory(lambda _: Keys())
    configuration = encryption.EncryptionConfiguration(
        footer_key="footer",
        column_keys={"columns": table.column_names},
        plaintext_footer=plaintext_footer,
    )
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), configuration)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return path


def data_files(root: Path) -> list[Path]:
    """The Parquet files of a table, but for those of a Delta log."""
    return [path for path in sorted(root.rglob("*.parquet")) if "_delta_log" not in str(path)]


def logical_rows(root: Path) -> list[dict[str, Any]]:
    """The rows of a table's files, by pyarrow; a Delta log tells the names of mapped columns."""
    names: dict[str, str] = {}
    for commit in root.glob("_delta_log/*.json"):
        for action in map(json.loads, commit.read_text().splitlines()):
            schema = action.get("metaData", {}).get("schemaString", '{"fields": []}')
            for field in json.loads(schema)["fields"]:
                name = field["metadata"].get("delta.columnMapping.physicalName", field["name"])
                names[name] = field["name"]
    return [
        {names.get(name, name): value for name, value in row.items()}
        for path in data_files(root)
        for row in pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read().to_pylist()
    ]


def rows_by_id(root: Path, id_column: str = "image_id") -> dict[str, list[str]]:
    """The rows of a table's files: each value spelled out."""
    rows = logical_rows(root)
    return {row[id_column]: [f"{name} {value!r}" for name, value in row.items()] for row in rows}


def without_b(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Rows by ID, but for the one that is NULL."""
    return {image_id: row for image_id, row in rows.items() if image_id != "b"}


def parquet_types(file: pq.ParquetFile) -> dict[str, tuple[Any, ...]]:
    """What each leaf column is in Parquet: a decimal's bytes are the writer's affair."""
    found = {}
    for index in range(len(file.schema)):
        leaf = file.schema.column(index)
        kind = str(leaf.logical_type)
        stored = "a decimal" if kind.startswith("Decimal") else (leaf.physical_type, leaf.length)
        found[leaf.path] = (stored, kind, leaf.max_repetition_level, leaf.max_definition_level)
    return found
