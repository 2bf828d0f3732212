"""Whether a contender did the work: its figures count only if so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from tests.benchmarks.contenders import Contender
from tests.benchmarks.data import Made, kept_ids

Details = dict[str, Any]


def fault_of_plan(made: Made, details: Details) -> str | None:
    """Return what is wrong with a plan: how many rows it found."""
    return _unlike("rows to remove", details["removed_rows"], made.workload.removed_rows)


def fault_of_output(
    contender: Contender, made: Made, output: Path, details: Details, *, with_ids: bool
) -> str | None:
    """Return what is wrong with an output: its rows, its bytes and, with_ids, its IDs."""
    if contender.makes == "bytes":
        return _unlike("copied bytes", _bytes(output), made.kept_bytes)
    if contender.makes == "clone":
        return _unlike("kept rows", details["rows_of_clone"], made.workload.kept_rows)
    return _fault_of_table(made, output, with_ids=with_ids)


def _fault_of_table(made: Made, output: Path, *, with_ids: bool) -> str | None:
    table = ds.dataset(output, format="parquet")
    fault = _unlike("kept rows", table.count_rows(), made.workload.kept_rows)
    if fault is None and _bytes(output) < made.kept_image_bytes:
        fault = f"wrong: {_bytes(output):,} bytes can't hold the kept images"
    if fault is None and with_ids:
        ids = table.to_table(columns=["image_id"])["image_id"].combine_chunks()
        same = ids.take(pc.sort_indices(ids)).cast("string").equals(kept_ids(made.workload))
        fault = None if same else "wrong: other IDs stayed than should"
    return fault


def _unlike(what: str, found: int, wanted: int) -> str | None:
    return None if found == wanted else f"wrong: {found:,} {what} instead of {wanted:,}"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file())
