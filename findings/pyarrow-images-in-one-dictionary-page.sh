#!/usr/bin/env bash
# pyarrow 26.0.1: the limit of a dictionary page has no effect on images; who reads one row holds 1,024 of them, twice
#
# Expected: `write_table(…, dictionary_pagesize_limit=65536)` (the default is 1 MB) writes a dictionary page of about
#           that size. After that the column goes on in plain pages. A reader of one row needs a page or two.
# Happens:  the writer compares the dictionary with the limit only after each batch of 1,024 values
#           (`write_batch_size`). The first 1,024 images of 50 KB are in one dictionary page of 51 MB, whatever the
#           limit. `iter_batches(1)` then holds twice as much for the first row. If `write_batch_size=16` is also given,
#           the page has 0.8 MB and the first row takes 1.7 MB. Without a dictionary, one plain page has all 1,024 images.
# Hurts:    tables of images that were written with the defaults: with images of 1 MB, a reader needs some 2 GB for each
#           row group that it has open. Nothing is gained, because no image repeats. Give
#           `use_dictionary=[…]` without the image column, and a small `write_batch_size`.
# Versions: pyarrow 26.0.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'PY'
import random

import pyarrow as pa
import pyarrow.parquet as pq

print("pyarrow", pa.__version__)
IMAGE_BYTES, ROWS = 50_000, 1024
draw = random.Random(1)
table = pa.table({"image": pa.array([draw.randbytes(IMAGE_BYTES) for _ in range(ROWS)], pa.binary())})


def look_at(**options):
    """Write the images; return the bytes of the dictionary page, and what reading one row holds."""
    pq.write_table(table, "images.parquet", **options)
    file = pq.ParquetFile("images.parquet", buffer_size=65_536, pre_buffer=False)
    chunk = file.metadata.row_group(0).column(0)
    page = chunk.data_page_offset - chunk.dictionary_page_offset if chunk.has_dictionary_page else 0
    before = pa.total_allocated_bytes()
    batches = file.iter_batches(1, use_threads=False)
    row = next(batches)
    held = pa.total_allocated_bytes() - before
    assert row.num_rows == 1
    return page, held


limited = look_at(dictionary_pagesize_limit=65_536)
small_batches = look_at(dictionary_pagesize_limit=65_536, write_batch_size=16)
for name, (page, held) in {"limit of 64 KB": limited, "and write_batch_size=16": small_batches}.items():
    print(f"{name}: dictionary page of {page:,} bytes, {held:,} bytes held for one row")
assert limited[0] > ROWS * IMAGE_BYTES, "the limit has an effect now"
assert limited[1] > 2 * ROWS * IMAGE_BYTES, "a reader of one row holds less now"
assert small_batches[0] < 2_000_000 and small_batches[1] < 5_000_000, "small batches do not help any more"
PY
echo "as described: the first 1,024 images are in one dictionary page, whatever its limit"
