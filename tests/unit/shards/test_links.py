"""Links whose target would go are found by the headers of a shard, before anything is written."""

from dataclasses import replace

import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.shards.read_tasks import ShardSources, check_links_of, list_ids
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import names_in
from tests.support.tables.made_shards import link, tar_of

MEMBERS = [
    "1.jpg",
    link("2.jpg", "1.jpg"),
    link("1.png", "1.jpg"),
    "3.jpg",
    link("README", "3.jpg"),
]


@pytest.fixture
def check(tmp_path):
    """Check a shard of the keys 1, 2 and 3: check(planned rows, action, changes of the task)."""
    (tmp_path / "0.tar").write_bytes(tar_of(*MEMBERS))

    def check(rows, action="remove", **changed):
        given = replace(task(tmp_path, tmp_path / "0.tar", num_rows=3), **changed)
        done = check_links_of(given, bitmap(*rows), {}, RowSelection(action, "key"))
        assert (done.num_rows, done.written_bytes) == (0, 0)

    yield check
    assert names_in(tmp_path) == ["0.tar"]


@pytest.mark.parametrize(
    ("rows", "action"),
    [((), "remove"), ((1,), "remove"), ((0, 1), "remove"), ((0,), "extract"), ((0, 1), "extract")],
)
def test_a_link_may_go_or_stay_with_its_target(check, rows, action):
    check(rows, action)


@pytest.mark.parametrize(
    ("rows", "action", "words"),
    [
        ((0,), "remove", "the link '2.jpg' to '1.jpg' at byte 1024: the link would stay"),
        ((0, 1, 2), "remove", "the link 'README' to '3.jpg' at byte 3072"),
        ((1,), "extract", "the link '2.jpg' to '1.jpg' at byte 1024"),
    ],
)
def test_a_link_that_would_lose_its_target_is_refused(check, rows, action, words):
    with pytest.raises(FileRefusedError, match=words) as refused:
        check(rows, action)
    assert refused.value.kind == "shard"


@pytest.mark.parametrize("changed", [{"num_rows": 4}, {"size_bytes": 1}, {"source": "file:/none"}])
def test_a_shard_that_was_changed_is_refused(check, changed):
    with pytest.raises(FileRefusedError, match="was changed") as refused:
        check((), **changed)
    assert refused.value.kind == "changed"


def test_shards_with_links_are_told_while_ids_are_read(tmp_path):
    (tmp_path / "0.tar").write_bytes(tar_of(*MEMBERS))
    (tmp_path / "1.tar").write_bytes(tar_of("1.jpg"))
    files = [SourceFile(path.name, path.stat().st_size) for path in sorted(tmp_path.iterdir())]
    sources = ShardSources(f"file:{tmp_path}", files, "key", ["image_id"], "remove", False)
    found, _ = list_ids(sources, {})
    assert [one.has_links for one in found] == [True, False]
