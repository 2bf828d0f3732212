"""The page as text: what it says, what it lets through, and what it needs."""

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import pytest

from dedup_lib.errors import UnsupportedError
from dedup_lib.executor.thumbnails import Thumbnail
from dedup_lib.review import page as review_page
from dedup_lib.review.data import (
    Bin,
    Pair,
    Part,
    Picture,
    Review,
    Scores,
    bin_edges,
    least_certain_first,
)
from dedup_lib.review.figures import group_rows, histogram, losses
from tests.support.paths import ROOT

pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
pytest.importorskip("PIL", reason="Pillow isn't installed")

from tests.support.review.made_review import HOSTILE_IDS, made_review, picture


class Elements(HTMLParser):
    """All elements with their attributes, and the text of the page."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def words(page):
    """Return the text that is seen, blanks made one."""
    bare = re.sub(r"<(script|style)>.*?</\1>|<svg.*?</svg>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def test_the_counts_are_told_with_bytes_and_shares():
    page = words(review_page.render(made_review()))
    assert "250 of 1,000 images would go" in page
    assert "Input 1,000 2.0 MB" in page
    assert "Would stay 750 75.0 %, about 1.5 MB" in page
    assert "Would go 250 25.0 %, about 500 kB" in page


def test_after_a_run_the_page_does_not_say_would():
    page = words(review_page.render(made_review(is_dry_run=False)))
    assert "250 of 1,000 images went" in page
    assert "would" not in page


def test_a_small_share_is_not_nothing_and_a_large_one_not_all():
    page = words(review_page.render(made_review(input_rows=2_000_000, removed_rows=1)))
    assert "Would go 1 under 0.1 %" in page
    assert "Would stay 1,999,999 over 99.9 %" in page


def test_what_is_unknown_is_left_out():
    bare = Review(
        run="r", images="/data", lists=[], input_rows=0, removed_rows=0, pairs=[], made_at=""
    )
    page = words(review_page.render(bare))
    assert "Nothing goes." in page
    assert "None" not in page
    for heading in ("Scores of", "Sizes of", "What input files lose", "What did not match"):
        assert heading not in page


def test_what_did_not_match_is_told_with_examples():
    page = words(review_page.render(made_review()))
    assert "3 of 253 listed IDs are not in the table." in page
    assert "all lack the suffix '.jpg'. Some of them: lost-1 lost-2" in page


def test_the_sample_says_that_it_is_one():
    page = words(review_page.render(made_review()))
    assert "4 of the 250 images that go are shown" in page
    assert "It is not the whole removal list : 246 more images go that this page" in page
    page = words(review_page.render(made_review(removed_rows=4)))
    assert "All 4 images that go are shown" in page
    assert "It is not the whole removal list" not in page


def test_the_least_certain_come_first_and_those_without_a_score_last():
    elements = Elements(review_page.render(made_review()))
    ids = [json.loads(one["data-id"]) for one in elements.of("article")]
    assert ids == ["unsure", "large", "sure", "alone"]


def test_without_scores_those_with_most_signs_come_first():
    pairs = [
        Pair(picture("fine"), picture("k")),
        Pair(picture("bad", b"no image"), picture("k", text="other")),
    ]
    assert [pair.removed.image_id for pair in least_certain_first(pairs)] == ["bad", "fine"]


def test_each_pair_says_what_speaks_against_it():
    signs = {pair.removed.image_id: list(pair.signs) for pair in made_review().pairs}
    assert signs == {
        "sure": [],
        "unsure": ["keeper is smaller", "shapes differ", "texts differ"],
        "large": ["keeper is smaller"],
        "alone": ["no keeper", "not shown"],
    }


def test_only_texts_of_both_are_compared():
    alone = Picture("a", Thumbnail(reason="not in this table"))
    assert "texts differ" not in Pair(picture("b", caption="c"), alone).signs
    assert "texts differ" in Pair(picture("b", caption="c"), picture("d")).signs
    for keeper, differing in [(alone, 0), (picture("d"), 1), (picture("d", caption="c"), 0)]:
        page = review_page.render(made_review(pairs=[Pair(picture("b", caption="c"), keeper)]))
        assert len(re.findall(r'<dt>caption</dt><dd class="differs">', page)) == differing


def test_a_row_without_a_keeper_says_so():
    page = words(review_page.render(made_review()))
    assert "No list names a keeper of this image: only the image that goes is shown." in page
    assert "unknown image format (it begins with 'no image at ')" in page


def test_nothing_that_a_user_has_becomes_an_element_or_an_attribute():
    pairs = [
        Pair(
            picture(hostile, b"no image", **{hostile or "name": hostile}),
            picture(hostile, b"no image"),
            no_keeper=hostile,
            reasons=[hostile],
        )
        for hostile in HOSTILE_IDS
    ]
    hostile = "".join(HOSTILE_IDS)
    review = made_review(
        run=hostile,
        images=hostile,
        lists=[(hostile, hostile)],
        pairs=pairs,
        parts=[Part(hostile, 1, 1)],
        made_at=hostile,
        sample=hostile,
    )
    page = review_page.render(review)
    elements = Elements(page)
    plain = Elements(review_page.render(made_review(pairs=pairs[-1:])))
    assert len(elements.of("script")) == len(plain.of("script")) == 1
    assert elements.of("img") == []
    known = {name for _, attributes in plain.found for name in attributes} | {"hidden"}
    assert {name for _, attributes in elements.found for name in attributes} <= known
    assert [json.loads(one["data-id"]) for one in elements.of("article")] == [
        pair.removed.image_id for pair in least_certain_first(pairs)
    ]
    assert not set("\u202e\u2066") & set(page)
    assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|49", words(page))


def test_an_id_is_isolated_and_what_is_not_seen_is_spelled_out():
    page = review_page.render(made_review(pairs=[Pair(picture("a\u202eb\nc"))]))
    assert '<bdi class="id">a\\u202eb\\nc</bdi>' in page


def test_secrets_in_locations_are_not_shown():
    secret = "s3a://key:s3cr3t@bucket/images?sig=s3cr3t"
    pair = Pair(picture(1), reasons=[secret])
    page = review_page.render(
        made_review(
            images=secret, lists=[(secret, "IDs")], parts=[Part(secret, 1, 1)], pairs=[pair]
        )
    )
    assert "s3cr3t" not in page


def test_types_of_ids_survive():
    ids = [1, "1", 9_007_199_254_740_993, -(2**63), "01"]
    page = review_page.render(made_review(pairs=[Pair(picture(one)) for one in ids]))
    texts = [one["data-id"] for one in Elements(page).of("article")]
    assert texts == ["1", '"1"', "9007199254740993", "-9223372036854775808", '"01"']


def test_the_policy_allows_just_the_page_s_own_script_and_style():
    page = review_page.render(made_review())
    (policy,) = [
        one["content"] for one in Elements(page).of("meta") if "Policy" in one.get("http-equiv", "")
    ]
    allowed = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    for tag in ("script", "style"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        assert allowed[f"{tag}-src"] == f"'{review_page._digest(text)}'"
    assert "unsafe" not in policy


def test_nothing_in_the_page_is_an_address_of_anything_else():
    elements = Elements(review_page.render(made_review()))
    for _, attributes in elements.found:
        for name in ("src", "href", "action", "srcset", "data", "poster", "background"):
            assert attributes.get(name, "#").startswith(("#", "data:image/webp;base64,"))
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_long_texts_are_cut():
    page = review_page.render(made_review(pairs=[Pair(picture("a", caption="long " * 400))]))
    assert "… (1,400 characters more)" in page


def test_without_its_libraries_a_review_is_refused_with_the_command_that_mends_it(monkeypatch):
    review_page.check_installed()
    here = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "PIL" and here(name))
    with pytest.raises(
        UnsupportedError, match=r"needs Pillow, .*: pip install Pillow\."
    ) as refused:
        review_page.check_installed()
    assert refused.value.exit_code == 2


def test_nothing_of_it_is_imported_before_it_is_needed():
    code = """
