"""NVIDIA NeMo Curator's own stages from shards to shards, on CPUs, in one process.

Its reader on DALI (two threads), `ImageDuplicatesRemovalStage`, and its writer, as they are; see
`tests.judges.curator` for what they run on. They decode each picture, encode those that stay anew
as JPEG, and write no other member. Ray and Curator's executor are not started: reading and writing
of several shards at once would use the second core better.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve
from tests.judges import curator


class CuratorShards(Peer):
    def work(self, request: Request) -> Options:
        self.seconds: Counter[str] = Counter()
        with self.part("stage"):
            stage = curator.ImageDuplicatesRemovalStage(removal_parquets_dir=request.duplicate_ids)
            stage.setup()
        writer = curator.ImageWriterStage(str(request.make_output()), images_per_tar=100)
        tasks = curator.read_tasks(Path(request.images))
        while True:
            with self.part("read"):
                batches = next(tasks, None)
            if batches is None:
                return {"parts": dict(self.seconds)}
            for batch in batches:
                with self.part("stage"):
                    kept = stage.process(batch)
                with self.part("write"):
                    writer.process(kept)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - started


if __name__ == "__main__":
    serve(CuratorShards)
