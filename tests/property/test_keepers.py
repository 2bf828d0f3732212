"""Keepers of random lists, compared with a model of a few lines."""

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from dedup_lib.plan.groups import Ranking
from dedup_lib.plan.keepers import resolve_keepers

IDS = "abcdefghi"
ABSENT = "xy"
MARKS = "array<struct<list_index: int, keeper_id: string, score: double>>"
SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def marked(draw):
    """For some IDs that go: their keepers, in the table or not; None is a list that names none."""
    keeper = st.one_of(st.none(), st.sampled_from(IDS + ABSENT))
    return draw(
        st.dictionaries(st.sampled_from(IDS), st.lists(keeper, min_size=1, max_size=3, unique=True))
    )


def reachable(marks, start):
    """All that an ID's keepers lead to."""
    found, seen = [start], set()
    while found:
        for keeper in marks.get(found.pop(), ()):
            if keeper is not None and keeper not in seen:
                seen.add(keeper)
                found.append(keeper)
    return seen


def clusters_of(marks, lost):
    """Lost IDs that hang together by their pairs, each with its whole cluster."""
    near = defaultdict(set)
    for image_id in lost:
        for keeper in marks[image_id]:
            if keeper is not None:
                near[image_id].add(keeper)
                near[keeper].add(image_id)
    return {image_id: (reachable(near, image_id) | {image_id}) & lost for image_id in lost}


def settled(spark, marks, on_lost):
    rows = [(one, [(0, keeper, 0.5) for keeper in keepers]) for one, keepers in marks.items()]
    frame = spark.createDataFrame(rows, f"image_id string, marks {MARKS}")
    images = spark.createDataFrame([(one,) for one in IDS], "image_id string")
    ranking = Ranking(images, [])
    kept, counts = resolve_keepers(
        frame, images, ranking, on_lost, lambda rows: rows.localCheckpoint()
    )
    found = kept.select("image_id", F.col("surviving_keeper_id")).collect()
    assert len({row.image_id for row in found}) == len(found)
    return {row.image_id: row.surviving_keeper_id for row in found}, counts


@SLOW
@given(marks=marked())
def test_survivors_are_those_of_the_model(spark, marks):
    """Each that goes leads to one that stays, to one that is elsewhere, or is lost."""
    named = {one for one, keepers in marks.items() if any(keepers)}
    ends = {one: reachable(marks, one) for one in named}
    here = {one for one in named if ends[one] & (set(IDS) - set(marks))}
    elsewhere = {one for one in named - here if ends[one] & set(ABSENT)}
    lost = named - here - elsewhere

    found, counts = settled(spark, marks, "error")
    assert set(found) == set(marks)
    assert {one for one, survivor in found.items() if survivor is not None} == here
    for one in here:
        assert found[one] in ends[one] & (set(IDS) - set(marks))
    numbers = (counts.surviving_here_ids, counts.surviving_elsewhere_ids, counts.lost_ids)
    assert numbers == (len(here), len(elsewhere), len(lost))
    assert list(counts.examples) == sorted(lost)[:5]

    found, counts = settled(spark, marks, "keep-one")
    for one, cluster in clusters_of(marks, lost).items():
        spared = min(cluster, key=lambda member: (None in marks[member], member))
        assert found.get(one) == (None if one == spared else spared)
        assert spared not in found
    spared = set(marks) - set(found)
    assert spared <= lost
    assert counts.spared_ids == len(spared)
