"""Whether a contender did the work: its figures count only if so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tests.benchmarks.contenders import Contender
from tests.benchmarks.data import Made, kept_ids
from tests.benchmarks.shards import Shards, keys_in

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
        case "shards":
            return _fault_of_shards(made, output, with_ids=with_ids)
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


def _fault_of_shards(made: Made, output: Path, *, with_ids: bool) -> str | None:
    """Look at the pictures' keys, or at the bytes: Curator encodes anew, and drops what else is."""
    if _bytes(output) < made.kept_image_bytes // 2:
        return f"wrong: {_bytes(output):,} bytes can't hold the kept images"
    if not with_ids or not isinstance(made.workload, Shards):
        return None
    keys = keys_in(output)
    if (found := _unlike("kept samples", len(keys), made.workload.kept_rows)) is not None:
        return found
    same = set(keys) == made.workload.kept_keys()
    return None if same else "wrong: other samples stayed than should"


def _unlike(what: str, found: int, wanted: int) -> str | None:
    return None if found == wanted else f"wrong: {found:,} {what} instead of {wanted:,}"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file())
