"""Start runs of the job in a small heap, and make big images for them."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.paths import ROOT
from tests.support.processes.runs import CONSOLE_ENVIRONMENT, conf_flags, run

IMAGE_BYTES, NUM_IMAGES = 25 * 1024**2, 60


def small_heap_runs(
    folder: Path,
    heap: str,
    steps: Sequence[Mapping[str, Any] | str],
    settings: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Run steps in one process (see small_heap.py), in a folder; return the reports."""
    *arguments, shell = shlex.split(CONSOLE_ENVIRONMENT["PYSPARK_SUBMIT_ARGS"])
    own = conf_flags({"spark.driver.memory": heap, **(settings or {})})  # the last one counts
    script = ROOT / "tests/support/processes/small_heap.py"
    result = run(
        [sys.executable, script, json.dumps(steps)],
        cwd=folder,
        PYTHONPATH=str(ROOT),
        PYSPARK_SUBMIT_ARGS=shlex.join([*arguments, *own, shell]),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


def make_big_images(folder: Path) -> None:
    """Write 1.5 GB in two partitions, and a list of each third ID.

    There are 60 images of 25 MB, each in a row group of its own, in `folder/images`. The list is
    `folder/list`.
    """
    generator = np.random.default_rng(0)
    schema = pa.schema({"image_id": pa.string(), "image": pa.binary()})
    for part in range(2):
        path = folder / f"images/part={part}/1.parquet"
        path.parent.mkdir(parents=True)
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for number in range(part, NUM_IMAGES, 2):
                rows = {"image_id": [f"id-{number}"], "image": [generator.bytes(IMAGE_BYTES)]}
                writer.write_table(pa.table(rows, schema))
    (folder / "list").mkdir()
    listed = [f"id-{number}" for number in range(0, NUM_IMAGES, 3)]
    pq.write_table(pa.table({"id": listed}), folder / "list/1.parquet")
