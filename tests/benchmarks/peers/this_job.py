"""This job: `dedup_lib.run` in a session that stays; a request's options are its settings."""

from __future__ import annotations

from dedup_lib import DuplicateIds, Report, Settings, run
from dedup_lib.errors import UnsupportedError
from tests.benchmarks.peers.protocol import Options, Peer, Request, UnavailableError, serve
from tests.benchmarks.peers.spark_session import start_session, task_bytes
from tests.support.spark.stages import newest_stage

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


class ThisJob(Peer):
    def __init__(self, options: Options) -> None:
        self.spark = start_session(options, **DELTA)
        self.newest = -1
        self.report, self.clone = Report(), None

    def work(self, request: Request) -> Options:
        self.report = Report()
        self.clone = request.output if request.options.get("method") == "clone" else None
        settings = Settings(
            images=request.images,
            duplicate_ids=(DuplicateIds(request.duplicate_ids),),
            output=request.output,
            dry_run=request.output is None,
            **request.options,
        )
        try:
            run(self.spark, settings, report=self.report)
        except UnsupportedError as error:
            raise UnavailableError(str(error)) from error
        counts = self.report.counts
        return {"kept_rows": counts["kept_rows"], "removed_rows": counts["removed_rows"]}

    def details(self) -> Options:
        tasks, self.newest = task_bytes(self.spark, self.newest), newest_stage(self.spark)
        report = self.report
        return {
            "tasks": tasks,
            "engine": report.engine,
            "strategy": report.strategy,
            "phases": report.seconds,
            "steps": report.steps,
            "total_seconds": report.total_seconds,
            "rows_of_clone": self.rows_of_clone(),
        }

    def rows_of_clone(self) -> int | None:
        """Count a clone's rows as a reader does: its files hold the removed ones as well."""
        if self.clone is None:
            return None
        return self.spark.read.format("delta").load(self.clone).count()


if __name__ == "__main__":
    serve(ThisJob)
