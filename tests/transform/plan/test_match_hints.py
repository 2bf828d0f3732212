"""Why IDs do not match: each rule, its counts, and the sentence that people read."""

import pytest

from dedup_lib.plan import match_hints
from dedup_lib.plan.match_hints import MatchHint, why_few_match
from tests.support.spark.plans import physical_plan

# Each hint is a query: as many cases as can be share one.
# By rule: image IDs, list IDs that match one by it, and list IDs that match none by any.
CASES = {
    "blanks": (["a1", "a2", "\u3000"], ["a1\r\n", "\ufeffa2"], ["\xa0", "a 1"]),
    "case": (["bX", "by", "by"], ["BX", "BY", "bx"], ["BZ"]),
    "numbers": (["7", "0", "c1", "8"], ["007", "000", "0c1", "8.0"], ["70", "7.01", "v8.0"]),
    "schemes": (
        ["file:/f/f1", "s3://f/f2", "f/f3"],
        ["/f/f1", "s3a://f/f2", "file:///f/f3"],
        ["/f/f9"],
    ),
    "encoding": (["g 1", "g+2", "g%3"], ["g%201", "g%2b2"], ["g+1"]),
    "paths": (["/h/h 1"], ["file:///h/h%201"], []),
    "suffix": (
        ["d1", "d.2", "d3", ".png"],
        ["d1.jpg", "d.2.jpg", "d3.png"],
        [".jpg", "d4.jpg", "d1.jpeg2k"],
    ),
    "directories": (["e1", "s3://e/e2", "/y/"], ["C:\\e\\e1", "/x/e2"], ["/x/", "/x/e3"]),
}
# By rule: other rules that also match the IDs of its case.
ALSO = {"schemes": {"paths", "directories"}, "encoding": {"paths"}}
TEXTS = {
    "blanks": r"2 of 33 would match without blanks and invisible characters around them ('a1\r\n' "
    "in the list, 'a1' in the table)",
    "case": "3 of 33 would match if upper and lower case were the same ('BY' in the list, 'by' in "
    "the table), but of these 2 would match the same image as another: so other images could be "
    "removed",
    "numbers": "4 of 33 would match without leading zeros and '.0' at the end ('000' in the list, "
    "'0' in the table)",
    "suffix": "3 of 33 would match without their suffix, most often '.jpg', which only the list has"
    " ('d.2.jpg' in the list, 'd.2' in the table)",
    "schemes": "3 of 33 would match if schemes (such as 'file:') and slashes in front made no "
    "difference ('/f/f1' in the list, 'file:/f/f1' in the table)",
    "encoding": "2 of 33 would match if '%20' and the like were decoded ('g%201' in the list, "
    "'g 1' in the table)",
    "paths": "6 of 33 would match if schemes and slashes in front made no difference, and '%20' "
    "and the like were decoded ('/f/f1' in the list, 'file:/f/f1' in the table)",
    "directories": "5 of 33 would match without directories ('/f/f1' in the list, 'file:/f/f1' in "
    "the table)",
    "together": "20 of 33 would match without directories, suffixes, percent-encoding, blanks "
    "around them, case and leading zeros together, more than without any one of these ('/f/f1' in "
    "the list, 'file:/f/f1' in the table), but of these 2 would match the same image as another: "
    "so other images could be removed",
}
UNCLEAR = {"case": 2, "together": 2}


@pytest.fixture(scope="module")
def hints(spark):
    def hints(images, unmatched, id_type="string"):
        both = ([(one,) for one in ids] for ids in (images, unmatched))
        return why_few_match(*(spark.createDataFrame(ids, f"image_id {id_type}") for ids in both))

    return hints


@pytest.fixture(scope="module")
def hints_of_cases(hints):
    images, matching, others = (
        [one for case in CASES.values() for one in case[index]] for index in range(3)
    )
    return {hint.reason: hint for hint in hints([*images, None], [*matching, *others, None])}


@pytest.mark.parametrize("reason", [*CASES, "together"])
def test_each_rule_counts_the_ids_that_it_would_match(hints_of_cases, reason):
    """IDs that are nothing but blanks, suffix or directory match nothing."""
    matching = [
        one
        for name, case in CASES.items()
        if reason in {name, "together", *ALSO.get(name, ())}
        for one in case[1]
    ]
    assert hints_of_cases[reason] == MatchHint(
        reason, len(matching), UNCLEAR.get(reason, 0), 33, TEXTS[reason]
    )


def test_suffixes_of_the_table_are_told_and_ids_cut_in_the_middle(hints):
    long = "x" * 99
    (found,) = hints([f"{long}.webp", "b.webp"], ["b", long, ".webp"])
    assert found.text == (
        "2 of 3 would match without the suffix '.webp', which only the table has "
        "('b' in the list, 'b.webp' in the table)"
    )
    found = hints(["b.jpg", "c.jpg", f"{long}.jpg"], ["b.JPG", "c.png", f"{long}.png"])
    assert found[0].text == (
        "3 of 3 would match without their suffixes, most often '.png' in the list, '.jpg' in the "
        "table ('b.JPG' in the list, 'b.jpg' in the table)"
    )
    assert [hint.reason for hint in found] == ["suffix", "case"]


def found_by(hints, images, listed):
    return [(hint.reason, hint.ids, hint.unclear_ids) for hint in hints(images, listed)]


