"""Write Parquet directories, and publish them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql.types import StructField, StructType

from dedup_lib.errors import (
    InputError,
    OutputExistsError,
    StorageError,
    VerificationError,
)
from dedup_lib.files.format import FilesFormat
from dedup_lib.parquet.metrics_files import add_file
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.session import Session
from dedup_lib.tables import registry
from dedup_lib.tables.directory import data_files, data_files_among, footers_of
from dedup_lib.tables.kept_types import check_names_are_kept
from dedup_lib.tables.layout.leftovers import delete_magic_directories
from dedup_lib.tables.layout.partitions import partition_columns_of
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import NO_ORIGIN, Attempt, Origin, Staged, Target

# Where a record keeps its note: a key of the metadata of its first column.
NOTE_KEY = "remove_duplicates"
_CODEC = "spark.sql.parquet.compression.codec"


class ParquetOutput(FilesFormat):
    """The half of the Parquet format that writes."""

    instead = (
        "Use --output-format delta, whose overwrite is one commit, or choose another location."
    )

    def check_replaceable(self, session: Session, location: str) -> None:
        """Check that there is a Parquet directory, by its file names and some of its footers."""
        found = registry.format_at(session, location)
        if found is not self:
            raise OutputExistsError(
                f"output {location!r} is a {found.title} table: replacing it with Parquet would "
                f"destroy its log. Use --output-format {found.name}, or choose another location."
            )
        storage = session.storage
        if not storage.is_directory(location):
            raise OutputExistsError(
                f"output {location!r} is a file, not a table: it is not replaced."
            )
        listed = storage.list_files(location)
        if not listed:
            return
        try:
            files = data_files_among(listed, location, what="output", is_replaced=True).files
            partition_columns_of(location, files, what="output")
            doubtful = [file for file in files if not file.path.endswith(".parquet")]
            for _ in storage.read_footers([files[0], *doubtful]):
                pass
        except (InputError, StorageError) as error:
            raise OutputExistsError(
                f"output {location!r} is not a Parquet table, so it is not replaced: {error}"
            ) from error

    def check_keeps(self, table: PinnedTable) -> None:
        """Refuse column names that Spark would write to Parquet as other names."""
        check_names_are_kept(table)

    def writer_options(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the settings that Spark's Parquet writer accepts as options, on any platform."""
        options = {key: value for key, value in settings.items() if key.startswith("parquet.")}
        codec = settings.get(_CODEC)
        return options if codec is None else options | {"compression": codec}

    def with_note(self, rows: DataFrame, note: Mapping[str, Any]) -> DataFrame:
        """Put the note into the metadata of the first column: Spark writes it to each footer."""
        text = json.dumps(note).replace("$", "\\u0024")  # Hadoop would replace ${…}
        return rows.withMetadata(rows.columns[0], {NOTE_KEY: text})

    def stage(
        self,
        session: Session,
        target: Target,
        writer: DataFrameWriter,
        attempt: Attempt,
        *,
        schema: StructType,
        num_rows: int,
        note: Mapping[str, Any],
        origin: Origin = NO_ORIGIN,
    ) -> Staged:
        """Write the files; for an output without rows, write one file with the schema.

        A partitioned write without rows would leave a directory that can't be read.
        """
        if not num_rows:
            writer = (
                session.spark.createDataFrame([], schema)
                .coalesce(1)
                .write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
            )
        # An output at its own location already has a manifest, and nothing else.
        mode = "append" if target.is_marked else "error"
        options = session.storage.committer_options(attempt.staged)
        writer.options(**options).mode(mode).parquet(attempt.staged)
        return Staged(target, attempt.staged, None)

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count by the files' footers; if there are many, executors read them."""
        try:
            files = data_files(session.storage, staged.location, what="staged output").files
            advice = "Run again."
            footers = footers_of(session, files, what="staged output", advice=advice)
            return sum(footer.num_rows for footer in footers.values())
        except (InputError, *SPARK_ERRORS) as error:
            raise VerificationError(f"the staged output is broken: {error}") from error

    def read_column(self, session: Session, staged: Staged, field: StructField) -> DataFrame:
        """Read the files."""
        reader = session.spark.read.schema(StructType([field])).options(**PARQUET_READER_OPTIONS)
        return reader.parquet(staged.location)

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Mark the output as complete at its location, or rename it to its location."""
        if not staged.target.is_marked:
            delete_magic_directories(session.storage, staged.location)
            session.storage.write_text(f"{staged.location}/_SUCCESS", "")
        super().promote(session, staged, attempt, note)

    def append_row(
        self,
        session: Session,
        location: str,
        row: DataFrame,
        *,
        name: str,
        check: Callable[[StructType, bool], None],
    ) -> None:
        """Add a file with one row."""
        add_file(session, location, row, name, check)
