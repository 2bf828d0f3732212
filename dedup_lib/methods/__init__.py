"""Apply a removal plan with one of several methods. Each method is a class with its checks."""

from dedup_lib.methods.choice import choose_method
from dedup_lib.methods.method import DryRun, Method
from dedup_lib.methods.run_context import RunContext

__all__ = [
    "DryRun",
    "Method",
    "RunContext",
    "choose_method",
]
