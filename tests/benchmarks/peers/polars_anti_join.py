"""Polars: a lazy anti join, streamed into a file; the harness sets POLARS_MAX_THREADS."""

from __future__ import annotations

import polars as pl

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve


class Polars(Peer):
    def work(self, request: Request) -> Options:
        duplicates = pl.scan_parquet(f"{request.duplicate_ids}/*.parquet")
        keys = {"left_on": "image_id", "right_on": "id"}
        if request.output is None:
            images = self.scan(request, include_file_paths="file", row_index_name="row")
            rows = images.join(duplicates, how="semi", **keys).select("file", "row")
            return {"removed_rows": rows.collect(engine="streaming").height}
        kept = self.scan(request).join(duplicates, how="anti", **keys)
        file = request.make_output() / "kept.parquet"
        kept.sink_parquet(file, compression="snappy", maintain_order=False)
        return {}

    def scan(self, request: Request, **options: str) -> pl.LazyFrame:
        return pl.scan_parquet(f"{request.images}/**/*.parquet", **options)


if __name__ == "__main__":
    serve(Polars)
