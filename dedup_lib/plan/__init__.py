"""Which rows go, from IDs alone, and whether they may."""

from dedup_lib.plan.inputs import Inputs, read_inputs
from dedup_lib.plan.limits import check_limits
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.planning import make_plan

__all__ = [
    "Inputs",
    "Plan",
    "check_limits",
    "make_plan",
    "read_inputs",
]
