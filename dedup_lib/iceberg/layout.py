"""Properties, partitions and sort order of the Iceberg tables that a run makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import SparkSession
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    ByteType,
    DataType,
    MapType,
    ShortType,
    StructType,
)

from dedup_lib.errors import ColumnTypeError, UnsupportedError
from dedup_lib.iceberg.detail import Detail
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.pinned import PinnedTable

_DEFAULT_VERSION = 2
_HIDDEN_COLUMNS = frozenset(
    {
        *("_file", "_pos", "_deleted", "_spec_id", "_partition"),
        *("_row_id", "_last_updated_sequence_number"),
    }
)
_CODEC = "spark.sql.parquet.compression.codec"
_CODECS = frozenset({"uncompressed", "snappy", "gzip", "zstd"})
_ROW_GROUP_BYTES = "write.parquet.row-group-size-bytes"
_DISTRIBUTION = "write.distribution-mode"
_SORTED_BY = re.compile(r"(.+) (ASC|DESC) NULLS (FIRST|LAST)", re.DOTALL)
_TRANSFORM = re.compile(
    r"bucket\((?P<buckets>\d+), (?P<hashed>.+)\)|truncate\((?P<cut>.+), (?P<width>\d+)\)"
    r"|(?P<unit>years?|months?|days?|hours?)\((?P<instant>.+)\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Layout:
    """What a new table keeps of the image table that its rows are from.

    Attributes:
        format_version: The version of Iceberg's format.
        partitions: The transforms of the partition spec, spelled for SQL.
        sort_order: The terms of the sort order, spelled for SQL.
        identifier_fields: The columns that identify a row, spelled for SQL.
        properties: Properties of the table.
    """

    format_version: int = _DEFAULT_VERSION
    partitions: Sequence[str] = ()
    sort_order: Sequence[str] = ()
    identifier_fields: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)

    def statements(self, table: str) -> Iterator[str]:
        """Yield the statements that give a table without rows its partitions and orders."""
        for transform in self.partitions:
            yield f"ALTER TABLE {table} ADD PARTITION FIELD {transform}"
        if self.sort_order:
            yield f"ALTER TABLE {table} WRITE LOCALLY ORDERED BY {', '.join(self.sort_order)}"
        if self.identifier_fields:
            fields = ", ".join(self.identifier_fields)
            yield f"ALTER TABLE {table} SET IDENTIFIER FIELDS {fields}"


def layout_of(spark: SparkSession, images: PinnedTable | None) -> Layout:
    """Return the layout of a table with the rows of an image table; None for other rows.

    Raises:
        UnsupportedError: The table has a sort order or identifier fields that can't be spelled.
    """
    if images is None:
        return Layout()
    detail = images.detail.get("iceberg")
    if not isinstance(detail, Detail):
        return Layout(partitions=[quoted(name) for name in images.partition_columns])
    names = dict(field_names(images.frame.schema))
    distribution = detail.properties.get(_DISTRIBUTION)
    return Layout(
        format_version=max(detail.format_version, _DEFAULT_VERSION),
        partitions=_partitions(spark, detail.name),
        sort_order=sort_terms(detail.properties.get("sort-order", ""), names, images.location),
        identifier_fields=_identifier_fields(
            detail.properties.get("identifier-fields", ""), names, images.location
        ),
        properties={} if distribution is None else {_DISTRIBUTION: distribution},
    )


def memory_properties(schema: StructType, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the properties that bound the memory for writing and reading images.

    Args:
        schema: The schema of the rows.
        settings: The session settings that were chosen for the images; empty for other rows.
    """
    properties = {
        # By default, a size is first looked at after 100 rows.
        "write.parquet.row-group-check-min-record-count": "1",
        _ROW_GROUP_BYTES: settings.get("parquet.block.size", str(64 * 1024**2)),
        "write.parquet.row-group-check-max-record-count": settings.get(
            "parquet.block.size.row.check.max", "100"
        ),
    }
    for column in _binary_fields(schema):
        properties[f"write.metadata.metrics.column.{column}"] = "none"
        properties[f"write.parquet.stats-enabled.column.{column}"] = "false"
    return properties


def codec_of(settings: Mapping[str, str]) -> str | None:
    """Return Iceberg's name of the codec that was chosen for images; None for the default."""
    codec = settings.get(_CODEC)
    return codec if codec in _CODECS else None


