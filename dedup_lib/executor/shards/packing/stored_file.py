"""Read a file whose columns may have other names and types than the table, or be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dedup_lib.executor.shards.packing.stored_columns import (
    INSTEAD,
    StoredColumn,
    StoredSchema,
    arrow_schema,
    columns_of,
    scalar_of,
)
from dedup_lib.executor.stores import FileRefusedError

_ID = b"PARQUET:field_id"
# Spark's own limits: other calendars agree from then on. In days, and in microseconds.
_GREGORIAN_SINCE = -141_427
_SAME_OFFSETS_SINCE = -2_208_988_800_000_000
# Keys in a footer, by which Spark knows a file with times of the Julian calendar.
_JULIAN = (b"org.apache.spark.legacyDateTime", b"org.apache.spark.legacyINT96")
_WRITTEN_BY = b"org.apache.spark.version"


class StoredFile:
    """A file of the table: reads batches of its rows with the columns and types of the table."""

    def __init__(
        self,
        file: Any,
        schema: StoredSchema,
        partition: Mapping[str, str | None],
        source: str,
    ) -> None:
        """Find the table's columns in the file.

        Args:
            file: pyarrow's reader of the file.
            schema: The schema of the table.
            partition: The text of each partition column: for a timestamp its microseconds since
                1970, for bytes hex digits, otherwise as Spark casts it to text.
            source: The name of the file in messages.

        Raises:
            FileRefusedError: A column can't be found without doubt.
        """
        self._source = source
        self._is_julian = _may_be_julian(file.metadata)
        self._columns = columns_of(schema)
        self.arrow_schema = arrow_schema(self._columns)
        self._constants = {
            column.name: scalar_of(partition[column.name], column.type)
            for column in self._columns
            if column.name in schema.partition_columns
        }
        in_file = [column for column in self._columns if column.name not in self._constants]
        found = self._find(file.schema_arrow, in_file)
        self.stored_names = {
            column.name: file.schema_arrow.field(index).name
            for column, index in zip(in_file, found, strict=True)
            if index is not None
        }

    def find_ids(self, column: str, *, is_needed: bool) -> str:
        """Return the name of the ID column in the file; empty if all its IDs are NULL.

        Raises:
            FileRefusedError: The file lacks the column, but has IDs for Spark.
        """
        name: str = self.stored_names.get(column, "")
        if not name and is_needed:
            raise self._refusal(f"it lacks the column of the image ID, {column!r}")
        return name

    def typed(self, table: Any) -> Any:
        """Return rows of the file, as an Arrow table, with the columns and types of the table.

        Raises:
            FileRefusedError: A value does not fit the type of the table.
        """
        import pyarrow as pa

        schema = self.arrow_schema
        batches = [
            pa.RecordBatch.from_arrays(
                [self._array(batch, one) for one in self._columns], schema=schema
            )
            for batch in table.to_batches()
        ]
        return pa.Table.from_batches(batches, schema)

    def _array(self, batch: Any, column: StoredColumn) -> Any:
        import pyarrow as pa

        if column.name in self._constants:
            return pa.repeat(self._constants[column.name], batch.num_rows)
        stored_name = self.stored_names.get(column.name)
        if stored_name is None:
            return pa.nulls(batch.num_rows, column.type)
        array = batch.column(stored_name)
        try:
            return self._as_typed(array, column)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise self._refusal(
                f"{array.type} can't become {column.type} in column {column.name!r} ({reason})"
            ) from error

    def _as_typed(self, array: Any, column: StoredColumn) -> Any:
        """Return an array with the names and types of the table."""
        import pyarrow as pa

        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_struct(column.type):
            return self._struct(array, column)
        if pa.types.is_map(column.type):
            if not pa.types.is_map(array.type):
                raise pa.ArrowTypeError("it is no map")
            pairs = array.values
            children = [
                self._as_typed(pairs.field(index), part) for index, part in enumerate(column.parts)
            ]
            fields = [column.type.key_field, column.type.item_field]
            return _with_child(array, column, pa.StructArray.from_arrays(children, fields=fields))
        if pa.types.is_list(column.type):
            if not pa.types.is_list(array.type):
                if (value_type := getattr(array.type, "value_type", None)) is None:
                    raise pa.ArrowTypeError("it is no list")
                array = array.cast(pa.list_(value_type))
            return _with_child(array, column, self._as_typed(array.values, column.parts[0]))
        array = array if array.type.equals(column.type) else array.cast(column.type)
        if self._is_julian:
            self._check_calendar(array, column)
        return array

    def _struct(self, array: Any, column: StoredColumn) -> Any:
        import pyarrow as pa

        if not pa.types.is_struct(array.type):
            raise pa.ArrowTypeError("it is no struct")
        stored = [array.type.field(index) for index in range(array.type.num_fields)]
        found = self._find(stored, column.parts)
        if all(index is None for index in found):
            raise self._refusal(f"it has no field of the struct {column.name!r}")
        children = [
            pa.nulls(len(array), part.type)
            if index is None
            else self._as_typed(array.field(index), part)
            for part, index in zip(column.parts, found, strict=True)
        ]
        return pa.StructArray.from_arrays(children, fields=list(column.type), mask=array.is_null())

    def _find(self, stored: Any, columns: Sequence[StoredColumn]) -> list[int | None]:
        """Return the index in the file of each column; None if the file was written before it."""
        fields = list(stored)
        by_id = any(column.stored_id is not None for column in columns)
        if by_id and not any(_ID in (field.metadata or {}) for field in fields):
            raise self._refusal("its columns have no field IDs, and the table maps columns by ID")
        return [self._find_one(fields, column) for column in columns]

    def _find_one(self, fields: Sequence[Any], column: StoredColumn) -> int | None:
        def indexes(is_it: Callable[[Any], bool]) -> list[int]:
            return [index for index, field in enumerate(fields) if is_it(field)]

        if column.stored_id is not None:
            found = indexes(lambda field: (field.metadata or {}).get(_ID) == column.stored_id)
        else:
            found = indexes(lambda field: field.name == column.stored_name)
            # Whether they are the same for Spark depends on a setting.
            lower = column.stored_name.lower()
            if not found and indexes(lambda field: field.name.lower() == lower):
                raise self._refusal(f"the name of column {column.name!r} differs by case")
        if len(found) > 1:
            raise self._refusal(f"it has column {column.name!r} {len(found)} times")
        if not found and column.has_default:
            raise self._refusal(f"it lacks column {column.name!r}, which has a default")
        return found[0] if found else None

    def _check_calendar(self, array: Any, column: StoredColumn) -> None:
        import pyarrow as pa
        from pyarrow import compute as pc

        if pa.types.is_date32(array.type):
            numbers, since = array.cast(pa.int32()), _GREGORIAN_SINCE
        elif pa.types.is_timestamp(array.type):
            numbers, since = array.cast(pa.int64()), _SAME_OFFSETS_SINCE
        else:
            return
        least = pc.min(numbers).as_py()
        if least is not None and least < since:
            raise self._refusal(f"an old Spark wrote dates of another calendar: {column.name!r}")

    def _refusal(self, reason: str) -> FileRefusedError:
        return FileRefusedError(
            "types", f"file {self._source!r} can't be written as shards: {reason}. {INSTEAD}"
        )


def _may_be_julian(metadata: Any) -> bool:
    """Tell whether Spark may change old dates of a file when it reads them.

    Spark 2.4 did not leave its version, only that of its library.
    """
    key_values: Mapping[bytes, bytes] = metadata.metadata or {}
    unknown = b"2.4" if str(metadata.created_by).startswith("parquet-mr") else b"9.9"
    major, minor, *_ = key_values.get(_WRITTEN_BY, unknown).split(b".")
    return any(key in key_values for key in _JULIAN) or (int(major), int(minor)) < (3, 1)


def _with_child(array: Any, column: StoredColumn, child: Any) -> Any:
    """Return a list or map with other elements: those of the whole buffer, also unused ones."""
    import pyarrow as pa

    return pa.Array.from_buffers(
        column.type, len(array), array.buffers()[:2], offset=array.offset, children=[child]
    )
