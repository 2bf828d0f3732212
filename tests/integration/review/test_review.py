"""--review: a page of the plan, made before anything is removed, that fails no run."""

import html
import json
import random
import re

import pyarrow as pa
import pytest
from pyspark import SparkContext  # noqa: TID251  # its JVM, also that of Connect's server

from dedup_lib.delta import physical_names
from dedup_lib.errors import OverlapError, RemovedFractionError, UnsupportedError, UsageError
from dedup_lib.publish.workspace import Workspace
from dedup_lib.review import making
from dedup_lib.review import page as review_page
from tests.support.tables.made import delta_table, write_list, write_parquet
from tests.support.tables.made_shards import member, tar_of

pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
pytest.importorskip("PIL", reason="Pillow isn't installed")

from tests.support.review.made_review import encoded  # needs Pillow

ROWS = 60


def picture_rows(ids, *, first=0, id_type=None):
    """One row per ID: a picture whose width is 40 and its number, and a caption."""
    numbers = range(first, first + len(ids))
    return pa.table(
        {
            "image_id": pa.array(ids, id_type or pa.string()),
            "image": [encoded((number, 90, 200), (40 + number, 30)) for number in numbers],
            "caption": [f"picture {number}" for number in numbers],
        }
    )


def write_pairs(path, pairs, *, id_type=None):
    """Pairs with scores, as NeMo Curator writes them."""
    columns = list(zip(*pairs, strict=True))
    id_type = id_type or pa.string()
    table = {
        "id": pa.array(columns[0], id_type),
        "max_id": pa.array(columns[1], id_type),
        "cosine_sim_score": pa.array(columns[2], pa.float32()),
    }
    return write_parquet(pa.table(table), path / "cluster_0.parquet").parent


def size(width):
    """How the page spells the size of a picture."""
    return f"{width} \N{MULTIPLICATION SIGN} 30"


