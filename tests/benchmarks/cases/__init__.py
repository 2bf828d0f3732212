"""What is measured: one module a case, each with `TITLE`, `measure` and `report`."""

from tests.benchmarks.cases import a_rewrite

CASES = {"A": a_rewrite}
