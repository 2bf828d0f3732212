"""Random tables, whatever Parquet holds: the rows that stay are what they were, or it is said why.

More of it: `FUZZ_EXAMPLES=500 python -m pytest tests/property/test_fuzz.py`, new ones each time.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from dedup_lib.executor import rewrite_file
from dedup_lib.executor.writer_options import schema_lines
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import write_list
from tests.support.tables.random_tables import random_table, schemas
from tests.support.tables.random_values import random_id
from tests.support.tables.same_rows import as_parquet, slices, spelled

RUNS = int(os.environ.get("FUZZ_EXAMPLES", "6"))
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def profile(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize="FUZZ_EXAMPLES" not in os.environ,
        print_blob=True,
        suppress_health_check=SUPPRESSED,
    )


def write_options(random: Random) -> dict[str, Any]:
    """About every way in which pyarrow writes a file."""
    return {
        "compression": random.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        "row_group_size": random.choice([1, 3, 1000]),
        "data_page_version": random.choice(["1.0", "2.0"]),
        "version": random.choice(["1.0", "2.4", "2.6", "2.6"]),
        "use_dictionary": random.choice([True, False]),
        "write_statistics": random.choice([True, False]),
        "write_page_index": random.choice([True, False]),
        "write_page_checksum": random.choice([True, False]),
        "store_schema": random.choice([True, True, False]),
        "store_decimal_as_integer": random.choice([True, False]),
        "use_compliant_nested_type": random.choice([True, True, False]),
    }


def write(table: pa.Table, path: Path, options: dict[str, Any]) -> None:
    """Write a file, where pyarrow can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        pq.write_table(table, path, **options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        reject()


@profile(20 * RUNS)
@given(st.data(), st.integers(0, 2**32))
def test_g3_a_file_of_any_schema_loses_the_planned_rows_and_nothing_else(tmp_path, data, seed):
    random = Random(seed)
    schema = data.draw(schemas(common_only=False))
    num_rows = random.randrange(1, 30)
    shutil.rmtree(tmp_path, ignore_errors=True)
    source = tmp_path / "1.parquet"
    options = write_options(random)
    write(random_table(schema, range(num_rows), random), source, options)
    gone = sorted(random.sample(range(num_rows), random.randrange(num_rows)))
    rewrite_file.rewrite(task(tmp_path, source), bitmap(*gone), {})
    before, after = pq.ParquetFile(source), pq.ParquetFile(tmp_path / "out/1.parquet")
    kept = slices(before.read(), [row for row in range(num_rows) if row not in gone])
    assert as_parquet(after.read()) == as_parquet(kept)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert schema_lines(after.schema) == schema_lines(before.schema)
    assert after.metadata.metadata == before.metadata.metadata


def refused_types(file: pq.ParquetFile) -> set[str]:
    """What the README says that Spark's engine refuses, by Parquet's own names."""
    leaves = [file.schema.column(index) for index in range(len(file.schema))]
    found = {str(leaf.logical_type) for leaf in leaves if is_refused(leaf)}
    instants = {str(leaf.logical_type) for leaf in leaves if "ToUTC=true" in str(leaf.logical_type)}
    return found | (instants if len(instants) > 1 else set())


def is_refused(leaf: pq.ColumnSchema) -> bool:
    kind = str(leaf.logical_type)
    if kind.startswith("Decimal"):
        return leaf.precision > 38
    if "milliseconds" in kind and "isAdjustedToUTC=false" in kind:
        return True
    odd = ("isSigned=false", "Time(", "nanoseconds", "Float16")
    return leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" or any(word in kind for word in odd)


@st.composite
def cases(draw):
    """A schema, how files of it are written, rows of each, and IDs to remove."""
    schema = draw(schemas(common_only=draw(st.booleans())))
    random = Random(draw(st.integers(0, 2**32)))
    sizes = [random.randrange(12) for _ in range(random.randrange(1, 4))]
    sizes[0] += 1
    listed = [random_id(schema.field("image_id").type, random, nullable=True) for _ in range(4)]
    return schema, sizes, listed, random


def write_case(folder: Path, case: Any) -> pa.Table:
    """Write tables and list; return the rows that stay."""
    schema, sizes, listed, random = case
    shutil.rmtree(folder, ignore_errors=True)
    options = write_options(random)
    if options["compression"] == "brotli":  # which Spark can't read: that is refused
        options["compression"] = "zstd"
    for number, size in enumerate(sizes):
        rows = range(100 * number, 100 * number + size)
        options |= {"row_group_size": random.choice([1, 3, 1000])}
        write(random_table(schema, rows, random), folder / f"images/{number}.parquet", options)
    write_list(folder / "list.parquet", listed, id_type=schema.field("image_id").type)
    whole = rows_of(folder / "images")
    ids = whole["image_id"].to_pylist()
    gone = set(listed) - {None}
    return slices(whole, [row for row, image_id in enumerate(ids) if image_id not in gone])


def rows_of(folder: Path) -> pa.Table:
    """All rows of a table's files, in the order of their numbers."""
    whole = pa.concat_tables([pq.ParquetFile(path).read() for path in folder.glob("*.parquet")])
    numbers = whole["row"].to_pylist()
    return slices(whole, sorted(range(len(numbers)), key=numbers.__getitem__))


@profile(RUNS)
@given(case=cases())
def test_g3_a_table_of_any_schema_keeps_its_other_rows_by_either_engine(remove, tmp_path, case):
    folder = tmp_path / "case"
    kept = write_case(folder, case)
    asked = {"allow_no_matches": True, "allow_empty_list": True, "max_removed_fraction": 1.0}
    given_to = (folder / "images", folder / "list.parquet")
    remove(*given_to, folder / "arrow", engine="arrow", **asked)
    if kept.num_rows:
        assert as_parquet(rows_of(folder / "arrow")) == as_parquet(kept)
    file = pq.ParquetFile(folder / "images/0.parquet")
    if refused_types(file):
        event("refused by Spark's engine")
        with pytest.raises((ColumnTypeError, UnreadableFileError)):
            remove(*given_to, folder / "spark", engine="spark", **asked)
        return
    event("kept by both engines")
    remove(*given_to, folder / "spark", engine="spark", **asked)
    if kept.num_rows:
        assert spelled(rows_of(folder / "spark")) == spelled(kept)
