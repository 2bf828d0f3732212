"""The table format of plain Parquet directories."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StringType, StructField, StructType

from dedup_lib.errors import (
    ColumnTypeError,
    ImagesChangedError,
    UnreadableFileError,
)
from dedup_lib.parquet.arrow_engine import ArrowEngine
from dedup_lib.parquet.common_schema import common_schema
from dedup_lib.parquet.output import NOTE_KEY, ParquetOutput
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.session import Session
from dedup_lib.settings.traits import find_format
from dedup_lib.tables.directory import (
    data_files,
    fingerprint,
    footers_and_ids_of,
)
from dedup_lib.tables.foreign import check_read
from dedup_lib.tables.history import NOTHING_NEW, EarlierRun, ImageChanges, ImagesState
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.layout.keys_in_files import keys_in_files
from dedup_lib.tables.layout.partitions import misread_partitions, partition_columns_of
from dedup_lib.tables.manifest import read_manifest
from dedup_lib.tables.pinned import Pinned, PinnedTable
from dedup_lib.tables.registry import check_exists

_FULL_RUN = "add --output-mode overwrite once, for a full run"


class ParquetFormat(ParquetOutput):
    """A directory of Parquet files, or one file. It is the format if no other format matches."""

    traits = find_format("parquet")
    file_engine = ArrowEngine()

    def is_at(self, session: Session, location: str) -> bool:
        """Return true: only the files themselves could show more."""
        return True

    def pin(
        self, session: Session, location: str, wanted_ids: WantedIds | None = None
    ) -> PinnedTable:
        """Pin a directory; this needs one listing, and opens each file once."""
        check_read(session.storage, location, "image table")
        found = data_files(session.storage, location, what="image table")
        partition_columns = partition_columns_of(location, found.files, what="image table")
        if wanted_ids is not None:
            wanted_ids = wanted_ids.in_files(partition_columns)
        advice = "Restore or remove that file."
        footers, copied = footers_and_ids_of(
            session, found.files, wanted_ids, what="image table", advice=advice
        )
        copies = {} if copied is None else copied.facts.footer_copies
        schema = common_schema(session, location, footers, copies)
        keys = keys_in_files(location, partition_columns, schema.columns.names)
        partitions = [StructField(name, StringType()) for name in partition_columns if not keys]
        columns = StructType([*schema.columns.fields, *partitions])
        reader = session.spark.read.schema(columns).options(**PARQUET_READER_OPTIONS)
        frame = found.read(reader, keys)
        if copied is not None:  # the reading took some time
            found.check_same(session.storage)
        return PinnedTable(
            location=location,
            root=location,
            format=self.name,
            version=None,
            fingerprint=fingerprint(found.files),
            frame=frame,
            partition_columns=partition_columns,
            files=tuple(found.files),
            leftovers=tuple(found.leftovers),
            file_schemas=tuple(schema.examples),
            schema_examples=tuple(schema.examples.values()),
            unreadable=schema.why_unreadable,
            empty_files=schema.empty_files,
            has_row_index=True,
            detail={},
            id_table=None if copied is None else copied.opened(session.spark, columns),
        )

    def check_id_column(self, table: PinnedTable, column: str) -> None:
        """Refuse a column whose values are in directory names."""
        if column in table.partition_columns:
            raise ColumnTypeError(
                f"image table {table.location!r}: column {column!r} is kept in directory names, "
                "which have no type: image IDs must be a column of the files."
            )

    def check_compared_column(self, table: PinnedTable, column: str) -> None:
        """Refuse a partition column with values that Spark reads as other texts."""
        if column in (misread := misread_partitions(table.root, table.files)):
            raise UnreadableFileError(misread[column])

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Take the rows of new files; no old file may have changed or disappeared."""
        for path, file in before.files.items():
            if now.files.get(path) != file:
                what = "was changed" if path in now.files else "is gone"
                raise ImagesChangedError(
                    f"file {table.root + path!r} of the image table {what} since the last run, so "
                    f"the changes can't be found. To go on, {_FULL_RUN}."
                )
        new = [table.root + path for path in now.files if path not in before.files]
        if not new:
            return NOTHING_NEW
        reader = session.spark.read.schema(table.frame.schema).options(**PARQUET_READER_OPTIONS)
        return ImageChanges(reader.option("basePath", table.root).parquet(*new), None)

    # The runs that wrote a table

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Read the manifest, or the note in a record's files."""
        note = read_manifest(session.storage, location)
        if value is None and key not in note:
            note = _note_in_files(session, location)
        is_same = key in note if value is None else note.get(key) == value
        return EarlierRun(location, note) if is_same else None

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Read the files with the given schema; a plan without rows also has files."""
        check_exists(session.storage, location, f"plan {location!r}")
        files = fingerprint(data_files(session.storage, location, what="plan").files)
        rows = session.spark.read.schema(schema).options(**PARQUET_READER_OPTIONS).parquet(location)
        return Pinned(location, self.name, None, files), rows


def _note_in_files(session: Session, location: str) -> dict[str, Any]:
    """Read the note that a record keeps in its files; empty if it has no note."""
    try:
        schema = session.spark.read.options(**PARQUET_READER_OPTIONS).parquet(location).schema
        return dict(json.loads(schema[0].metadata.get(NOTE_KEY, "{}")))
    except SPARK_ERRORS as error:
        raise UnreadableFileError(
            f"Spark could not read an input file: plan {location!r}: {first_line(error)} Restore "
            "it, or make the plan again."
        ) from error
    except ValueError:
        return {}