class Page:
    """What a page says."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.articles = re.findall(r"<article.*?</article>", self.text, flags=re.DOTALL)

    @property
    def words(self):
        bare = re.sub(r"<(script|style)>.*?</\1>", "", self.text, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())

    @property
    def pairs(self):
        """By the ID that goes: that of its keeper, and how many pictures are shown."""
        found = {}
        for article in self.articles:
            of = dict(re.findall(r'data-(id|keeper)="([^"]*)"', article.partition(">")[0]))
            removed, keeper = (html.unescape(of.get(name, "")) for name in ("id", "keeper"))
            pictures = article.count("data:image/webp")
            found[json.loads(removed)] = (json.loads(keeper) if keeper else None, pictures)
        return found

    def article(self, image_id):
        """The words of the pair of an ID that goes."""
        number = list(self.pairs).index(image_id)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.articles[number])).split())


@pytest.fixture
def review(remove, tmp_path):
    """Make a review of a dry run: review(images, lists, **settings) returns page and report."""

    def review(images, lists, **settings):
        target = tmp_path / "pages/review.html"
        settings = {"dry_run": True, "max_removed_fraction": 1.0} | settings
        report = remove(images, lists, settings.pop("output", None), review=str(target), **settings)
        return Page(target), report.as_dict()

    return review


@pytest.fixture
def images(tmp_path):
    """Sixty pictures in three files of two row groups each."""
    for part in range(3):
        ids = [f"i{number}" for number in range(part * 20, part * 20 + 20)]
        rows = picture_rows(ids, first=part * 20)
        write_parquet(rows, tmp_path / f"images/{part}.parquet", row_group_size=13)
    return tmp_path / "images"


def test_pairs_show_what_goes_beside_its_survivor_with_size_format_and_texts(
    review, images, tmp_path
):
    """Through a chain: i9 for i8, and i8 for i40."""
    pairs = write_pairs(tmp_path / "pairs", [("i8", "i40", 0.97), ("i9", "i8", 0.93)])
    page, report = review(images, pairs, eps=0.1)
    assert page.pairs == {"i9": ("i40", 2), "i8": ("i40", 2)}  # the least certain first
    words = page.article("i9")
    assert "similarity 0.9300" in words
    assert "one of 3 alike" in words
    assert "as a duplicate of 'i8'" in words
    assert "picture 9" in words
    assert "picture 40" in words
    assert size(49) in words
    assert size(80) in words
    assert "JPEG" in words
    assert report["review"]["pairs"] == 2
    assert report["review"]["pictures"] == 4
    assert "2 of 60 images would go" in page.words
    assert "a dry run, nothing has been removed yet" in page.words


def test_ids_that_are_numbers_stay_numbers(review, tmp_path):
    rows = picture_rows([1, 2**53 + 1, 3], id_type=pa.int64())
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    pairs = write_pairs(tmp_path / "pairs", [(2**53 + 1, 1, 0.99)], id_type=pa.int64())
    page, _ = review(images, pairs, eps=0.1)
    assert page.pairs == {2**53 + 1: (1, 2)}


def test_a_plain_list_names_no_keeper_and_what_did_not_match_is_shown(review, images, tmp_path):
    page, _ = review(images, write_list(tmp_path / "list/1.parquet", ["i3", "lost", "i50"]))
    assert page.pairs == {"i3": (None, 1), "i50": (None, 1)}
    assert "1 of 3 listed IDs are not in the table" in page.words
    assert "lost" in page.words
    assert "picture 3" in page.article("i3")


def test_groups_and_files_are_counted(review, images, tmp_path):
    groups = {"g1": ["i1", "i2", "i3"], "g2": ["i4", "i5"], "g3": ["i21", "i22"]}
    rows = [{"id": one, "group": group} for group, ids in groups.items() for one in ids]
    listed = write_parquet(pa.Table.from_pylist(rows), tmp_path / "groups/1.parquet").parent
    page, _ = review(images, listed)
    assert page.pairs == {"i2": ("i1", 2), "i3": ("i1", 2), "i5": ("i4", 2), "i22": ("i21", 2)}
    assert re.search(r"2 images\s+2\b", page.words)
    assert re.search(r"3 images\s+1\b", page.words)
    assert re.search(r"0\.parquet\s+15\.0 %\s+3 of 20", page.words)
    assert re.search(r"2\.parquet\s+0\.0 %\s+0 of 20", page.words)


def test_the_histogram_has_the_scores_on_both_sides_of_the_line(review, images, tmp_path):
    scored = [(f"i{number}", "i0", 0.501 + number / 100) for number in range(1, 50)]
    page, _ = review(images, write_pairs(tmp_path / "pairs", [("i0", "i0", 0.0), *scored]), eps=0.1)
    assert "10 scores of 0.9000 and more remove an image, 39 below it don't" in page.words


def test_a_keeper_of_another_table_is_named(review, images, tmp_path):
    page, _ = review(images, write_pairs(tmp_path / "pairs", [("i1", "far", 0.99)]), eps=0.1)
    assert page.pairs == {"i1": (None, 1)}
    assert "duplicate of 'far': no image of this table is known to stay" in page.article("i1")


def test_of_many_the_least_certain_are_shown_and_some_at_random_the_same_each_time(
    review, images, tmp_path
):
    scored = [(f"i{number}", "i0", 0.9 + number / 1000) for number in range(1, 60)]
    pairs = write_pairs(tmp_path / "pairs", scored)
    page, _ = review(images, pairs, eps=0.2, review_samples=10)
    again, _ = review(images, pairs, eps=0.2, review_samples=10)
    assert list(page.pairs)[:8] == [f"i{number}" for number in range(1, 9)]
    assert len(page.pairs) == 10
    assert "8 have the lowest scores, 2 are drawn at random" in page.words
    assert again.pairs == page.pairs


def test_a_broken_image_fails_nothing(review, tmp_path):
    rows = picture_rows(["a", "b", "c", "d"])
    broken = [rows["image"][0].as_py()[:60], b"no picture", None, b""]
    rows = rows.set_column(1, "image", pa.array(broken, pa.binary()))
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    page, report = review(images, write_list(tmp_path / "list/1.parquet", ["a", "b", "c", "d"]))
    assert page.pairs == dict.fromkeys("abcd", (None, 0))
    assert report["status"] == "dry_run"
    assert "broken" in page.article("a")
    assert "unknown image format" in page.article("b")
    assert "NULL" in page.article("c")


def test_a_damaged_page_of_a_file_fails_nothing(review, tmp_path):
    """The length of a value is made another: what follows it can't be found any more."""
    rows = picture_rows([f"i{number}" for number in range(9)])
    path = write_parquet(
        rows, tmp_path / "images/1.parquet", compression="none", use_dictionary=False
    )
    image = rows["image"][4].as_py()
    data = path.read_bytes()
    at = data.index(len(image).to_bytes(4, "little") + image)
    path.write_bytes(data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :])
    page, report = review(path.parent, write_list(tmp_path / "list/1.parquet", ["i3", "i4", "i5"]))
    assert page.pairs["i3"] == (None, 1)
    assert page.pairs["i4"] == page.pairs["i5"] == (None, 0)
    assert report["status"] == "dry_run"


