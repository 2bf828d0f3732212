"""The pass over image files that reads footers and copies IDs."""

import datetime as dt
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor import copied_ids, footers
from dedup_lib.executor.copied_ids import Sources, copy_ids
from dedup_lib.executor.footers import SourceFile
from tests.support.tables.hostile import as_interval
from tests.support.tables.made import image_rows, names_in, write_parquet


@pytest.fixture
def copied(tmp_path):
    """Copy the IDs of the files below `images`; return the facts and the rows."""
    (tmp_path / "run").mkdir(exist_ok=True)

    def copied(*columns):
        top = tmp_path / "images"
        files = [
            SourceFile(str(path.relative_to(top)), path.stat().st_size)
            for path in sorted(top.rglob("*.parquet"))
        ]
        sources = Sources(f"file:{top}", files, columns or ("image_id",))
        found = copy_ids(sources, f"file:{tmp_path}/run/ids", "00007", {})
        if not found[0].digest:
            return found[0].refused, None
        return found, pq.read_table(tmp_path / "run/ids/rows/00007.parquet").to_pylist()

    return copied


def test_each_row_has_its_id_file_and_position(copied, tmp_path):
    write_parquet(image_rows(["a", None, "c"]), tmp_path / "images/1 1.parquet", row_group_size=2)
    write_parquet(image_rows(["d"]).slice(0, 0), tmp_path / "images/2.parquet")
    write_parquet(image_rows(["ée"]), tmp_path / "images/p=1/3.parquet")
    found, rows = copied()
    assert [(one.num_rows, one.num_nulls, one.id_bytes) for one in found] == [
        (3, 1, 2),
        (0, 0, 0),
        (1, 0, 3),
    ]
    assert len({one.digest for one in found}) == 1
    top = f"file:{tmp_path}/images"
    assert [tuple(row.values()) for row in rows] == [
        ("a", f"{top}/1%201.parquet", 0),
        (None, f"{top}/1%201.parquet", 1),
        ("c", f"{top}/1%201.parquet", 2),
        ("ée", f"{top}/p=1/3.parquet", 0),
    ]


def test_rows_keep_their_order_whoever_reads_ahead(copied, tmp_path, monkeypatch):
    """Large files are read by the task itself, small ones by threads."""
    monkeypatch.setattr(copied_ids, "_AHEAD_ROWS", 2)
    monkeypatch.setattr(copied_ids, "_BATCH_ROWS", 2)
    for number in range(30):
        ids = [f"{number}-{row}" for row in range(1 + number % 5)]
        write_parquet(image_rows(ids), tmp_path / f"images/{number:02d}.parquet")
    _, rows = copied()
    assert [(row["image_id"], row["row_index"]) for row in rows] == [
        (f"{number}-{row}", row) for number in range(30) for row in range(1 + number % 5)
    ]


def test_the_largest_file_of_each_schema_lends_its_footer(copied, tmp_path):
    write_parquet(image_rows(["a"]), tmp_path / "images/1.parquet")
    write_parquet(image_rows(["b", "c", "d"]), tmp_path / "images/2.parquet")
    write_parquet(image_rows(["e"]).drop_columns("image"), tmp_path / "images/3.parquet")
    found, _ = copied()
    digests = [one.digest for one in found]
    assert digests[0] == digests[1] != digests[2]
    copies = {path.name: path for path in (tmp_path / "run/ids/schemas").iterdir()}
    assert set(copies) == {f"00007-{digest}.parquet" for digest in digests}
    footer = pq.read_metadata(copies[f"00007-{digests[0]}.parquet"])
    assert footer.num_rows == 3
    assert footer.schema.equals(pq.read_metadata(tmp_path / "images/1.parquet").schema)


def test_a_footer_longer_than_the_tail_is_read(copied, tmp_path, monkeypatch):
    monkeypatch.setattr(footers, "_TAIL_BYTES", 64)
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet")
    found, rows = copied()
    assert found[0].num_rows == len(rows) == 2


def test_other_columns_are_copied_too(copied, tmp_path):
    table = image_rows(["a", "b"]).append_column("w.h", pa.array([7, None], pa.uint8()))
    write_parquet(table, tmp_path / "images/1.parquet")
    _, rows = copied("image_id", "w.h")
    assert [row["value_1"] for row in rows] == [7, None]


@pytest.mark.parametrize("kind", ["struct", "list"])
def test_columns_that_differ_only_by_their_name_are_two_schemas(copied, tmp_path, kind):
    """pyarrow takes such schemas for equal: only names of leaf columns count there."""
    value = {"struct": {"bytes": b"1", "path": "a"}, "list": ["a"]}[kind]
    for name in ("image", "picture"):
        table = pa.table({"image_id": ["a"], name: [value]})
        write_parquet(table, tmp_path / f"images/{name}.parquet")
    one, other = (pq.read_metadata(path).schema for path in (tmp_path / "images").iterdir())
    assert one.equals(other)
    found, _ = copied()
    assert found[0].digest != found[1].digest


