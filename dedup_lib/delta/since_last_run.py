"""Method `since-last-run` with a Delta output: commits with numbers, verified afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.delta import catch_up
from dedup_lib.delta.history import Commit, count_rows_at, operations
from dedup_lib.delta.transactions import Numbered
from dedup_lib.methods.since_last_run.difference import Difference, no_rows
from dedup_lib.methods.since_last_run.following import SinceLastRun
from dedup_lib.plan.plan import Plan
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.history import Operation


class DeltaSinceLastRun(SinceLastRun):
    """Update a Delta output by up to two commits."""

    reached_class = Numbered
    changing_no_row = (
        *("OPTIMIZE", "VACUUM", "ANALYZE", "COMPUTE STATS", "REORG"),
        *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL", "CLUSTER BY"),
    )

    def read_commits(self) -> Sequence[Operation]:
        """Read the files of the commits."""
        return operations(self.run.session.spark, self.target.location)

    def read_output(self) -> DataFrame:
        """Read the newest version: the transactions tell whether another run has made it."""
        return self.run.session.spark.sql(f"SELECT * FROM {sql_name(self.target.location)}")

    def count_rows_at(self, version: int) -> int:
        """Count the rows, by the log if it has statistics."""
        return count_rows_at(self.run.session.spark, self.target.location, version)

    def keep_note(self, note: Mapping[str, Any]) -> None:
        """Append nothing."""
        spark, rows = self.run.session.spark, no_rows(self.images)
        commit = catch_up.append_rows(spark, self.target.location, rows, note)
        self.note_output(commit.version, note["kept_rows"], written_bytes=commit.written_bytes)

    def apply(self, plan: Plan) -> None:
        """Commit the difference, and count the rows; or make all of the output."""
        run, difference = self.run, self.difference
        if difference is None:
            super().apply(plan)
            return
        with run.phase("apply"):
            plan.images.table_format.check_unchanged(run.session, plan.images)
            commit = self._commit(plan, difference)
        with run.phase("verify"):
            version = catch_up.verify(run.session.spark, plan, self.target.location, commit)
            written_bytes = 0 if commit is None else commit.written_bytes
            self.note_output(version, plan.kept_rows, written_bytes=written_bytes)
        run.report.finish("succeeded")

    def _commit(self, plan: Plan, difference: Difference) -> Commit | None:
        """Make the commits and return the last one; None if no commit is needed."""
        run = self.run
        is_known = self.reached.done is not None and run.settings.run_key is None
        if difference.is_empty and is_known:
            return None
        return catch_up.CatchingUp(
            run.session.spark,
            plan,
            difference,
            self.target.location,
            self.reached,
            note=run.note(plan),
            image_settings=lambda: run.image_settings(plan.images, plan.files),
        ).commit()
