"""Rows' pictures by many threads: in their order, within bounds, with a reason where none is."""

import _thread
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pytest

from dedup_lib.executor.bounds import Bounds, MemoryBudget
from dedup_lib.executor.parquet_values.file_slices import FileSlice
from dedup_lib.executor.picture_reads import ReadColumns, RowPosition, read_pictures
from dedup_lib.session.local_files import open_file
from tests.support.tables.made import write_parquet

pytest.importorskip("PIL", reason="Pillow isn't installed")

from tests.support.review.made_review import encoded  # needs Pillow

COLUMNS = ReadColumns(("image",), {"caption": ("caption",)})
FILES, ROWS = 5, 40
PLACES = [
    RowPosition(f"{number}.parquet", row) for row in range(0, ROWS, 3) for number in range(FILES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures whose width says which they are, in row groups of 15."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(FILES):
        rows = [encoded("teal", (20 + number, 10 + row)) for row in range(ROWS)]
        texts = [f"{number}/{row}" for row in range(ROWS)]
        table = pa.table({"image": rows, "caption": texts})
        write_parquet(table, folder / f"{number}.parquet", compression="none", row_group_size=15)
    return folder


@pytest.fixture
def store(folder):
    """Opens files as a store does that takes its time for each request, and notes all of them."""
    requests, at_once, most_at_once = [], threading.Semaphore(1000), [0]

    @contextmanager
    def store(path):
        with open_file(str(folder / path)) as file:

            def read_at(place, num_bytes):
                with at_once:
                    most_at_once[0] = max(most_at_once[0], 1000 - at_once._value)
                    time.sleep(0.002)
                    data = file.read(place, num_bytes)
                requests.append(len(data))
                return data

            yield FileSlice(read_at, 0, file.num_bytes)

    store.requests, store.most_at_once = requests, most_at_once
    return store


def test_pictures_are_those_of_the_rows_and_what_was_read_is_told(store):
    found, read_bytes = read_pictures(PLACES, COLUMNS, store, Bounds())
    assert list(found) == PLACES
    for place, picture in found.items():
        number = int(place.file_path[0])
        shown = picture.thumbnail
        assert (shown.width, shown.height) == (20 + number, 10 + place.row_index)
        assert picture.texts == {"caption": f"{number}/{place.row_index}"}
    assert read_bytes == sum(store.requests)
    assert store.most_at_once[0] > 4


def test_no_more_is_read_than_the_bounds_say(store):
    found, read_bytes = read_pictures(PLACES, COLUMNS, store, Bounds(most_bytes=30_000))
    assert read_bytes == sum(store.requests) <= 30_000
    reasons = {picture.thumbnail.reason for picture in found.values()}
    assert "not read: 0.0 GB had been read by then" in reasons


def test_what_there_is_no_time_for_has_a_reason(store):
    found, read_bytes = read_pictures(PLACES, COLUMNS, store, Bounds(most_seconds=-1))
    reasons = {picture.thumbnail.reason for picture in found.values()}
    assert reasons == {"not read: the time for reading was over"}
    assert read_bytes == 0


def test_who_breaks_it_off_waits_for_nothing_that_was_not_begun(store):
    """As a signal does, which the main thread gets while others read."""
    read_pictures(PLACES, COLUMNS, store, Bounds())
    in_all = len(store.requests)
    store.requests.clear()

    @contextmanager
    def interrupting(path):
        with store(path) as file:
            if len(store.requests) > 5 and not interrupted:
                interrupted.append(True)
                _thread.interrupt_main()
            if interrupted:  # a busy machine takes its time to tell the main thread
                time.sleep(0.05)
            yield file

    interrupted = []
    with pytest.raises(KeyboardInterrupt):
        read_pictures(PLACES, COLUMNS, interrupting, Bounds(readers=2))
    assert len(store.requests) < in_all / 2


def test_of_a_file_that_was_replaced_nothing_is_shown(store, folder):
    size = (folder / "0.parquet").stat().st_size
    rows = [RowPosition("0.parquet", 3, size), RowPosition("1.parquet", 3, size + 1)]
    found, _ = read_pictures(rows, COLUMNS, store, Bounds())
    assert found[rows[0]].thumbnail.webp
    assert found[rows[1]].thumbnail.reason == "not read: its file was replaced in the meantime"


def test_memory_is_shared_and_what_needs_more_than_there_is_has_all_of_it():
    room, held, most_held, lock = MemoryBudget(1000), [], [], threading.Lock()

    def use(num_bytes):
        with room.hold(num_bytes):
            with lock:
                held.append(num_bytes)
                most_held.append(list(held))
            time.sleep(0.001)
            with lock:
                held.remove(num_bytes)

    sizes = [100, 700, 300, 5000, 0, 1000] * 20
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(use, sizes))
    assert not held
    assert len(most_held) == len(sizes)
    assert all(sum(some) <= 1000 or sum(some) == 5000 for some in most_held)


def test_a_file_that_is_not_there_or_damaged_harms_no_other(store, folder, tmp_path):
    (tmp_path / "torn.parquet").write_bytes((folder / "0.parquet").read_bytes()[:-20])
    torn = [RowPosition(str(tmp_path / "torn.parquet"), 3)]
    lost = [RowPosition("lost.parquet", 0), RowPosition("0.parquet", ROWS)]
    found, _ = read_pictures([*torn, *lost, *PLACES], COLUMNS, store, Bounds())
    reasons = [found[place].thumbnail.reason for place in (*torn, *lost)]
    assert reasons[0] == "not read: it is not a Parquet file"
    assert "lost.parquet" in reasons[1]
    assert reasons[2] == "not read: the file has no such row"
    assert all(found[place].thumbnail.webp for place in PLACES)


def test_a_column_that_is_not_there_is_named(store):
    found, _ = read_pictures(PLACES[:1], ReadColumns(("photo",), {}), store, Bounds())
    assert found[PLACES[0]].thumbnail.reason == "not read: the file has no column 'photo'"