@pytest.mark.parametrize("has_vectors", [True, False])
def test_of_delta_the_rows_are_those_that_are_meant_whatever_is_deleted(
    spark, review, images, tmp_path, has_vectors
):
    """Without deletion vectors the table tells no row's place; the files do."""
    table = delta_table(
        spark.read.parquet(str(images)).sort("image_id"),
        tmp_path / "delta",
        **{"columnMapping.mode": "none" if has_vectors else "name"},
        enableDeletionVectors=str(has_vectors).lower(),
    )
    spark.sql(f"DELETE FROM delta.`{table}` WHERE image_id IN ('i0', 'i1', 'i15')").collect()
    pairs = write_pairs(tmp_path / "pairs", [("i9", "i40", 0.97), ("i2", "i3", 0.93)])
    page, _ = review(table, pairs, eps=0.1)
    assert page.pairs == {"i2": ("i3", 2), "i9": ("i40", 2)}
    assert size(42) in page.article("i2")
    assert size(43) in page.article("i2")
    assert size(49) in page.article("i9")


def test_of_delta_with_other_names_in_its_files_the_columns_are_found(
    spark, review, images, tmp_path
):
    table = delta_table(
        spark.read.parquet(str(images)), tmp_path / "delta", **{"columnMapping.mode": "name"}
    )
    spark.sql(f"ALTER TABLE delta.`{table}` RENAME COLUMN image TO photo").collect()
    page, _ = review(table, write_list(tmp_path / "list/1.parquet", ["i2"]))
    assert page.pairs == {"i2": (None, 1)}
    assert size(42) in page.article("i2")
    assert "picture 2" in page.article("i2")


def test_where_these_names_can_t_be_told_no_other_column_is_shown(
    spark, review, images, tmp_path, monkeypatch
):
    """A catalog that lets nobody see the log."""
    table = delta_table(
        spark.read.parquet(str(images)), tmp_path / "delta", **{"columnMapping.mode": "name"}
    )
    monkeypatch.setattr(physical_names, "_LOG_FILES", {})
    page, _ = review(table, write_list(tmp_path / "list/1.parquet", ["i2"]))
    assert page.pairs == {"i2": (None, 0)}
    assert "the names of the table's columns in the files are unknown" in page.article("i2")


def test_an_image_in_a_struct_is_found_and_of_several_columns_the_one_that_is_named_so(
    review, tmp_path
):
    rows = picture_rows(["a", "b"])
    both = [{"bytes": image.as_py(), "path": "x.jpg"} for image in rows["image"]]
    rows = rows.set_column(1, "image", pa.array(both))
    rows = rows.append_column("embedding", pa.array([b"12", b"34"]))
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    page, _ = review(images, write_list(tmp_path / "list/1.parquet", ["b"]))
    assert page.pairs == {"b": (None, 1)}


