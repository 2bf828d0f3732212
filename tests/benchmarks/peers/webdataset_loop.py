"""The webdataset package: samples read and written in a loop, as one writes it oneself."""

from __future__ import annotations

import pyarrow.parquet as pq
import webdataset as wds

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve


class WebDatasetLoop(Peer):
    def work(self, request: Request) -> Options:
        duplicates = set(pq.read_table(request.duplicate_ids)["id"].to_pylist())
        folder = request.make_output()
        for path in request.image_files():
            with wds.TarWriter(f"{folder}/{path.name}", encoder=False) as writer:
                for sample in wds.WebDataset(str(path), shardshuffle=False):
                    if sample["__key__"] not in duplicates:
                        writer.write(sample)
        return {}


if __name__ == "__main__":
    serve(WebDatasetLoop)
