"""All rows of a Parquet file with two columns more: is it a duplicate, and of what that stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.kept_rows import inverted, kept_row_groups

IS_DUPLICATE = "is_duplicate"
KEPT_IMAGE_ID = "kept_image_id"
# Readers go by these before they look at the columns.
_ARROW_SCHEMA = b"ARROW:schema"
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_SPARK_TYPES = {"int32": "integer", "int64": "long"}


class Footer(NamedTuple):
    """What a file is written with.

    Attributes:
        schema: Of its columns, in Arrow's types.
        options: Of pyarrow's writer.
        key_values: Key-value metadata, beside what the writer makes.
    """

    schema: Any
    options: dict[str, Any]
    key_values: Mapping[bytes, bytes]


def annotated_footer(footer: Footer, id_column: str) -> Footer:
    """Add the two columns to a file's schema, options and metadata.

    The kept image's ID has the type, codec, dictionary and statistics of the image ID. The columns
    come last, so that the order of the rows, which names columns by number, is still told.
    """
    import pyarrow as pa

    own_id = footer.schema.field(id_column).type
    id_type = own_id.value_type if pa.types.is_dictionary(own_id) else own_id
    schema = footer.schema.append(pa.field(IS_DUPLICATE, pa.bool_(), nullable=False))
    schema = schema.append(pa.field(KEPT_IMAGE_ID, id_type))
    options = {**footer.options}
    if isinstance(codecs := options.get("compression"), dict):
        codec = codecs.get(id_column, "NONE")
        options["compression"] = {**codecs, IS_DUPLICATE: codec, KEPT_IMAGE_ID: codec}
    for name in ("use_dictionary", "write_statistics"):
        if id_column in (columns := options.get(name) or ()):
            options[name] = [*columns, KEPT_IMAGE_ID]
    key_values = {**footer.key_values}
    if _SPARK_SCHEMA in key_values:
        spark_type = _SPARK_TYPES.get(str(id_type), "string")
        key_values[_SPARK_SCHEMA] = _with_fields(key_values[_SPARK_SCHEMA], spark_type)
    if key_values.pop(_ARROW_SCHEMA, None) is not None:
        key_values[_ARROW_SCHEMA] = _serialised(schema)
    return Footer(schema, options, key_values)


def annotated(
    file: Any, goes: Any, keepers: Mapping[int, bytes | int], schema: Any, source: str
) -> Iterator[Any]:
    """Yield all rows with the two columns, row group by row group.

    Args:
        file: pyarrow's reader.
        goes: One boolean a row: whether it is a duplicate.
        keepers: The image that is kept for it, by row index; others have none.
        schema: Of what is yielded.
        source: The file, for messages.
    """
    import pyarrow as pa

    start = 0
    for table in kept_row_groups(file, _none(goes), source):
        rows = range(start, start + table.num_rows)
        start += table.num_rows
        kept = _ids([keepers.get(row) for row in rows], schema.field(KEPT_IMAGE_ID).type)
        columns = [*table.columns, goes.slice(rows.start, table.num_rows), kept]
        yield pa.Table.from_arrays(columns, schema=schema)


def _ids(values: Sequence[bytes | int | None], id_type: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_integer(id_type):
        return pa.array(values, id_type)
    return pa.array(values, pa.binary()).cast(id_type, safe=False)  # not all strings are UTF-8


def _none(goes: Any) -> Any:
    from pyarrow import compute as pc

    return pc.and_(goes, inverted(goes))


def _with_fields(spark_schema: bytes, id_type: str) -> bytes:
    """Add the two columns to Spark's own spelling of a schema, which it reads first."""
    schema = json.loads(spark_schema)
    for name, kind in ((IS_DUPLICATE, "boolean"), (KEPT_IMAGE_ID, id_type)):
        schema["fields"].append({"name": name, "type": kind, "nullable": True, "metadata": {}})
    return json.dumps(schema).encode()


def _serialised(schema: Any) -> bytes:
    """Return a schema as pyarrow keeps it in Parquet files, without their key-value metadata."""
    import base64

    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes())