def test_a_rule_that_makes_images_equal_comes_after_those_that_do_not(hints):
    """By directory three match: one that may be either image, and two that become one."""
    images = ["A", "p/k", "q/k", "p/l", "m.png", "n.png", "n.png"]
    listed = ["a", "a", "m", "n", "r/k", "s/l", "t/l"]
    assert found_by(hints, images, listed) == [
        ("suffix", 2, 0),
        ("case", 1, 0),
        ("together", 6, 3),
        ("directories", 3, 3),
    ]
    found = hints(images[1:4], listed[4:])
    assert [hint.reason for hint in found] == ["none", "directories"]
    assert found[0].text.endswith("different images equal, so make a new list from this table")
    assert found[1].text.endswith(
        "but of these 1 would match more than one image and 2 would match the same image as "
        "another: so other images could be removed"
    )


def test_other_spellings_of_a_path_come_before_the_name_alone(hints):
    """The image of /b is not in this table: by the name another one would go. C: is no scheme."""
    images = ["/a/1 1.jpg", "/a/2.jpg", "/a/3.jpg"]
    listed = ["file:///a/1 1.jpg", "file:///b/2.jpg", "C:/a/3.jpg"]
    assert found_by(hints, images, listed) == [("schemes", 1, 0), ("directories", 3, 0)]
    encoded = ["file:///a/1%201.jpg", *listed[1:]]
    assert found_by(hints, images, encoded) == [
        ("paths", 1, 0),
        ("together", 3, 0),
        ("directories", 2, 0),
    ]


def test_ids_with_the_same_name_are_compared_together(spark, hints):
    names = [f"{number}.jpg" for number in range(500)]
    images = spark.createDataFrame([(name,) for name in names], "image_id string")
    listed = [(f"{folder}/{name}",) for folder in "xyz" for name in names]
    frame = spark.createDataFrame(listed, "image_id string")
    _, found = why_few_match(images, frame, sample_ids=300)
    assert (found.reason, found.ids, found.unclear_ids) == ("directories", 300, 300)


def test_nothing_is_said_where_nothing_helps(hints):
    """Positions are no reason where half of the table has other IDs."""
    assert hints(["00000_000001", "cat_1", None], ["x", "y.jpg", "00000_000123", None]) == []
    assert hints(["00000_000001"], ["x"]) == []
    assert hints(["a"], [None]) == []
    assert hints([None], ["A"]) == []


@pytest.mark.parametrize(
    ("images", "listed"),
    [
        (["00000_000001", "00001_000000", None, "!cat"], "group_00000_x10_000123"),
        (["group_00000_x9_000001"], "train-00000_000123"),
    ],
)
def test_positions_are_told_by_their_looks_on_both_sides(hints, images, listed):
    (found,) = hints(images, [listed, listed, "a dog"])
    assert found == MatchHint(
        "positions",
        1,
        0,
        2,
        f"1 of 2 look like positions (such as {listed!r}, in the table {images[0]!r}), which "
        "change when input files are grouped differently: make a new list from this table",
    )


def test_positions_in_the_list_alone_are_told_if_nothing_else_is(hints):
    (found,) = hints(["b", "a"], ["00000_000001", "00000_000002", "x"])
    assert found == MatchHint(
        "positions",
        2,
        0,
        3,
        "2 of 3 look like NeMo Curator's positions of images in shards (such as '00000_000001'), "
        "but the table's IDs do not (such as 'a'): for WebDataset shards use --image-id-from "
        "curator",
    )
    assert [hint.reason for hint in hints(["d/00000_000001"], ["00000_000001"])] == ["directories"]


def test_the_same_ids_are_looked_at_each_time_and_counts_have_separators(spark):
    images = spark.range(2000).selectExpr("concat('i', id) AS image_id")
    listed = images.selectExpr("upper(image_id) AS image_id")
    once, twice = (
        why_few_match(images, frame, sample_ids=1500)
        for frame in (listed, listed.repartition(3).union(listed))
    )
    assert once == twice
    assert once[0].text.startswith("1,500 of 1,500 would match if upper and lower case")


def test_integers_are_told_by_ranges_that_hardly_meet(hints):
    """The table's own ends are inside."""
    images, listed = [None, 0, 4999, 12], [5000, 6299, 6299, -7, 4998, None]
    assert hints(images, listed, "bigint") == [
        MatchHint(
            "range",
            3,
            0,
            4,
            "3 of 4 (from -7 to 6,299) are outside the range of the table's IDs (from 0 to "
            "4,999): integer IDs are often row positions, which change with each run, so make sure "
            "that the list was made from this table",
        )
    ]


@pytest.mark.parametrize(("images", "listed"), [([0, 9], [3, 0, 9, 10, -1, 99]), ([None], [3])])
def test_integers_half_of_which_are_in_the_range_say_nothing(hints, images, listed):
    assert hints(images, [*listed, None], "int") == []


def test_image_ids_are_read_once_and_joined_where_they_are(spark):
    images = spark.range(9).selectExpr("concat('i', id) AS image_id")
    listed = spark.createDataFrame([("I1",)], "image_id string")
    matches = match_hints._matches(images, match_hints._keys(match_hints._sample(listed, 9)))
    plan = physical_plan(matches)
    below_join = plan[plan.index("BroadcastHashJoin") :]
    assert plan.count("Range (") == 1
    assert "Exchange" not in below_join[: below_join.index("BroadcastExchange")]
