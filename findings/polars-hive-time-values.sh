#!/usr/bin/env bash
# Polars 2.1.0: scan_parquet can't read a hive-partitioned directory if all values look like times of day
#
# Expected: partition values `10:30` and `11:45` (directories `slot=10%3A30`, as Spark and Polars with
#           `include_key=False` write them: the key is not in the files) are read as texts or as times.
# Happens:  Polars' schema inference takes them for the type Time, and its own reader of partition values
#           then says that it can't read that type: ComputeError. With one more value that is no time, all
#           are texts. Values with seconds (`10:30:00`) fail as well. `try_parse_hive_dates=False` reads
#           them as texts, and so does a `hive_schema` with String; one with Time does not help.
# Hurts:    a table by time slots can't be read by Polars' defaults, and a subset of a readable table (one
#           partition fewer) may not be readable.
# Versions: polars 2.1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cd "$work"
venv/bin/python -W ignore - <<'PY'
import itertools

import polars as pl

print("polars", pl.__version__)
numbers = itertools.count()


def read(values, **options):
    """Let Polars write a partitioned table, and read it again."""
    root = f"table-{next(numbers)}"
    frame = pl.DataFrame({"image_id": [f"image of {value}" for value in values], "slot": values})
    frame.lazy().sink_parquet(pl.PartitionBy(root, key="slot", include_key=False), mkdir=True)
    try:
        return sorted(pl.scan_parquet(root, hive_partitioning=True, **options).collect()["slot"].cast(pl.String))
    except pl.exceptions.ComputeError as error:
        return f"ComputeError: {error}"


for values in (["10:30", "11:45"], ["10:30:00", "11:45:00"]):
    found = read(values)
    print(values, "->", found)
    assert str(found).startswith("ComputeError") and "time" in found
    found = read(values, hive_schema={"slot": pl.Time})
    print(values, "with hive_schema Time ->", found)
    assert "time" in found
    assert read(values, hive_schema={"slot": pl.String}) == values
    found = read(values, try_parse_hive_dates=False)
    print(values, "with try_parse_hive_dates=False ->", found)
    assert found == values
mixed = ["10:30", "noon"]
print(mixed, "->", read(mixed))
assert read(mixed) == mixed
PY
echo "as described: partition values that all look like times can't be read by Polars' defaults"
