"""Add two columns to a Parquet file: whether a row is a duplicate, and the image that is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from dedup_lib.executor.kept_rows import invert, kept_row_groups
from dedup_lib.executor.key_values import ARROW_SCHEMA, serialise

# The verification reads the marks by Spark, which lacks some codecs.
_INSTEAD = {"BROTLI": "ZSTD"}
IS_DUPLICATE = "is_duplicate"
KEPT_IMAGE_ID = "kept_image_id"
# The key-value metadata that Spark uses before the columns themselves.
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"


class FileLayout(NamedTuple):
    """The layout of a file to write.

    Attributes:
        schema: The columns, with Arrow's types.
        options: The options of pyarrow's writer.
        key_values: Key-value metadata that the writer does not make itself.
    """

    schema: Any
    options: dict[str, Any]
    key_values: Mapping[bytes, bytes]


def annotated_layout(layout: FileLayout, id_column: str) -> FileLayout:
    """Add the two columns to the schema, options and metadata of a file.

    The ID of the kept image has the type, codec, dictionary and statistics of the image ID. The
    two columns come last, because the metadata on sorted rows gives columns by number.
    """
    import pyarrow as pa

    image_id = layout.schema.field(id_column).type
    id_type = image_id.value_type if pa.types.is_dictionary(image_id) else image_id
    schema = layout.schema.append(pa.field(IS_DUPLICATE, pa.bool_(), nullable=False))
    schema = schema.append(pa.field(KEPT_IMAGE_ID, id_type))
    options = {**layout.options}
    if isinstance(codecs := options.get("compression"), dict):
        codec = codecs.get(id_column, "NONE")
        marks_codec = _INSTEAD.get(codec, codec)
        options["compression"] = {**codecs, IS_DUPLICATE: marks_codec, KEPT_IMAGE_ID: codec}
    for name in ("use_dictionary", "write_statistics"):
        if id_column in (columns := options.get(name) or ()):
            options[name] = [*columns, KEPT_IMAGE_ID]
    key_values = {**layout.key_values}
    if _SPARK_SCHEMA in key_values:
        key_values[_SPARK_SCHEMA] = _add_fields(key_values[_SPARK_SCHEMA], id_column)
    if key_values.pop(ARROW_SCHEMA, None) is not None:
        key_values[ARROW_SCHEMA] = serialise(schema.remove_metadata())
    return FileLayout(schema, options, key_values)


def annotated_row_groups(
    file: Any,
    is_removed: Any,
    keepers: Mapping[int, bytes | int | Decimal],
    schema: Any,
    source: str,
) -> Iterator[Any]:
    """Yield all rows with the two columns, row group by row group.

    Args:
        file: pyarrow's reader.
        is_removed: For each row, whether it is a duplicate.
        keepers: The ID of the kept image, by the row index of the duplicate.
        schema: The schema with the two columns.
        source: The name of the file in messages.
    """
    import pyarrow as pa

    start = 0
    for table in kept_row_groups(file, _all_false(is_removed), source):
        rows = range(start, start + table.num_rows)
        start += table.num_rows
        kept = kept_ids([keepers.get(row) for row in rows], schema.field(KEPT_IMAGE_ID).type)
        columns = [*table.columns, is_removed.slice(rows.start, table.num_rows), kept]
        yield pa.Table.from_arrays(columns, schema=schema)


def kept_ids(values: Sequence[bytes | int | Decimal | None], id_type: Any) -> Any:
    """Return the IDs of kept images, as a plan gives them, as an Arrow array of a type."""
    import pyarrow as pa

    numeric = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_duration)
    if any(is_type(id_type) for is_type in numeric):
        return pa.array([None if value is None else int(value) for value in values], id_type)
    return pa.array(values, pa.binary()).cast(id_type, safe=False)  # some strings are not UTF-8


def _all_false(booleans: Any) -> Any:
    from pyarrow import compute as pc

    return pc.and_(booleans, invert(booleans))


def _add_fields(spark_schema: bytes, id_column: str) -> bytes:
    """Add the two columns to Spark's schema in the metadata, which Spark reads first."""
    schema = json.loads(spark_schema)
    id_type = next(field["type"] for field in schema["fields"] if field["name"] == id_column)
    for name, kind in ((IS_DUPLICATE, "boolean"), (KEPT_IMAGE_ID, id_type)):
        schema["fields"].append({"name": name, "type": kind, "nullable": True, "metadata": {}})
    return json.dumps(schema).encode()
