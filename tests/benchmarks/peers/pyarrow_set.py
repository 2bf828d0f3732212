"""pyarrow and a Python set in one process: what one writes without an engine."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve

BATCH_ROWS = 1024


class PyarrowSet(Peer):
    def __init__(self, options: Options) -> None:
        pa.set_cpu_count(options["threads"])

    def work(self, request: Request) -> Options:
        duplicates = set(pq.read_table(request.duplicate_ids)["id"].to_pylist())
        folder = request.make_output()
        for number, path in enumerate(request.image_files()):
            with pq.ParquetFile(path) as file:
                keep(file, duplicates, f"{folder}/{number:05}.parquet")
        return {}


def keep(file: pq.ParquetFile, duplicates: set[str], output: str) -> None:
    with pq.ParquetWriter(output, file.schema_arrow) as writer:
        for batch in file.iter_batches(BATCH_ROWS):
            mask = pa.array([i not in duplicates for i in batch["image_id"].to_pylist()])
            writer.write_batch(batch.filter(mask))


if __name__ == "__main__":
    serve(PyarrowSet)
