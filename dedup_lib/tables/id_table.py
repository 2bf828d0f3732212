"""The ID table of a run: the IDs of an image table, with file and position of each row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from dedup_lib.errors import PublishError
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.storage import FileInfo, ParquetSchema


@dataclass(frozen=True)
class WantedIds:
    """IDs to copy while footers are read.

    Attributes:
        columns: The columns to copy: first the ID column, then others that the plan compares.
        has_all: Whether these are all columns that the plan compares.
        is_for_spark: Whether Spark may read the images: then columns that it would read wrong are
            looked for.
        make_directory: Makes the run's directory, in which executors may write, and returns the URI
            of a new directory in it; None if there is no such directory.
    """

    columns: tuple[str, ...]
    has_all: bool
    is_for_spark: bool
    make_directory: Callable[[], str | None]

    def in_files(self, partition_columns: Collection[str]) -> WantedIds | None:
        """Copy IDs alone if a value is in directory names; None if the ID itself is there."""
        if self.columns[0] in partition_columns:
            return None
        if not set(self.columns).intersection(partition_columns):
            return self
        return replace(self, columns=self.columns[:1], has_all=False)


@dataclass(frozen=True)
class FileRows:
    """The results of an ID scan for one file.

    Attributes:
        file_path: The path, spelled as in `_metadata`.
        size_bytes: The size.
        modified_ms: The time of the last change, in milliseconds since 1970.
        num_rows: The number of rows.
        num_nulls: The number of rows without an ID.
        id_bytes: The bytes of the IDs as text.
        hash_sum: The hash of the IDs, as `plan.id_scan.hash_of` says; None if it is not known.
    """

    file_path: str
    size_bytes: int
    modified_ms: int
    num_rows: int
    num_nulls: int
    id_bytes: int
    hash_sum: int | None = None


@dataclass(frozen=True)
class IdTable:
    """The IDs of an image table in Parquet files of their own.

    Later steps read these files, so no change of an image file can come between two steps.

    Attributes:
        location: The URI of the directory of these files. They are below `rows`.
        num_parts: The number of these files.
        columns: The columns that were copied: first the ID column.
        has_all: Whether these are all columns that the plan compares.
        files: What was counted in each file of the image table, in the table's order.
        refused: Why pyarrow can't write some file of the table without changes; None if it can.
        misread: A column that Spark reads wrong in some file, and pyarrow can't read; or None.
        footer_copies: A file for each schema of the table, with the footer of one of its files, one
            of the largest.
        frame: Its rows, once it is opened.
    """

    location: str
    num_parts: int
    columns: tuple[str, ...]
    has_all: bool
    files: tuple[FileRows, ...]
    refused: str | None
    footer_copies: Mapping[ParquetSchema, FileInfo]
    frame: DataFrame | None = None
    misread: str | None = None

    def opened(self, spark: SparkSession, types: StructType) -> IdTable | None:
        """Return the table with its frame; None if it is useless.

        The frame has `image_id`, `file_path`, `row_index`, and the struct `columns` with all copied
        columns, one row per row of the image table. It reads the files that are there now.

        Args:
            spark: The session.
            types: The columns of the image table. If one that was copied is not there, Spark can't
                read it from the image table.

        Raises:
            PublishError: A file of the ID table was lost.
        """
        if not set(self.columns) <= set(types.names):
            return None
        places = [StructField("file_path", StringType()), StructField("row_index", LongType())]
        names = ["image_id", *(f"value_{index}" for index in range(1, len(self.columns)))]
        stored = list(zip(names, self.columns, strict=True))
        values = [StructField(name, types[column].dataType) for name, column in stored]
        reader = spark.read.schema(StructType(values + places)).options(**PARQUET_READER_OPTIONS)
        rows = reader.parquet(f"{self.location}/rows")
        if len(rows.inputFiles()) != self.num_parts:
            raise PublishError(
                f"a file that this run wrote to {self.location!r} was lost. Run again."
            )
        columns = F.struct(*(F.col(name).alias(column) for name, column in stored))
        rows = rows.select("image_id", "file_path", "row_index", columns.alias("columns"))
        return replace(self, frame=rows)

    @property
    def rows(self) -> DataFrame:
        """The frame, as `opened` says."""
        if self.frame is None:
            raise TypeError("the ID table was not opened")
        return self.frame
