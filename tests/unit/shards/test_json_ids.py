"""The ID of a sample, from the JSON beside its image."""

import io
import json

import pytest

from dedup_lib.executor.shards.json_ids import read_json_id
from tests.support.tables.made_shards import link, member, shard_of, tar_of


def ids(*members: object) -> list[str | None]:
    content = tar_of(*members)
    samples = shard_of(content).samples
    return [read_json_id(io.BytesIO(content), sample, "id") for sample in samples]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"id": "a"}', "a"),
        ('{"id": " é\\n"}', " é\n"),
        ('{"id": ""}', ""),
        ('{"id": "007"}', "007"),
        ('{"id": 7}', "7"),
        ('{"id": -0}', "-0"),
        ('{"id": 12345678901234567890123}', "12345678901234567890123"),
        ('{"id": ' + "9" * 5000 + "}", "9" * 5000),
        ('{"id": 1, "id": 2}', "2"),
        ('\ufeff{"id": 1}', "1"),
        ('{"id": "\\ud83d\\ude00"}', "\U0001f600"),
        ('{"id": "\\ud83d"}', None),
        ('{"id": 1.0}', None),
        ('{"id": true}', None),
        ('{"id": null}', None),
        ('{"id": ["a"]}', None),
        ('{"ID": "a"}', None),
        ('["id"]', None),
        ('"id"', None),
        ("7", None),
        ("{", None),
        ('{"id": 1} 2', None),
        ("[" * 100_000, None),
    ],
)
def test_strings_and_integers_are_ids_as_they_are_written(text, found):
    assert ids(member("1.json", text.encode())) == [found]


def test_each_sample_has_the_id_of_its_own_json():
    members = [(f"{n}.jpg", member(f"{n}.JSON", json.dumps({"id": n}).encode())) for n in (3, 1, 2)]
    assert ids(*(item for pair in members for item in pair)) == ["3", "1", "2"]


def test_a_sample_without_one_plain_json_has_no_id():
    one = member("2.json", b'{"id": 1}')
    assert ids("1.jpg") == [None]
    assert ids(one, one) == [None]
    assert ids(member("1.seg.json", b'{"id": 1}')) == [None]
    assert ids(one, link("3.json", "2.json")) == ["1", None]
    assert ids(member("1.json", b'{"id": "\xff"}')) == [None]
    assert ids(member("1.json", type=b"0", size=0)) == [None]
    assert ids(member("1.json", b'{"id": 1}', type=b"S")) == [None]