def test_which_column_is_the_image_is_not_guessed(review, tmp_path):
    rows = picture_rows(["a", "b"]).rename_columns(["image_id", "one", "caption"])
    rows = rows.append_column("other", rows["one"])
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    page, report = review(images, write_list(tmp_path / "list/1.parquet", ["b"]))
    assert page.pairs == {"b": (None, 0)}
    assert "which of the columns one, other holds the image" in page.article("b")
    assert "which of the columns" in report["review"]["reason"]


@pytest.mark.parametrize("codec", ["none", "snappy"])
@pytest.mark.parametrize("by", ["pyarrow", "spark"])
def test_images_that_are_not_shown_are_not_read(spark, review, tmp_path, codec, by):
    """Ten of 500 images of 200 KB, in pages of a hundred or more: not the whole pages."""
    noise = random.Random(1)
    ids = [f"i{number:04}" for number in range(500)]
    rows = [encoded((number % 256, 90, 200)) + noise.randbytes(200_000) for number in range(500)]
    table = pa.table({"image_id": ids, "image": rows})
    path = write_parquet(table, tmp_path / "made/1.parquet", compression=codec)
    if by == "spark":
        frame = spark.read.parquet(str(path)).coalesce(1)
        frame.write.option("compression", codec).parquet(str(tmp_path / "by_spark"))
        path = next((tmp_path / "by_spark").glob("*.parquet"))
    listed = write_list(tmp_path / "list/1.parquet", ids[7::50])
    before = _bytes_read()
    page, report = review(path.parent, listed)
    assert page.pairs == dict.fromkeys(ids[7::50], (None, 1))
    weight = path.stat().st_size
    assert weight > 100_000_000
    assert 10 * 200_000 < report["review"]["read_bytes"] < 0.025 * weight
    assert _bytes_read() - before < 0.01 * weight  # by Java: IDs and footers


def _bytes_read():
    """What Hadoop's file systems have read in this process, which also runs Connect's server."""
    found = SparkContext._jvm.org.apache.hadoop.fs.FileSystem.getAllStatistics()
    return sum(found.get(index).getBytesRead() for index in range(found.size()))


@pytest.mark.parametrize("settings", [{"dry_run": True}, {"output": True}])
def test_a_run_that_a_limit_stops_leaves_its_page(review, images, tmp_path, settings):
    listed = write_list(tmp_path / "list/1.parquet", [f"i{number}" for number in range(50)])
    if "output" in settings:
        settings = {"output": tmp_path / "out", "dry_run": False}
    with pytest.raises(RemovedFractionError):
        review(images, listed, max_removed_fraction=0.5, **settings)
    assert "50 of 60 images would go" in Page(tmp_path / "pages/review.html").words


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("remove", "made before anything was removed"),
        ("annotate", "marks these images as duplicates, and removes no image"),
        ("extract", "writes only these images, and removes no image"),
    ],
)
def test_a_run_that_writes_has_a_page_of_its_plan(review, images, tmp_path, action, words):
    listed = write_list(tmp_path / "list/1.parquet", ["i1", "i2"])
    page, report = review(images, listed, dry_run=False, output=tmp_path / "out", action=action)
    assert report["status"] == "succeeded"
    assert words in page.words
    assert "dry run" not in page.words


def test_a_deletion_in_place_has_a_page(spark, review, images, tmp_path):
    table = delta_table(
        spark.read.parquet(str(images)), tmp_path / "delta", enableDeletionVectors="true"
    )
    listed = write_list(tmp_path / "list/1.parquet", ["i1", "i2"])
    page, _ = review(table, listed, dry_run=False, method="in-place")
    assert page.pairs == {"i1": (None, 1), "i2": (None, 1)}
    assert spark.read.format("delta").load(str(table)).count() == ROWS - 2