def test_a_file_without_rows_says_nothing_of_the_others(copied, tmp_path):
    table = image_rows(["a"]).append_column("span", pa.array([b"1" * 12], pa.binary(12)))
    for number, rows in (("1", table.slice(0, 0)), ("2", table)):
        path = write_parquet(rows, tmp_path / f"images/{number}.parquet", store_schema=False)
        as_interval(path, "span")
    found, _ = copied()
    assert found[0].refused is None
    assert "Interval" in found[1].refused


@pytest.mark.parametrize("key", ["org.apache.spark.legacyDateTime", "org.apache.spark.version"])
def test_dates_of_an_old_calendar_are_left_to_spark(copied, tmp_path, key):
    days = pa.array([dt.date(1500, 1, 1)])
    table = image_rows(["a"]).append_column("day", days).replace_schema_metadata({key: "2.4.5"})
    write_parquet(table, tmp_path / "images/1.parquet")
    assert copied("image_id")[1] is not None
    reason = "ValueError: Spark converts dates and times of this file"
    assert copied("image_id", "day") == (reason, None)


def test_long_values_behind_a_dictionary_are_not_copied(copied, tmp_path):
    texts = pa.array(["x" * 4096] * 500)
    table = image_rows([str(number) for number in range(500)]).append_column("text", texts)
    path = write_parquet(table, tmp_path / "images/1.parquet")
    assert path.stat().st_size < 500 * 1024
    reason = "ValueError: the values are too long to be copied"
    assert copied("image_id", "text") == (reason, None)


def test_it_says_what_pyarrow_would_change(copied, tmp_path):
    table = image_rows(["a"]).append_column("span", pa.array([b"1" * 12], pa.binary(12)))
    path = write_parquet(table, tmp_path / "images/1.parquet", store_schema=False)
    assert copied()[0][0].refused is None
    as_interval(path, "span")
    assert "Interval" in copied()[0][0].refused


def broken(path):
    path.write_bytes(b"PAR1 and no more PAR1")


def without_ids(path):
    write_parquet(image_rows(["a"]).drop_columns("image_id"), path)


def with_images_as_ids(path):
    write_parquet(pa.table({"image_id": [os.urandom(200_000)]}), path)


def with_lists_as_ids(path):
    write_parquet(pa.table({"image_id": [[1]]}), path)


@pytest.mark.parametrize(
    "harm", [broken, without_ids, with_images_as_ids, with_lists_as_ids], ids=lambda it: it.__name__
)
def test_a_file_that_does_not_fit_stops_the_copy(copied, tmp_path, harm):
    """Spark reads the IDs then, or says what is wrong."""
    write_parquet(image_rows(["a"]), tmp_path / "images/1.parquet")
    write_parquet(image_rows(["b"]), tmp_path / "images/2.parquet")
    harm(tmp_path / "images/2.parquet")
    reason, rows = copied()
    assert rows is None
    assert re.match(r"\w+: .+", reason)
    assert [name for name in names_in(tmp_path / "run") if name.endswith(".parquet")] == []


def copied_one(folder, path, size_bytes):
    sources = Sources(f"file:{path.parent}", [SourceFile(path.name, size_bytes)], ("image_id",))
    (found,) = copy_ids(sources, f"file:{folder}/ids", "0", {})
    return found


def test_a_file_that_changed_since_the_listing_stops_the_copy(tmp_path):
    path = write_parquet(image_rows(["a"]), tmp_path / "images/1.parquet")
    (tmp_path / "run").mkdir()
    found = copied_one(tmp_path / "run", path, path.stat().st_size - 1)
    assert found.digest == ""
    assert "changed since it was listed" in found.refused


def test_a_late_attempt_does_not_restore_a_deleted_directory(tmp_path):
    path = write_parquet(image_rows(["a"]), tmp_path / "images/1.parquet")
    assert copied_one(tmp_path / "deleted", path, path.stat().st_size).digest == ""
    assert not (tmp_path / "deleted").exists()


def test_a_hundredth_of_the_bytes_is_read(copied, tmp_path):
    """For images of 20 KB: the end of each file, and the IDs."""
    for number in range(2):
        ids = [f"{number}-{row:034d}" for row in range(500)]
        images = pa.array([os.urandom(20_000) for _ in ids])
        write_parquet(
            pa.table({"image_id": ids, "image": images}), tmp_path / f"images/{number}.parquet"
        )
    copied()  # what is imported, is imported
    before = read_bytes()
    found, _ = copied()
    assert sum(one.num_rows for one in found) == 1000
    assert read_bytes() - before < 0.01 * 1000 * 20_000


def read_bytes():
    """Return how many bytes this process has read, as Linux counts them."""
    return int(Path("/proc/self/io").read_text().split()[1])
