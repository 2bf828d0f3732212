#!/usr/bin/env bash
# Daft 0.7.26: joining an unsigned 64-bit key with a signed one matches numbers that differ
#
# Expected: an integer key meets its equal only; if the types have no common integer type, an error.
# Happens:  uint64 against int64 is compared as float64, which has 53 bits, so all numbers that round to the
#           same float are one key. A semi join of 1,000 neighbouring 60-bit hashes with a list of one gives
#           many of them. With both sides uint64 it is exact. Polars 2.1.0 compares the same columns exactly.
# Hurts:    perceptual and 64-bit content hashes are uint64 in Polars, DuckDB and numpy, while lists that went
#           through Spark, Iceberg or Delta, which have no unsigned type, come as int64. An anti join with such
#           a list removes images that are not on it: all whose hash differs from a listed one in the last few
#           bits only. Cast both sides to one type first.
# Versions: daft 0.7.26, polars 2.1.0, pyarrow 25.0.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  daft==0.7.26 polars==2.1.0 pyarrow==25.0.1
cd "$work"
export DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=true DAFT_PROGRESS_BAR=0
venv/bin/python - <<'PY'
import daft
import polars as pl
import pyarrow as pa

print("daft", daft.__version__, "polars", pl.__version__)
first = 2**59
hashes = pa.table({"phash": pa.array(range(first, first + 1000), pa.uint64())})


def kept_and_removed(list_type):
    listed = pa.table({"phash": pa.array([first + 10], list_type)})
    images, duplicates = daft.from_arrow(hashes), daft.from_arrow(listed)
    removed = sorted(images.join(duplicates, on="phash", how="semi").to_pydict()["phash"])
    kept = images.join(duplicates, on="phash", how="anti").count_rows()
    polars = pl.from_arrow(hashes).join(pl.from_arrow(listed), on="phash", how="semi").height
    print(f"list as {list_type}: of 1000 images and 1 listed hash, Daft matches {len(removed)} "
          f"({removed[0] - first:+} to {removed[-1] - first:+}) and keeps {kept}; Polars matches {polars}")
    return len(removed), kept, polars


assert kept_and_removed(pa.uint64()) == (1, 999, 1)
matched, kept, polars = kept_and_removed(pa.int64())
assert matched > 1 and kept == 1000 - matched and polars == 1
PY
echo "as described: the list's type alone decides how many other images go with it"
