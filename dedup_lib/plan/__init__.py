"""Decide which rows to remove, from IDs alone, and check the safety limits."""

from dedup_lib.plan.inputs import Inputs
from dedup_lib.plan.limits import check_limits
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.planning import make_plan

__all__ = [
    "Inputs",
    "Plan",
    "check_limits",
    "make_plan",
]
