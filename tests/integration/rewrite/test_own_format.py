"""A format that is registered from tests alone goes the whole way of Parquet and Delta."""

import re

import pytest
from PIL import Image

from dedup_lib.errors import OutputExistsError, RemovedFractionError, RunKeyError, UnsupportedError
from dedup_lib.settings import traits
from dedup_lib.tables import registry
from tests.support.tables.image_folder import ImageFolder
from tests.support.tables.made import names_in, tree_digest, write_list

pytestmark = pytest.mark.classic("its files are read and copied on the driver")


@pytest.fixture(autouse=True)
def own_format(monkeypatch):
    """The format is known for the time of a test."""
    monkeypatch.setattr(traits, "_formats", dict(traits._formats))
    monkeypatch.setattr(registry, "_FORMATS", dict(registry._FORMATS))
    registry.register(ImageFolder())


@pytest.fixture
def folder(tmp_path):
    """Five pictures, of which i1 and i3 are listed."""
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(5):
        Image.new("RGB", (40 + number, 30), (number * 40, 90, 200)).save(place / f"i{number}.png")
    return place


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["i1", "i3", "foreign"]).parent


def pictures(place):
    return sorted(path.name for path in place.glob("*.png"))


def test_a_dry_run_counts_and_writes_nothing(remove, folder, listed, tmp_path):
    before = tree_digest(tmp_path)
    report = remove(folder, listed, None, dry_run=True)
    assert report.inputs["images"]["format"] == "folder"
    assert (report.counts["input_rows"], report.counts["removed_rows"]) == (5, 2)
    assert report.counts["list_unmatched_ids"] == 1
    assert report.engine == "spark"  # of no named output: Parquet is the default
    assert tree_digest(tmp_path) == before


def test_a_rewrite_by_the_format_s_own_engine_keeps_each_byte(remove, folder, listed, tmp_path):
    report = remove(folder, listed, tmp_path / "out", output_format="folder")
    assert pictures(tmp_path / "out") == ["i0.png", "i2.png", "i4.png"]
    assert (tmp_path / "out/i4.png").read_bytes() == (folder / "i4.png").read_bytes()
    assert (report.engine, report.output["format"]) == ("copy", "folder")
    assert report.output["num_rows"] == report.counts["kept_rows"] == 3
    assert report.bytes["output"] > 0
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]


def test_a_rewrite_to_parquet_is_sparks(spark, remove, folder, listed, tmp_path):
    report = remove(folder, listed, tmp_path / "out", images_format="folder")
    rows = spark.read.parquet(str(tmp_path / "out")).collect()
    kept = {row.image_id: bytes(row.image) for row in rows}
    assert report.engine == "spark"
    assert kept == {name: (folder / f"{name}.png").read_bytes() for name in ("i0", "i2", "i4")}


def test_limits_hold_and_nothing_is_written(remove, folder, listed, tmp_path):
    before = tree_digest(tmp_path)
    with pytest.raises(RemovedFractionError) as caught:
        remove(folder, listed, tmp_path / "out", output_format="folder", max_removed_fraction=0.3)
    assert caught.value.exit_code == 4
    assert tree_digest(tmp_path) == before


def test_a_run_key_is_applied_once(remove, folder, listed, tmp_path):
    asked = {"output_format": "folder", "run_key": "monday"}
    assert not remove(folder, listed, tmp_path / "out", **asked).repeated
    before = tree_digest(tmp_path)
    again = remove(folder, listed, tmp_path / "out", **asked)
    assert (again.repeated, again.counts["removed_rows"]) == (True, 2)
    assert tree_digest(tmp_path) == before
    other = write_list(tmp_path / "other/1.parquet", ["i0"]).parent
    with pytest.raises(RunKeyError):
        remove(folder, other, tmp_path / "out", **asked)


def test_an_output_is_replaced_only_by_its_own_format(remove, folder, listed, tmp_path):
    remove(folder, listed, tmp_path / "out", output_format="folder")
    with pytest.raises(OutputExistsError):
        remove(folder, listed, tmp_path / "out", output_format="folder")
    with pytest.raises(OutputExistsError, match="image folder table"):
        remove(folder, listed, tmp_path / "out", output_mode="overwrite")
    one = write_list(tmp_path / "one/1.parquet", ["i4"]).parent
    remove(folder, one, tmp_path / "out", output_format="folder", output_mode="overwrite")
    assert pictures(tmp_path / "out") == ["i0.png", "i1.png", "i2.png", "i3.png"]


def test_the_review_shows_its_pictures(remove, folder, listed, tmp_path):
    page = tmp_path / "review.html"
    remove(folder, listed, None, dry_run=True, review=str(page))
    text = page.read_text()
    assert len(re.findall(r"data:image/webp;base64,", text)) == 2
    assert re.search(r"41 . 30", text)
    assert "i1.png" in text


def test_what_it_does_not_offer_is_refused(remove, folder, listed, tmp_path):
    with pytest.raises(UnsupportedError, match="is image folder: --method in-place needs a Delta"):
        remove(folder, listed, None, method="in-place")
    with pytest.raises(UnsupportedError, match="Delta clones"):
        remove(folder, listed, tmp_path / "out", method="clone")
    settings = {"output_format": "delta", "since_last_run": True}
    remove(folder, listed, tmp_path / "delta", **settings)
    Image.new("RGB", (50, 30)).save(folder / "i9.png")
    with pytest.raises(UnsupportedError, match="can't find out what is new"):
        remove(folder, listed, tmp_path / "delta", **settings)
