"""Written shards that a task has read anew are not read once more, unless they changed."""

from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.target import CountedFile, Staged, Target
from dedup_lib.webdataset.format import _divide_counted

TARGET = Target("file:/out", "webdataset", "error", "rename", None, exists=False)


def test_only_shards_of_the_size_that_was_read_are_counted_already():
    staged = Staged(
        TARGET,
        "file:/staged",
        None,
        counted={
            name: CountedFile(10_240, 3) for name in ("1.tar", "a/1.tar", "2.tar", "gone.tar")
        },
    )
    found = {"1.tar": 10_240, "a/1.tar": 10_240, "2.tar": 20_480, "copied.tar": 10_240}
    shards = [FileInfo(f"file:/staged/{name}", size, 0) for name, size in found.items()]
    num_samples, unread = _divide_counted(staged, shards)
    assert num_samples == 6
    assert unread == shards[2:]
