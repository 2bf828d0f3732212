"""`make test-writers`: what it finds, and docs/writers.md with the refusals that are needed."""

import hashlib
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from tests.support.paths import ROOT
from tests.writers.__main__ import Results
from tests.writers.compare import DifferenceError, Source, check_arrow, check_source, check_spark
from tests.writers.refusals import ALLOWED, reason_of, why_allowed

PAGE = (ROOT / "docs/writers.md").read_text()
IMAGES = [b"image %d" % row for row in range(6)]
ROWS = pa.table(
    {
        "image_id": [f"id-{row}" for row in range(6)],
        "row": range(6),
        "image": IMAGES,
        "at": pa.array(range(6), pa.timestamp("us")),
        "texts": [["a", None], [], None, ["b"], ["c"], [""]],
    }
)
KEPT = ROWS.take([0, 2, 4, 5])
TABLE = {"writers": ["pyarrow"], "columns": {}, "seed": 7}
CHANGES = {
    "a row too many": ROWS.take([0, 1, 2, 4, 5]),
    "a lost row": KEPT.slice(1),
    "a row twice": KEPT.take([0, 1, 2, 3, 3]),
    "another image": KEPT.set_column(2, "image", pa.array([b"", *IMAGES[2:5]])),
    "another list": KEPT.set_column(4, "texts", pa.array([["a"], None, ["c"], [""]])),
    "NULL": KEPT.set_column(3, "at", pa.array([0, 2, None, 5], pa.timestamp("us"))),
    "another type": KEPT.set_column(3, "at", KEPT["at"].cast(pa.timestamp("us", "UTC"))),
    "a lost column": KEPT.drop_columns(["at"]),
}


@pytest.fixture
def source(tmp_path):
    write(ROWS, tmp_path / "images")
    digests = {row: hashlib.sha256(image).hexdigest() for row, image in enumerate(IMAGES)}
    return Source(tmp_path / "images", digests, frozenset({1, 3}), "remove")


def write(table, folder, **options):
    folder.mkdir()
    pq.write_table(table, folder / "1.parquet", **options)
    return folder


def check(engine, source, output):
    if engine == "arrow":
        check_arrow(source, output)
    else:
        check_spark(source, output, "parquet")


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_a_right_output_is_right(source, tmp_path, engine):
    check_source(source)
    check(engine, source, write(KEPT, tmp_path / "out"))


@pytest.mark.parametrize("engine", ["arrow", "spark"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_wrong_output_is_found(source, tmp_path, what, engine):
    with pytest.raises(DifferenceError):
        check(engine, source, write(CHANGES[what], tmp_path / "out"))


def test_another_codec_is_found(source, tmp_path):
    with pytest.raises(DifferenceError, match="GZIP"):
        check_arrow(source, write(KEPT, tmp_path / "out", compression="gzip"))


def test_a_source_without_an_image_that_was_written_is_found(source):
    with pytest.raises(DifferenceError, match="rows of the source"):
        check_source(Source(source.folder, source.images | {9: ""}, source.gone, "remove"))


def test_the_page_has_each_refusal_that_is_needed():
    rows = re.findall(r"^\| (.+?) \| \w", PAGE, re.MULTILINE)
    assert sorted({*ALLOWED.values()}) == sorted({*rows} - {"what"})


def test_the_versions_on_the_page_are_those_that_are_locked():
    """After `make lock`, run `make test-writers`: then the page may have the new ones."""
    locked: dict[str, str] = {}
    for lock in ("requirements.lock", "tests/writers/requirements.lock"):
        locked |= re.findall(r"^(\S+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    said = dict(re.findall(r"`([a-z]+) (\d[\w.]*)`", PAGE))
    assert said == {name: locked[name] for name in said}
    assert len(said) == 5


def test_a_refusal_is_counted_by_its_reason():
    refusals = [
        UnreadableFileError(f"file 'file:/tmp/{n}.parquet' can't be read, at 'it''s'") for n in "ab"
    ]
    assert len({reason_of(error) for error in refusals}) == 1
    assert "can't be read" in reason_of(refusals[0])


def test_a_refusal_that_is_not_on_the_page_is_bad(capsys):
    results = Results()
    needed = ColumnTypeError(
        "column 'a' has the Parquet type X, which Spark would write as another type."
    )
    assert why_allowed(needed) == "types that Spark lacks"
    results.refused("spark", TABLE, needed)
    assert results.bad == 0
    results.refused("spark", TABLE, ColumnTypeError("no"))
    assert results.bad == 1
    assert "make test-writers SEED=7 TABLES=1" in capsys.readouterr().out
