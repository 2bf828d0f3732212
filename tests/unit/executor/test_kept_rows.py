"""How much of a file is read at once."""

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor import kept_rows

MB = 1024**2


def file_of(columns, **options):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return pq.ParquetFile(io.BytesIO(sink.getvalue()))


def random_bytes(num_rows, num_bytes):
    rng = random.Random(3)
    return pa.array([rng.randbytes(num_bytes) for _ in range(num_rows)], pa.binary())


def test_values_of_a_small_dictionary_are_read_in_large_batches():
    file = file_of({"word": pa.array(["a", "b"] * 50_000)})
    assert kept_rows._batch_rows(file, 0) == 65_536


def test_long_values_of_a_large_dictionary_are_not_tried(monkeypatch):
    """A trial would read the dictionary twice."""
    file = file_of({"image": random_bytes(200, 50_000)})
    assert file.metadata.row_group(0).column(0).has_dictionary_page
    monkeypatch.setattr(kept_rows, "_rows_in", lambda *_: 100)
    monkeypatch.setattr(kept_rows, "_TRIAL_ROWS", 7)
    assert kept_rows._batch_rows(file, 0) == 7


def test_short_values_of_large_dictionaries_are_tried():
    rng = random.Random(3)
    words = [[rng.randbytes(60).hex() for _ in range(20_000)] for _ in range(3)]
    file = file_of({str(n): words[n] for n in range(3)}, dictionary_pagesize_limit=100 * MB)
    assert kept_rows._batch_rows(file, 0) > 10_000


def test_a_value_that_a_dictionary_stores_once_counts_for_each_row():
    file = file_of({"image": pa.array([b"x" * 200_000] * 500, pa.binary())})
    assert kept_rows._batch_rows(file, 0) <= 42


@pytest.mark.parametrize("num_columns", [1, 100])
def test_a_store_is_asked_for_much_at_once_because_small_columns_take_no_memory(num_columns):
    columns = {f"n{n}": pa.array([n] * 10) for n in range(num_columns - 1)}
    metadata = file_of({**columns, "image": random_bytes(10, 100)}).metadata
    assert kept_rows._buffer_bytes(metadata, is_remote=False) <= MB
    assert kept_rows._buffer_bytes(metadata, is_remote=True) >= 16 * MB


def test_buffers_of_large_columns_together_stay_small():
    chunk = random_bytes(20, MB // 2)
    file = file_of({f"image{n}": chunk for n in range(4)}, use_dictionary=False)
    assert kept_rows._buffer_bytes(file.metadata, is_remote=True) <= 8 * MB
