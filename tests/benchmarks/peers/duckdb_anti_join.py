"""DuckDB: one statement of SQL."""

from __future__ import annotations

import duckdb

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve

REWRITE = """
    COPY (SELECT images.* FROM read_parquet('{images}/**/*.parquet') AS images
          ANTI JOIN read_parquet('{duplicate_ids}/*.parquet') AS list ON images.image_id = list.id)
    TO '{output}' (FORMAT parquet, COMPRESSION snappy, PER_THREAD_OUTPUT,
                   ROW_GROUP_SIZE_BYTES '64MB')
"""
PLAN = """
    CREATE OR REPLACE TEMP TABLE plan AS
    SELECT filename, file_row_number
    FROM read_parquet('{images}/**/*.parquet', filename=true, file_row_number=true) AS images
    SEMI JOIN read_parquet('{duplicate_ids}/*.parquet') AS list ON images.image_id = list.id
"""


class DuckDb(Peer):
    def __init__(self, options: Options) -> None:
        self.connection = duckdb.connect(
            config={
                "threads": options["threads"],
                "temp_directory": options["folder"],
                # Lets it stream with small row groups; with the order kept it was slower.
                "preserve_insertion_order": False,
            }
        )

    def work(self, request: Request) -> Options:
        places = {"images": request.images, "duplicate_ids": request.duplicate_ids}
        if request.output is not None:
            self.connection.execute(REWRITE.format(output=request.output, **places))
            return {}
        self.connection.execute(PLAN.format(**places))
        (found,) = self.connection.execute("SELECT count(*) FROM plan").fetchone()
        return {"removed_rows": found}


if __name__ == "__main__":
    serve(DuckDb)
