"""Small tables made without Spark, and what tests compare of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext  # noqa: TID251  # its JVM, also that of Connect's server
from pyspark.sql import DataFrame, SparkSession


def image_rows(ids: Sequence[Any], *, id_type: pa.DataType | None = None) -> pa.Table:
    """One row per ID: image_id, image (bytes that look like a JPEG), width, caption, tags."""
    id_type = id_type or pa.string()
    return pa.table(
        {
            "image_id": pa.array(ids, id_type),
            "image": pa.array([image_bytes(position) for position in range(len(ids))]),
            "width": pa.array(range(len(ids)), pa.int32()),
            "caption": pa.array([f"picture {position}" for position in range(len(ids))]),
            "tags": pa.array([[f"t{position}", None] for position in range(len(ids))]),
        }
    )


def image_bytes(position: int) -> bytes:
    """Some hundred bytes that compress no better than a JPEG does."""
    seed = hashlib.sha256(str(position).encode()).digest()
    return b"\xff\xd8\xff\xe0" + b"".join(
        hashlib.sha256(seed + bytes([n])).digest() for n in range(8)
    )


def write_parquet(table: pa.Table, path: Path, **options: Any) -> Path:
    """Write one Parquet file, with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def write_list(path: Path, ids: Sequence[Any], *, column: str = "id", id_type: Any = None) -> Path:
    """Write a removal list of one file."""
    write_parquet(pa.table({column: pa.array(ids, id_type or pa.string())}), path)
    return path


def delta_table(frame: DataFrame, path: Path, **properties: str) -> Path:
    """Write a Delta table of one file, with table properties (their names without `delta.`)."""
    writer = frame.coalesce(1).write.format("delta")
    for name, value in properties.items():
        writer = writer.option(f"delta.{name}", value)
    writer.save(str(path))
    return path


def add_unknown_feature(spark: SparkSession, table: Path, name: str) -> None:
    """Give a Delta table a writer feature that no Delta knows, in a commit of its own."""
    log = table / "_delta_log"
    versions = sorted(log.glob("*.json"))
    actions = [json.loads(line) for path in versions for line in path.read_text().splitlines()]
    protocol = [action["protocol"] for action in actions if "protocol" in action][-1]
    protocol |= {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol.setdefault("readerFeatures", [])
    protocol["writerFeatures"] = [*protocol.get("writerFeatures", []), name]
    commit = log / f"{len(versions):020d}.json"
    commit.write_text(json.dumps({"protocol": protocol}) + "\n")
    SparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def files_with_rows(folder: Path) -> list[Path]:
    """The Parquet files of a table that hold a row: before Delta 4.3 a MERGE leaves an empty one,
    which its log does not name, and the deleted rows where a change data feed is on.
    """
    others = {"_delta_log", "_change_data"}
    paths = [path for path in folder.rglob("*.parquet") if not others.intersection(path.parts)]
    return [path for path in paths if pq.read_metadata(path).num_rows]


def tree_digest(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a directory, by relative path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def row_digests(frame: DataFrame) -> list[str]:
    """SHA-256 of every row, in every column and to the byte, sorted."""
    rows = (tuple(row[name] for name in sorted(frame.columns)) for row in frame.collect())
    return sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in rows)


def names_in(directory: Path) -> list[str]:
    """All names in a directory, hidden ones too, without the manifests of outputs there."""
    names = {path.name for path in directory.iterdir()}
    return sorted(names - {manifest_at(directory / name).name for name in names})


def manifest_at(output: Path) -> Path:
    """Where the manifest of an output is."""
    return output.with_name(f".{output.name}.dedup-manifest.json")


def note_of(output: Path) -> dict[str, Any]:
    """The note in the manifest of an output: the only one there."""
    (made,) = json.loads(manifest_at(output).read_text())["outputs"]
    return dict(made["note"])
