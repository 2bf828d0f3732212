"""Runs to be stopped, and what a reader may see of their outputs afterwards.

Each case has a folder of its own: `in/images` (files) or `in/table` (Delta), `in/list`, and where
something is to be replaced an old `out`. The run key makes a retry the same run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from tests.support.tables.made import (
    delta_table,
    image_rows,
    manifest_at,
    tree_digest,
    write_list,
    write_parquet,
)
from tests.support.tables.made_shards import read_image_shards, write_image_shard

Format = Literal["parquet", "delta", "webdataset"]
Rows = frozenset[tuple[str | None, str]]
IMAGES = {f"{number}.parquet": [f"i{number}{letter}" for letter in "abcdef"] for number in range(4)}
LISTED = ["i0b", "i0d", "i1a", "i2c", "i2d", "i2e", "i3f", "elsewhere"]
RUN_KEY = "the run"


@dataclass(frozen=True)
class Case:
    """A run that is to be stopped.

    Attributes:
        name: The name of the case.
        flags: The flags of the run, without the inputs; `./` is the case's folder.
        images: The format of the image table.
        output: Where its output is: `out`, or the image table.
        output_format: The format of the output.
        replaces: Whether there is an old output.
        commits: How many Delta commits, or manifests, carry the run key.
        code_when_done: The exit code of a second run without a key.
    """

    name: str
    flags: tuple[str, ...]
    images: Format = "parquet"
    output: str = "out"
    output_format: Format = "parquet"
    replaces: bool = False
    commits: int = 1
    code_when_done: int = 5

    def arguments(self, folder: Path, *, is_keyed: bool = True) -> tuple[str, ...]:
        """The flags of the run, with the places in a folder; with a run key or without."""
        images = "in/table" if self.images == "delta" else "in/images"
        places = ("--images", f"{folder}/{images}", "--duplicate-ids", f"{folder}/in/list")
        flags = (flag.replace("./", f"{folder}/") for flag in self.flags)
        key = ("--run-key", RUN_KEY) if is_keyed else ()
        return (*places, *key, *flags)

    @property
    def old(self) -> Rows | None:
        """The rows that were there before; None where nothing was."""
        if self.output == "in/table":
            return _rows(made_images())
        return _rows(OLD) if self.replaces else None

    @property
    def new(self) -> Rows:
        """The rows that are there once it is done."""
        return frozenset(row for row in _rows(made_images()) if row[0] not in LISTED)

    def lay_out(self, spark: SparkSession, folder: Path) -> None:
        """Write the inputs and the old output."""
        write_list(folder / "in/list/1.parquet", LISTED)
        for number, name in enumerate(IMAGES):
            rows = made_images().slice(number * 6, 6)
            if self.images == "webdataset":
                write_image_shard(rows, folder / f"in/images/{number:05}.tar")
            else:
                write_parquet(rows, folder / "in/images" / name, row_group_size=3)
        if self.images == "delta":
            frame = spark.read.parquet(str(folder / "in/images"))
            delta_table(frame, folder / "in/table", enableDeletionVectors="true")
            shutil.rmtree(folder / "in/images")
        if self.replaces and self.output_format == "parquet":
            write_parquet(OLD, folder / "out/1.parquet")
        elif self.replaces and self.output_format == "webdataset":
            write_image_shard(OLD, folder / "out/00009.tar")
        elif self.replaces:
            write_parquet(OLD, folder / "old.parquet")
            delta_table(spark.read.parquet(str(folder / "old.parquet")), folder / "out")
            (folder / "old.parquet").unlink()

    def inputs_digest(self, folder: Path) -> dict[str, str]:
        """What no run may change: all inputs, but for the log and vectors of a table in place."""
        digests = tree_digest(folder / "in")
        if self.output != "in/table":
            return digests
        return {
            name: digest
            for name, digest in digests.items()
            if not any(mark in name for mark in ("_delta_log", "deletion_vector", ".dedup-"))
        }

    def seen(self, spark: SparkSession, folder: Path) -> str:
        """What a reader sees: `nothing`, `old`, `new`, or else what is wrong with it."""
        place = folder / self.output
        if not place.exists():
            return "nothing"
        try:
            rows = _rows(self._read(spark, place))
        except Exception as error:  # a reader fails as it likes: all of it is a violation
            return f"unreadable: {str(error)[:300]}"
        names = {self.old: "old", self.new: "new"}
        return names.get(rows, f"{len(rows)} rows that are neither the old nor the new ones")

    def _read(self, spark: SparkSession, place: Path) -> pa.Table:
        if self.output_format == "parquet":
            return pq.read_table(place)
        if self.output_format == "webdataset":
            return read_image_shards(place)
        return spark.read.format("delta").load(str(place)).toArrow()

    def num_commits(self, spark: SparkSession, folder: Path) -> int:
        """How many commits carry the run key: of files the number of manifests."""
        if self.output_format != "delta":
            outputs = json.loads(manifest_at(folder / self.output).read_text())["outputs"]
            return sum(output["note"]["run_key"] == RUN_KEY for output in outputs)
        history = spark.sql(f"DESCRIBE HISTORY delta.`{folder / self.output}`").collect()
        return sum(RUN_KEY in (row["userMetadata"] or "") for row in history)


def check_done(spark: SparkSession, case: Case, folder: Path, inputs: dict[str, str]) -> None:
    """The output is there, by one commit, and nothing else is; the inputs are as they were."""
    assert (case.seen(spark, folder), left_behind(folder)) == ("new", [])
    assert case.num_commits(spark, folder) == case.commits
    assert case.inputs_digest(folder) == inputs


def left_behind(folder: Path) -> list[str]:
    """Files and directories that only a run at work has."""
    paths = list(folder.rglob("*"))
    names = {str(path.relative_to(folder)) for path in paths}
    names -= {str(manifest_at(path).relative_to(folder)) for path in paths}  # of what is there
    marks = (".dedup-", "_temporary", "report.json.", "_dedup_source")
    return sorted(name for name in names if any(mark in name for mark in marks))


def made_images() -> pa.Table:
    """The image table, as one."""
    return image_rows([name for names in IMAGES.values() for name in names])


def _rows(table: pa.Table) -> Rows:
    rows = table.select(["image_id", "image"]).to_pylist()
    digests = [(row["image_id"], hashlib.sha256(row["image"]).hexdigest()) for row in rows]
    assert len(digests) == len(set(digests)), "a row stands there twice"
    return frozenset(digests)


OLD = image_rows(["old 1", "old 2"])
_OUT = ("--output", "./out")
_OVERWRITE = (*_OUT, "--output-mode", "overwrite")
_DELTA = ("--output-format", "delta")
_SHARDS = ("--output-format", "webdataset")
CASES = {
    case.name: case
    for case in (
        Case("parquet error", (*_OUT, "--removed-output", "./removed")),
        Case(
            "parquet overwrite",
            (*_OVERWRITE, "--engine", "arrow"),
            replaces=True,
            code_when_done=0,
        ),
        Case(
            "parquet overwrite, spark",
            (*_OVERWRITE, "--engine", "spark"),
            replaces=True,
            code_when_done=0,
        ),
        Case("shards", (*_OUT, *_SHARDS), images="webdataset", output_format="webdataset"),
        Case(
            "shards overwrite",
            (*_OVERWRITE, *_SHARDS),
            images="webdataset",
            output_format="webdataset",
            replaces=True,
            code_when_done=0,
        ),
        Case("delta rewrite", (*_OUT, *_DELTA), output_format="delta"),
        Case(
            "delta overwrite",
            (*_OVERWRITE, *_DELTA),
            images="delta",
            output_format="delta",
            replaces=True,
            code_when_done=0,
        ),
        Case(
            "clone",
            (*_OUT, "--method", "clone"),
            images="delta",
            output_format="delta",
            commits=2,  # the clone, and the deletion
        ),
        Case(
            "in place",
            ("--method", "in-place"),
            images="delta",
            output="in/table",
            output_format="delta",
            replaces=True,
            code_when_done=4,  # nothing matches any more
        ),
    )
}
