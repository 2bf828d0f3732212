"""A run whose plan is outdated is executed anew, three times at most."""

import pytest

from dedup_lib.errors import ConflictError, PlanOutdatedError
from dedup_lib.methods import tries


class Run:
    def __init__(self, errors):
        self.errors = errors

    def execute(self):
        if (error := self.errors.pop(0)) is not None:
            raise error


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_outdated_plans_are_made_anew(failures):
    errors = [PlanOutdatedError("grown.")] * failures + [None]
    tries.execute(lambda: Run(errors))
    assert errors == []


def test_the_fourth_outdated_plan_ends_the_run():
    errors = [PlanOutdatedError("grown.")] * 5
    with pytest.raises(PlanOutdatedError):
        tries.execute(lambda: Run(errors))
    assert len(errors) == 1


def test_no_other_conflict_is_tried_again():
    errors = [ConflictError("changed."), None]
    with pytest.raises(ConflictError):
        tries.execute(lambda: Run(errors))
    assert errors == [None]
