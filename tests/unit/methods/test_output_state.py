"""How far an output is, by the notes in its commits."""

import pytest

from dedup_lib.errors import OutputExistsError
from dedup_lib.methods.since_last_run.output_state import (
    Reached,
    deletion_name,
    how_far,
    state_of,
)
from dedup_lib.tables.history import ImagesState, Operation
from dedup_lib.tables.target import Target

BEFORE = ImagesState("/images", "id", None, None, {"a": (1, 2)}, ("`id` string",))
NOW = ImagesState("/images", "id", None, None, {"a": (1, 2), "b": (3, 4)}, ("`id` string",))
ASKED = {"fingerprint": "f"}
HARMLESS = ("REPLACE",)


def ended(run="r1", images=BEFORE):
    return {"run": run, "kept_rows": 1} | Reached(images, None, None, ASKED).note_of_end()


def deleted(run="r1"):
    return {"run": deletion_name(run)} | Reached(BEFORE, None, None, ASKED).note_of_deletion()


def commits(*notes):
    """Commits, newest first: a note of such a run, or the name of another writer's operation."""
    numbered = zip(range(len(notes), 0, -1), notes, strict=True)
    return [
        Operation(at, one, {}) if isinstance(one, str) else Operation(at, "append", one)
        for at, one in numbered
    ]


@pytest.mark.parametrize(
    ("made", "images", "written_by", "is_undisturbed"),
    [
        (commits(ended()), BEFORE, None, True),
        (commits(ended("r2"), deleted("r2"), ended()), BEFORE, None, True),
        (commits("replace", ended()), BEFORE, None, True),
        (commits("append", ended()), None, "append", False),
        (commits("rollback", ended()), None, "rollback", False),
        (commits(deleted("r2"), ended()), BEFORE, None, False),
        (commits(ended("r2"), deleted("r3"), ended()), BEFORE, None, False),
        (commits(ended("r2"), "append", ended()), BEFORE, None, False),
        (commits("append"), None, None, False),
        ([], None, None, False),
    ],
)
def test_what_commits_say(made, images, written_by, is_undisturbed):
    state = state_of(made, HARMLESS)
    assert (state.images, state.written_by) == (images, written_by)
    assert state.is_undisturbed is is_undisturbed
    assert state.version == (len(made) or None)


def test_a_run_is_a_repetition_if_nothing_at_all_is_new():
    target = Target("/out", "delta", "error", "commit", "/out", exists=True)
    state = state_of(commits(ended()), HARMLESS)

    def reached(now=BEFORE, asked=ASKED):
        return how_far(Reached, now, target, asked, lambda: state)

    assert reached().done == state.note
    assert reached().before == BEFORE
    assert reached(now=NOW).done is None
    assert reached(asked={"fingerprint": "g"}).done is None


def test_an_output_of_others_is_refused_but_for_a_full_run():
    def reached(mode, *, exists=True):
        target = Target("/out", "delta", mode, "commit", "/out", exists=exists)
        state = state_of(commits("append", ended()), HARMLESS)
        return how_far(Reached, NOW, target, ASKED, lambda: state)

    with pytest.raises(OutputExistsError, match=r"another writer changed it \(append\)"):
        reached("error")
    assert reached("overwrite").before is None
    assert reached("error", exists=False).state is None
