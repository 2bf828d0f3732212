"""The numbers of commits: of runs that start at one state, one alone can end."""

from dedup_lib.delta.transactions import Numbered, transaction_of
from dedup_lib.methods.since_last_run.output_state import state_of
from dedup_lib.tables.history import ImagesState, Operation

IMAGES = ImagesState("/images", "id", None, 1)


def numbered(*notes):
    made = [Operation(0, "WRITE", {"run": "r", **note}) for note in reversed(notes)]
    return Numbered(IMAGES, IMAGES, state_of(made, ()) if made else None, {})


def number(note):
    return int(transaction_of(note)["txnVersion"])


def test_a_number_is_later_than_all_before_and_the_last_one_is_that_of_the_state():
    first = numbered().note_of_all()
    deleting = numbered(first).note_of_deletion()
    ending = numbered(first).note_of_end()
    assert number(first) < number(deleting) < number(ending)
    # What a run that died deleted has a number; the next run ends with the same one as that run.
    assert number(numbered(first, deleting).note_of_deletion()) == number(deleting) + 1
    assert number(numbered(first, deleting).note_of_end()) == number(ending)
    assert number(numbered(first, deleting, ending).note_of_all()) > number(ending)
    assert number(numbered(first, deleting, ending).note_of_end()) > number(ending)
    assert transaction_of({"run": "r"}) == {}
