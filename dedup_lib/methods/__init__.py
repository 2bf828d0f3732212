"""Apply a removal plan by one of several methods, each a class with its own checks."""

from dedup_lib.methods.choice import choose_method
from dedup_lib.methods.method import DryRun, Method
from dedup_lib.methods.run_context import RunContext

__all__ = [
    "DryRun",
    "Method",
    "RunContext",
    "choose_method",
]
