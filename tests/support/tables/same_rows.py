"""Whether Arrow tables have the same rows, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def as_parquet(table: pa.Table) -> bytes:
    """The same bytes for the same rows, to the last bit of a NaN."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        without_views(table).combine_chunks(),
        sink,
        compression="none",
        use_dictionary=False,
        store_schema=False,
    )
    return sink.getvalue().to_pybytes()


def without_views(table: pa.Table) -> pa.Table:
    """pyarrow can't put views together."""
    for index, field in enumerate(table.schema):
        for view, plain in ((pa.string_view(), pa.string()), (pa.binary_view(), pa.binary())):
            if field.type == view:
                values = table.column(index).cast(plain)
                table = table.set_column(index, field.with_type(plain), values)
    return table


def slices(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """Some rows: not every type can be taken or filtered."""
    return pa.concat_tables([table.slice(0, 0), *(table.slice(row, 1) for row in rows)])


def spelled(table: pa.Table) -> list[str]:
    """Rows as text, by the types that Parquet alone knows."""
    plain = pq.read_table(pa.BufferReader(as_parquet(table)))
    return [repr(row) for row in plain.to_pylist()]
