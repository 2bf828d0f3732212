"""Headers of the usual form are read in few steps, with the same result as by the general code."""

import io
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dedup_lib.executor.shards import headers
from dedup_lib.executor.shards.usual_headers import UsualHeaders
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.made_shards import (
    END,
    FORMATS,
    SOURCE,
    layout_of,
    member,
    padded,
    raw_header,
    tar_of,
    with_sum,
    without_end,
)

TIMED = [
    member(f"{number}.jpg", b"a" * size, mtime=number + 0.25)
    for number, size in enumerate((700, 1024, 513))
]
SHARDS = {form: tar_of(*TIMED, form=form) for form in FORMATS}
# Where a header has something that is read, or its checksum.
FIELDS = [0, 99, *range(124, 136), *range(146, 158), 257, 262, 345, 482, 499, 511]


def seen(content: bytes) -> object:
    try:
        return layout_of(content)
    except FileRefusedError as error:
        return error.kind, str(error)


def seen_with_care(content: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UsualHeaders, "read", lambda *given: (given[3], b""))
        return seen(content)


@pytest.mark.parametrize("form", FORMATS)
def test_the_usual_forms_are_read_in_few_steps(form, monkeypatch):
    """Only the first PAX header, whose length is not known, and the end are read with care."""
    positions = []
    read_header = headers._read_header
    monkeypatch.setattr(
        headers,
        "_read_header",
        lambda shard, position: positions.append(position) or read_header(shard, position),
    )
    end = len(without_end(SHARDS[form]))
    assert len(layout_of(SHARDS[form]).members) == 3
    assert positions == ([0, 1024, end] if form == "pax" else [end])


def test_a_member_is_read_at_once(monkeypatch):
    class Counted(io.BytesIO):
        num_reads = 0

        def read(self, size=-1):
            self.num_reads += 1
            return super().read(size)

    file = Counted(SHARDS["pax"])
    headers.read_layout(file, len(SHARDS["pax"]), SOURCE)
    assert file.num_reads == 3 + 4 + 1  # the first, whose length is not known; the others; the end


@given(
    form=st.sampled_from(list(FORMATS)),
    block=st.integers(0, 14),
    changes=st.lists(
        st.tuples(
            st.sampled_from(FIELDS) | st.integers(0, 511),
            st.sampled_from(b"\0 0123789xgLS15+-_ao/\n=\x80\xff") | st.integers(0, 255),
        ),
        min_size=1,
        max_size=4,
    ),
    is_summed=st.booleans(),
)
@example("pax", 2, [(511, 0xFF)], True)
@example("gnu", 3, [(135, ord("1"))], True)
@example("gnu", 3, [(124, ord("+"))], True)
@example("gnu", 3, [(126, ord("_"))], True)
@example("gnu", 3, [(134, ord("8"))], True)
@example("pax", 2, [(345, ord("p"))], True)
@example("pax", 5, [(124, 0)], True)
@example("gnu", 3, [(148, ord("+"))], False)
@settings(max_examples=300, deadline=None)
def test_any_change_of_a_block_has_the_same_result(form, block, changes, is_summed):
    content = bytearray(SHARDS[form])
    start = block * 512
    for place, value in changes:
        content[start + place] = value
    if is_summed:
        content[start : start + 512] = with_sum(bytes(content[start : start + 512]))
    assert seen(bytes(content)) == seen_with_care(bytes(content))


RECORDS = [
    b"13 mtime=1.5\n", b"12 mtime=1.5\n", b"14 mtime=1.5\n", b"9 mtime=\n", b"13 mtime 1.5\n",
    b"13 mtime=1.5\n13 atime=2.5\n", b"13 mtime=1.5\n14 path=2.jpg\n",
    b"27 mtime=1.5\n14 path=2.jpg\n", b"0 mtime=", b"12 uname=usr\n",
    b"10 size=3\n", b"13 path=a.jpg", b"22 GNU.sparse.name=ab\n", b"",
]  # fmt: skip


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("num_bytes", [0, 1])
def test_all_records_have_the_same_result(records, num_bytes):
    """Twice: the second PAX header repeats the first, as with many writers."""
    header = raw_header(b"p", b"%011o" % (len(records) + num_bytes), b"x") + padded(records)
    whole = (header + raw_header(b"1.jpg", b"%011o" % 700) + padded(b"a" * 700)) * 2 + END
    after_usual = without_end(SHARDS["pax"]) + whole
    other = SHARDS["pax"][:1536].replace(b"mtime=0.25", b"path=.jpgg")  # of the same length
    for content in (whole, after_usual, without_end(SHARDS["pax"]) + other + whole):
        assert seen(content) == seen_with_care(content)


def test_a_record_may_look_like_a_header():
    """The record goes on in a second block, where an image seems to begin."""
    record = b"530 mtime=" + b"1" * 502 + raw_header(b"x" * 17 + b"\n.jpg", b"%011o" % 512)
    header = raw_header(b"p", b"%011o" % 530, b"x") + record
    content = (header + raw_header(b"1.jpg", b"%011o" % 700) + padded(b"a" * 700)) * 2 + END
    assert [one.name for one in layout_of(content).members] == ["1.jpg", "1.jpg"]


def test_a_shard_may_mix_forms():
    """With PAX headers and without, with global headers, and cut anywhere."""
    parts = [without_end(SHARDS[form]) for form in ("pax", "gnu", "ustar", "pax", "gnu")]
    shared = raw_header(b"g", b"%o" % 14, b"g") + padded(b"14 path=x.jpg\n")
    content = b"".join([*parts, shared, *parts])
    names = [one.name for one in layout_of(content).members]
    assert names == ["0.jpg", "1.jpg", "2.jpg"] * 5 + ["x.jpg"] * 15
    for end in range(0, len(content), 101):
        assert seen(content[:end]) == seen_with_care(content[:end])


def test_the_fields_are_those_of_the_general_code():
    """All fields of a member, in their order."""
    content = tar_of(*TIMED, member("d/é.jpg"), member("d", type=tarfile.DIRTYPE, size=0))
    assert layout_of(content) == seen_with_care(content)
    assert len(layout_of(content).members) == 5
