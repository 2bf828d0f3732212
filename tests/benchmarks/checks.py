"""Whether a contender did the work: its figures count only if so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tests.benchmarks.contenders import Contender
from tests.benchmarks.data import Made, kept_ids

Details = dict[str, Any]


def fault(
    contender: Contender, made: Made, output: Path, details: Details, *, with_ids: bool
) -> str | None:
    """Return what is wrong with the work: its rows, its bytes and, with_ids, its IDs; or None."""
    workload = made.workload
    match contender.makes:
        case "plan":
            return _unlike("rows to remove", details["removed_rows"], workload.removed_rows)
        case "bytes":
            return _unlike("copied bytes", _bytes(output), made.kept_bytes)
        case "clone":
            return _unlike("kept rows", details["rows_of_clone"], workload.kept_rows)
        case "table":
            try:
                return _fault_of_table(made, output, with_ids=with_ids)
            except (OSError, pa.ArrowException) as error:
                return f"wrong: {error}"


def _fault_of_table(made: Made, output: Path, *, with_ids: bool) -> str | None:
    table = ds.dataset(output, format="parquet")
    found = _unlike("kept rows", table.count_rows(), made.workload.kept_rows)
    if found is None and _bytes(output) < made.kept_image_bytes:
        found = f"wrong: {_bytes(output):,} bytes can't hold the kept images"
    if found is None and with_ids:
        ids = table.to_table(columns=["image_id"])["image_id"].combine_chunks()
        same = ids.take(pc.sort_indices(ids)).cast("string").equals(kept_ids(made.workload))
        found = None if same else "wrong: other IDs stayed than should"
    return found


def _unlike(what: str, found: int, wanted: int) -> str | None:
    return None if found == wanted else f"wrong: {found:,} {what} instead of {wanted:,}"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file())