import sys
from dedup_lib.executor import thumbnails
from dedup_lib.review import data, figures, page
print({"jinja2", "PIL"} & {*sys.modules})
"""
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "set()"


def test_the_page_s_files_are_found_in_a_zip(tmp_path):
    """As spark-submit's --py-files are."""
    archive = tmp_path / "dedup_lib.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (ROOT / "dedup_lib").rglob("*"):
            if "__pycache__" not in path.parts:
                packed.write(path, path.relative_to(ROOT))
    code = (
        "from dedup_lib.review import page as p; print(p.__file__, len(p._file('page.js')) > 999)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(archive / "dedup_lib/review/page.py"), "True"]


def test_the_threshold_is_an_edge_and_no_score_is_left_out():
    for least, most, threshold in [
        (0.0, 1.0, 0.9),
        (0.3, 0.99, 0.9),
        (0.95, 1.0, 0.9),
        (0.1, 0.5, 0.9),
        (0.9, 0.9, 0.9),
        (-1.0, 1.0, 1.0),
        (0.2, 0.2, 0.95),
    ]:
        edges = bin_edges(least, most, threshold)
        assert edges == sorted(set(edges))
        assert threshold in edges
        assert edges[0] <= least
        assert edges[-1] >= most
        assert edges[-1] > threshold
        assert 2 <= len(edges) <= 44


def test_a_histogram_tells_what_goes_from_what_does_not():
    drawn = histogram(Scores([Bin(0.9, 1.0, 10), Bin(0.5, 0.9, 20), Bin(0.0, 0.5, 0)], eps=0.1))
    assert [(one.removes, one.pairs) for one in drawn.columns] == [
        (False, 0),
        (False, 20),
        (True, 10),
    ]
    assert [one.height for one in drawn.columns] == [0, 100, 50]
    assert (drawn.removing, drawn.sparing) == (10, 20)
    assert drawn.line == pytest.approx(90)
    assert not drawn.is_logarithmic


def test_columns_of_very_different_heights_are_all_seen():
    drawn = histogram(Scores([Bin(0.0, 0.9, 1_000_000), Bin(0.9, 1.0, 10)], eps=0.1))
    assert drawn.is_logarithmic
    assert drawn.columns[1].height > 10


def test_a_histogram_of_nothing_is_none():
    assert histogram(Scores([], eps=0.1)) is None
    assert histogram(Scores([Bin(0, 1, 0)], eps=0.1)) is None


def test_large_groups_are_put_together():
    rows = group_rows({2: 100, 5: 10, 7: 15, 1000: 1, 250: 1})
    assert [(row.name, row.count, row.share) for row in rows] == [
        ("2 images", 100, 100),
        ("3 images", 0, 0),
        ("4 images", 0, 0),
        ("5 to 9 images", 25, 25),
        ("10 to 19 images", 0, 0),
        ("20 to 49 images", 0, 0),
        ("50 to 99 images", 0, 0),
        ("100 or more images", 2, 2),
    ]
    assert group_rows({}) == []


def test_the_extremes_of_many_parts_are_shown_and_the_middle_is_counted():
    parts = [Part(f"{number:03}", 100, number % 100) for number in range(1, 100)]
    found = losses([*parts, Part("all", 10, 10), Part("empty", 0, 0)])
    assert found.most[0].name == "all"
    assert [part.removed_fraction for part in found.most[1:3]] == [0.99, 0.98]
    assert [part.name for part in found.least[-2:]] == ["001", "empty"]
    assert found.left_out == 101 - len(found.most) - len(found.least)
    assert found.whole == 1


def test_a_part_that_loses_everything_stands_out():
    page = review_page.render(made_review())
    assert "1 loses everything." in words(page)
    whole = re.search(r'<tr class="whole">.*?</tr>', page, re.DOTALL)[0]
    assert "b.parquet" in whole
    assert "loses everything" in whole
    assert page.index("b.parquet") < page.index(">c<") < page.index("a.parquet")
