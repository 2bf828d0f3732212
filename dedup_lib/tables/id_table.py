"""The ID table of a run: the IDs of an image table, with file and position of each row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from dedup_lib.errors import PublishError
from dedup_lib.executor.copied_ids import ScannedFile
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.shards.read_tasks import ShardFacts
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.storage import FileInfo, ParquetSchema
from dedup_lib.settings import Settings


def columns_to_copy(settings: Settings) -> tuple[tuple[str, ...], bool]:
    """Return the ID column and others that the plan compares, and whether these are all.

    A field that stands beside an image, such as `image.path`, is not copied.
    """
    condition = settings.protected_rows
    paths = [] if condition is None else list(condition.paths)
    paths += [(rule.column,) for rule in settings.keeper_rules]
    has_all = all(len(path) == 1 for path in paths)
    names = [settings.image_id_column, *(path[0] for path in paths if has_all)]
    return tuple(dict.fromkeys(names)), has_all


@dataclass(frozen=True)
class WantedIds:
    """IDs to copy while footers are read.

    Attributes:
        columns: The columns to copy: first the ID column, then others that the plan compares.
        has_all: Whether these are all columns that the plan compares.
        is_for_spark: Whether Spark may read the images: then columns that it would read wrong are
            looked for.
        id_from: For shards: where the IDs are, as --image-id-from says.
        make_directory: Makes the run's directory, in which executors may write, and returns the URI
            of a new directory in it; None if there is no such directory.
        listed_ids: Reads the IDs of all lists, lazily: `image_id`, one row per entry; None if there
            is no list, or one can't be read.
        planned_from: Reads from a kept plan where the IDs are, as `id_from`; None without a plan.
        has_review: Whether a review shows images: for shards, their offsets are noted with the IDs.
        action: What the run does: --action.
        output_has_shards: Whether the output is shards.
    """

    columns: tuple[str, ...]
    has_all: bool
    is_for_spark: bool
    id_from: str
    make_directory: Callable[[], str | None]
    listed_ids: Callable[[], DataFrame | None] = lambda: None
    planned_from: Callable[[], str | None] = lambda: None
    has_review: bool = False
    action: str = "remove"
    output_has_shards: bool = False

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

    @classmethod
    def of(cls, file: FileInfo, counted: ScannedFile | ShardFacts) -> FileRows:
        """Return what an executor counted in a file."""
        return cls(
            file_path=encode_path(file.path),
            size_bytes=file.size_bytes,
            modified_ms=file.modified_ms,
            num_rows=counted.num_rows,
            num_nulls=counted.num_nulls,
            id_bytes=counted.id_bytes,
        )


@dataclass(frozen=True)
class IdFacts:
    """What was found out while the IDs of an image table were read.

    Attributes:
        columns: The columns that were copied: first the ID column.
        has_all: Whether these are all columns that the plan compares.
        files: What was counted in each file of the image table.
        footer_copies: If executors copied the IDs with pyarrow: a file for each schema of the
            table, with the footer of one of its files, one of the largest. Otherwise empty.
        refused: Why pyarrow can't write some file of the table, as a Parquet file, without changes;
            None if it can.
        suffixes: For shards: the suffixes of all members of samples, in order.
        misread: A column that Spark reads wrong in some file, and pyarrow can't read; or None.
        unmarkable: Why some sample of shards can't get a mark by --action annotate; None if all
            can.
        with_links: For shards: the paths of those with hard or symbolic links.
    """

    columns: tuple[str, ...]
    has_all: bool
    files: tuple[FileRows, ...] = ()
    footer_copies: Mapping[ParquetSchema, FileInfo] = field(default_factory=dict)
    refused: str | None = None
    suffixes: tuple[str, ...] = ()
    misread: str | None = None
    unmarkable: str | None = None
    with_links: frozenset[str] = frozenset()

    @property
    def value_names(self) -> list[str]:
        """The names by which the columns are stored."""
        return ["image_id", *(f"value_{index}" for index in range(1, len(self.columns)))]


@dataclass(frozen=True)
class IdTable:
    """The IDs of an image table, read once and kept in a compact form.

    Later steps read this copy, so no change of an image file can come between two steps.

    Attributes:
        stored: `image_id`, `value_1`, … for the other columns, `file_path`, `row_index` (NULL if
            unknown), one row per row of the image table. It reads the copy.
        facts: What was found out on the way.
    """

    stored: DataFrame
    facts: IdFacts

    @property
    def rows(self) -> DataFrame:
        """`image_id`, `file_path`, `row_index`, one row per row of the image table."""
        return self.stored.select("image_id", "file_path", "row_index")

    @property
    def compared(self) -> DataFrame:
        """The copied columns by their own names, one row per row of the image table."""
        named = zip(self.facts.value_names, self.facts.columns, strict=True)
        return self.stored.select(*(F.col(name).alias(column) for name, column in named))


@dataclass(frozen=True)
class CopiedIds:
    """The files of an ID table that executors wrote with pyarrow.

    Attributes:
        location: The URI of the directory of these files. They are below `rows`.
        num_parts: The number of these files.
        facts: What was found out on the way.
    """

    location: str
    num_parts: int
    facts: IdFacts

    def opened(self, spark: SparkSession, types: StructType) -> IdTable | None:
        """Return the ID table; None if it is useless. It reads the files that are there now.

        Args:
            spark: The session.
            types: The columns of the image table. If one that was copied is not there, Spark can't
                read it from the image table.

        Raises:
            PublishError: A file of the ID table was lost.
        """
        if not set(self.facts.columns) <= set(types.names):
            return None
        places = [StructField("file_path", StringType()), StructField("row_index", LongType())]
        named = zip(self.facts.value_names, self.facts.columns, strict=True)
        values = [StructField(name, types[column].dataType) for name, column in named]
        reader = spark.read.schema(StructType(values + places)).options(**PARQUET_READER_OPTIONS)
        rows = reader.parquet(f"{self.location}/rows")
        if len(rows.inputFiles()) != self.num_parts:
            raise PublishError(
                f"a file that this run wrote to {self.location!r} was lost. Run again."
            )
        return IdTable(rows, self.facts)
