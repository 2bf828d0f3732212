"""Convert what tools wrote as JSON, CSV and text to Parquet, as their users do."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from struct import iter_unpack
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

Rows = Sequence[Sequence[Any]]


def convert_all(lists: Path) -> None:
    """Write a Parquet file beside each file of another format.

    Args:
        lists: The corpus, with a folder for each tool.
    """
    _imagededup(lists / "imagededup")
    _fastdup(lists / "fastdup")
    _difpy(lists / "difpy")
    _cleanvision(lists / "cleanvision")
    _datatrove(lists / "datatrove")


def _imagededup(folder: Path) -> None:
    """Explode the dictionaries: a row for each duplicate of a picture."""
    found = _read(folder / "phash.json")
    rows = [(name, other) for name, others in found.items() for other in others]
    _save(folder / "phash.parquet", ("filename", "duplicate"), rows)
    for name, score in (("phash_scores", "distance"), ("cnn_scores", "similarity")):
        found = _read(folder / f"{name}.json")
        scored = [(name, *other) for name, others in found.items() for other in others]
        _save(folder / f"{name}.parquet", ("filename", "duplicate_filename", score), scored)
    for name in ("phash_to_remove", "cnn_to_remove"):
        _save(
            folder / f"{name}.parquet",
            ("filename",),
            [(one,) for one in _read(folder / f"{name}.json")],
        )


def _fastdup(folder: Path) -> None:
    for name in ("similarity", "outliers", "connected_components"):
        pq.write_table(pyarrow.csv.read_csv(folder / f"{name}.csv"), folder / f"{name}.parquet")
    with (folder / "atrain_features.dat.csv").open(newline="") as file:
        paths = {row["index"]: row["filename"] for row in csv.DictReader(file)}
    with (folder / "connected_components.csv").open(newline="") as file:
        rows = [(paths[row["__id"]], int(row["component_id"])) for row in csv.DictReader(file)]
    _save(folder / "components_of_paths.parquet", ("filename", "component_id"), rows)


def _difpy(folder: Path) -> None:
    found = _read(folder / "results_results.json")
    rows = [(path, *match) for path, matches in found.items() for match in matches]
    _save(folder / "results.parquet", ("image", "match", "mse"), rows)
    paths = re.findall(r"'([^']*)'", (folder / "results_lower_quality.txt").read_text())
    _save(folder / "lower_quality.parquet", ("path",), [(path,) for path in paths])


def _cleanvision(folder: Path) -> None:
    table = pyarrow.csv.read_csv(folder / "issues.csv")
    pq.write_table(
        table.rename_columns(["path", *table.column_names[1:]]), folder / "issues.parquet"
    )
    # Sets of near duplicates leave out those that are exact duplicates and nothing else.
    found = _read(folder / "sets.json").items()
    rows = [
        (path, f"{kind} {number}")
        for kind, sets in found
        for number, paths in enumerate(sets)
        for path in paths
    ]
    _save(folder / "sets.parquet", ("path", "set"), rows)


def _datatrove(folder: Path) -> None:
    removed = iter_unpack("<I", (folder / "000000.remove").read_bytes())
    _save(folder / "remove.parquet", ("doc_id",), list(removed))
    members = iter_unpack("<2I", (folder / "000000.clusters").read_bytes())
    _save(folder / "clusters.parquet", ("doc_id", "cluster_id"), list(members))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _save(path: Path, names: Sequence[str], rows: Rows) -> None:
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path)
