"""NVIDIA NeMo Curator's own `ImageDuplicatesRemovalStage`, as it is, in one process.

Timed are: reading batches of the Parquet into its task type (`ImageBatch` of `ImageObject`; the
bytes are handed over as they are, not decoded), its stage (`setup`, which reads the list, and
`process` for each batch), and writing what stays as Parquet by pyarrow; `parts` tells each.
Not timed: Ray and Curator's executor, which are not started, so nothing runs in parallel; and
decoding to pixels and encoding anew as JPEG, which Curator's own reader and writer would do.
Nothing is stubbed; see `curator_environment` for what is installed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nemo_curator.stages.image.deduplication.removal import ImageDuplicatesRemovalStage
from nemo_curator.tasks import ImageBatch, ImageObject

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve

BATCH_ROWS = 1024


class CuratorStage(Peer):
    def work(self, request: Request) -> Options:
        self.seconds: Counter[str] = Counter()
        with self.part("stage"):
            stage = ImageDuplicatesRemovalStage(removal_parquets_dir=request.duplicate_ids)
            stage.setup()
        folder = request.make_output()
        for number, path in enumerate(request.image_files()):
            with pq.ParquetFile(path) as file:
                self.filter(file, stage, f"{folder}/{number:05}.parquet")
        return {"parts": dict(self.seconds)}

    def filter(self, file: pq.ParquetFile, stage: ImageDuplicatesRemovalStage, output: str) -> None:
        batches = file.iter_batches(BATCH_ROWS)
        with pq.ParquetWriter(output, file.schema_arrow) as writer:
            while True:
                with self.part("read"):
                    batch = next(batches, None)
                    if batch is None:
                        break
                    task = to_task(batch)
                with self.part("stage"):
                    kept = stage.process(task)
                with self.part("write"):
                    writer.write_batch(to_batch(kept, file.schema_arrow))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - started


def to_task(batch: pa.RecordBatch) -> ImageBatch:
    rest = batch.drop_columns(["image_id", "image"]).to_pylist()
    rows = zip(batch["image_id"].to_pylist(), batch["image"], rest, strict=True)
    images = [
        ImageObject(image_id=image_id, image_data=pixels(image), metadata=metadata)
        for image_id, image, metadata in rows
    ]
    return ImageBatch(data=images, dataset_name="benchmark")


def pixels(image: pa.BinaryScalar) -> np.ndarray:
    return np.frombuffer(image.as_buffer(), dtype=np.uint8)


def to_batch(task: ImageBatch, schema: pa.Schema) -> pa.RecordBatch:
    rows = [
        {"image_id": image.image_id, "image": image.image_data.tobytes(), **image.metadata}
        for image in task.data
    ]
    return pa.RecordBatch.from_pylist(rows, schema=schema)


if __name__ == "__main__":
    serve(CuratorStage)