def sort_terms(sort_order: str, names: Mapping[str, str], location: str) -> list[str]:
    """Spell a sort order for SQL; Iceberg shows it without quotes.

    Args:
        sort_order: The property `sort-order`, such as `bucket(4, id) ASC NULLS FIRST, a b DESC …`.
        names: How each field of the table is spelled for SQL, by the name that Iceberg shows.
        location: The table, for messages.

    Raises:
        UnsupportedError: A term can't be told from others.
    """
    if not sort_order:
        return []
    terms, rest = [], ""
    for part in sort_order.split(", "):  # a comma may also be within a transform or a name
        rest = f"{rest}, {part}" if rest else part
        match = _SORTED_BY.fullmatch(rest)
        if match is not None and (term := _spelled(match[1], names)) is not None:
            terms.append(f"{term} {match[2]} NULLS {match[3]}")
            rest = ""
    if rest:
        raise UnsupportedError(
            f"image table {location!r} has the sort order {sort_order!r}, of which {rest!r} can't "
            "be kept in a new Iceberg table. Use --output-format parquet or delta, which have no "
            "sort order."
        )
    return terms


def _spelled(term: str, names: Mapping[str, str]) -> str | None:
    """Spell a column or a transform of a column for SQL; None if there is no such column."""
    if term in names:
        return names[term]
    match = _TRANSFORM.fullmatch(term)
    if match is None:
        return None
    column = names.get(match["hashed"] or match["cut"] or match["instant"])
    if column is None:
        return None
    if match["buckets"]:
        return f"bucket({match['buckets']}, {column})"
    return f"truncate({match['width']}, {column})" if match["cut"] else f"{match['unit']}({column})"


def _identifier_fields(shown: str, names: Mapping[str, str], location: str) -> list[str]:
    """Spell the identifier fields for SQL; Iceberg shows them as `[id,name]`."""
    fields = [names.get(name) for name in shown.strip("[]").split(",") if name]
    found = [name for name in fields if name is not None]
    if len(found) < len(fields):
        raise UnsupportedError(
            f"image table {location!r} has the identifier fields {shown}, which can't be kept in a "
            "new Iceberg table. Drop them, or use --output-format parquet or delta."
        )
    return found


def _partitions(spark: SparkSession, table: str) -> list[str]:
    """Return the transforms of a table's partition spec, as Spark shows them: quoted for SQL."""
    rows = spark.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()
    heads = [row["col_name"] for row in rows]
    if "# Partition Information" in heads:  # identities only
        first = heads.index("# Partition Information") + 2
        found = [row["col_name"] for row in rows[first:]]
    elif "# Partitioning" in heads:
        found = [row["data_type"] for row in rows[heads.index("# Partitioning") + 1 :]]
    else:
        return []
    return [transform for transform in found[: found.index("")] if transform[:5] != "void("]


def field_names(
    schema: StructType, shown: str = "", spelled: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield each field, also below structs: its name as Iceberg shows it, and for SQL."""
    for one in schema:
        yield shown + one.name, spelled + quoted(one.name)
        if isinstance(one.dataType, StructType):
            parents = f"{shown}{one.name}.", f"{spelled}{quoted(one.name)}."
            yield from field_names(one.dataType, *parents)


def _binary_fields(schema: StructType) -> list[str]:
    """Return the names of all binary leaf fields, as Iceberg spells them."""
    return [name for one in schema for name in _binary_leaves(one.dataType, one.name)]


def _binary_leaves(data_type: DataType, name: str) -> Iterator[str]:
    if isinstance(data_type, BinaryType):
        yield name
    elif isinstance(data_type, StructType):
        for one in data_type:
            yield from _binary_leaves(one.dataType, f"{name}.{one.name}")
    elif isinstance(data_type, ArrayType):
        yield from _binary_leaves(data_type.elementType, f"{name}.element")
    elif isinstance(data_type, MapType):
        yield from _binary_leaves(data_type.valueType, f"{name}.value")


def check_keeps(images: PinnedTable) -> None:
    """Refuse columns and a layout that a new Iceberg table does not have as they are.

    Raises:
        ColumnTypeError: Iceberg would change the type, or has such a column itself.
        UnsupportedError: The sort order or identifier fields can't be spelled.
    """
    layout_of(images.frame.sparkSession, images)
    for column in images.frame.schema:
        if column.name in _HIDDEN_COLUMNS:
            raise ColumnTypeError(
                f"image table {images.location!r} has a column {column.name!r}, which hides "
                "Iceberg's own column of that name. Rename it where the table is made, or use "
                "--output-format parquet or delta."
            )
        if _has_small_integers(column.dataType):
            raise ColumnTypeError(
                f"image table {images.location!r}: column {column.name!r} is "
                f"{column.dataType.simpleString()}, and Iceberg would write its integers of 8 or "
                "16 bits as int. Cast it where the table is made, or use --output-format parquet "
                "or delta."
            )


def _has_small_integers(data_type: DataType) -> bool:
    if isinstance(data_type, ByteType | ShortType):
        return True
    if isinstance(data_type, StructType):
        return any(_has_small_integers(field.dataType) for field in data_type)
    parts = (getattr(data_type, name, None) for name in ("elementType", "keyType", "valueType"))
    return any(_has_small_integers(part) for part in parts if part is not None)