@pytest.fixture
def shards(tmp_path):
    """Samples of a picture, JSON and a caption, two without a picture, and an empty shard."""
    (tmp_path / "shards").mkdir()
    for part, suffix in enumerate(["jpg", "PNG"]):
        numbers = range(part * 5, part * 5 + 5)
        members = [
            made
            for number in numbers
            for made in (
                member(f"i{number}.{suffix}", encoded((number, 90, 200), (40 + number, 30))),
                member(f"i{number}.json", b"{}"),
                member(f"i{number}.txt", b"picture %d" % number),
            )
        ]
        content = tar_of(*members, f"none{part}.json", form="pax")
        (tmp_path / f"shards/{part}.tar").write_bytes(content)
    (tmp_path / "shards/2.tar").write_bytes(tar_of())
    return tmp_path / "shards"


@pytest.mark.parametrize("run", ["dry", "dry on a cluster", "writing"])
def test_pictures_of_shards_are_members(review, shards, tmp_path, monkeypatch, run):
    settings = {"output_format": "webdataset"}
    if run == "writing":
        settings |= {"dry_run": False, "output": tmp_path / "out"}
    if run == "dry on a cluster":
        monkeypatch.setattr(Workspace, "_temporary_directory", lambda *_: None)
    pairs = write_pairs(tmp_path / "pairs", [("i1", "i6", 0.97), ("none1", "i7", 0.93)])
    page, report = review(shards, pairs, eps=0.1, **settings)
    assert page.pairs == {"none1": ("i7", 1), "i1": ("i6", 2)}
    words = page.article("i1")
    assert size(41) in words
    assert size(46) in words
    assert "picture 1" in words
    assert "picture 6" in words
    assert "shards/0.tar" in words
    assert "shards/1.tar" in words
    assert "no member with the suffix" in page.article("none1")
    assert re.search(r"0\.tar\s+16\.7 %\s+1 of 6", page.words)
    shown = [encoded((number, 90, 200), (40 + number, 30)) for number in (1, 6, 7)]
    assert report["review"]["read_bytes"] == sum(map(len, shown)) + 3 * len("picture 1")
    assert report["review"]["reason"] is None


def test_without_what_it_needs_a_run_ends_before_any_work(review, images, tmp_path, monkeypatch):
    monkeypatch.setattr(review_page.importlib.util, "find_spec", lambda _: None)
    listed = write_list(tmp_path / "list/1.parquet", ["i1"])
    with pytest.raises(UnsupportedError, match="pip install") as caught:
        review(images, listed)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "pages").exists()


def test_what_is_no_review_is_not_replaced(remove, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["i1"])
    mine = tmp_path / "pages/mine.html"
    mine.parent.mkdir()
    mine.write_text("<!DOCTYPE html><p>mine</p>")
    for place in (mine, mine.as_uri(), mine.parent, mine.parent.as_uri(), mine / "below.html"):
        with pytest.raises(UsageError, match="--review"):
            remove(images, listed, None, dry_run=True, review=str(place))
    assert mine.read_text() == "<!DOCTYPE html><p>mine</p>"


def test_a_place_with_a_scheme_is_written_through_the_storage_and_replaced(
    remove, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["i1"])
    target = tmp_path / "by/uri.html"
    for _ in range(2):
        remove(images, listed, None, dry_run=True, review=target.as_uri())
    assert Page(target).pairs == {"i1": (None, 1)}


def test_a_review_inside_an_input_is_refused(remove, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["i1"])
    for place in (images / "review.html", tmp_path / "out/review.html"):
        with pytest.raises(OverlapError, match="review"):
            remove(images, listed, tmp_path / "out", review=str(place))
    assert not (tmp_path / "out").exists()


def test_whatever_goes_wrong_with_the_page_the_run_goes_on(
    remove, images, tmp_path, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("no page today: https://user:secret@host")

    monkeypatch.setattr(making, "render", broken)
    listed = write_list(tmp_path / "list/1.parquet", ["i1"])
    report = remove(images, listed, tmp_path / "out", review=str(tmp_path / "review.html"))
    assert report.status == "succeeded"
    assert "no page today" in report.review["reason"]
    assert "secret" not in report.to_json()
    assert "no review was made: RuntimeError" in caplog.text
    assert not (tmp_path / "review.html").exists()
