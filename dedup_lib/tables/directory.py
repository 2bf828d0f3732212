"""Find the data files and schemas of a directory of Parquet files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import (
    InputChangedError,
    NoImageRowsError,
    StorageError,
    TableFormatError,
    UnreadableFileError,
)
from dedup_lib.locations import name_of
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, ParquetFooter, ParquetSchema, Storage
from dedup_lib.tables.footers import read_footers_and_ids
from dedup_lib.tables.foreign import check_files, check_no_shards
from dedup_lib.tables.id_table import CopiedIds, WantedIds
from dedup_lib.tables.layout.keys_in_files import check_keys
from dedup_lib.tables.layout.leftovers import (
    NOT_STATS,
    find_leftovers,
    is_seen_by_spark,
    warn_of_leftovers,
)
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.schema import hadoop_variable

MANIFEST_NAME = "_remove_duplicates.json"
# Files that writers leave beside the data. They hold no rows.
MARKERS = re.compile(
    r"_SUCCESS|_metadata|_common_metadata|\..*\.crc|_committed_.*|_started_.*"
    rf"|{re.escape(MANIFEST_NAME)}|\..*\.dedup-manifest\.json"
)


@dataclass(frozen=True)
class DataFiles:
    """The data files of a Parquet table.

    Attributes:
        location: The directory, or the file if the table is one file.
        files: The data files.
        leftovers: The files that are passed over, although Spark would read them.
        listed: All files that were listed, but for markers.
    """

    location: str
    files: Sequence[FileInfo]
    leftovers: Sequence[FileInfo]
    listed: Sequence[FileInfo]

    def check_same(self, storage: Storage) -> None:
        """List the directory once more.

        Raises:
            InputChangedError: A file was changed, deleted or added since the first listing.
        """
        now = {file for file in storage.list_files(self.location) if not is_marker(file)}
        if changed := sorted(file.path for file in now ^ set(self.listed)):
            raise changed_while_planning(changed[0])

    def read(self, reader: DataFrameReader, keys: Sequence[str] = ()) -> DataFrame:
        """Read the data files, and no leftovers.

        Args:
            reader: The reader, with the schema.
            keys: The partition columns to read from the files, not from the names of directories.

        Raises:
            TableFormatError: A file has another value of a key than its directory.
        """
        if keys:
            frame = self.read(reader.option("recursiveFileLookup", "true"))
            check_keys(frame, keys)
            return frame
        if not self.leftovers:
            return reader.parquet(self.location)
        # A leftover beside the directories of partitions would be a partition of its own to Spark.
        directories = sorted({file.path.rpartition("/")[0] for file in self.files})
        options = {"basePath": self.location, "pathGlobFilter": NOT_STATS}
        return reader.options(**options).parquet(*directories)


def data_files(storage: Storage, location: str, *, what: str) -> DataFiles:
    """List the data files of a Parquet directory, or return the file if the location is a file.

    Leftovers of other programs are passed over with a warning.

    Args:
        storage: The session's file systems.
        location: A canonical location.
        what: For messages: the role of the location in the run.

    Raises:
        TableFormatError: The directory holds a file that Spark would skip without a message.
        UnreadableFileError: A file is empty, or the directory can't be listed.
        NoImageRowsError: There is no data file.

    *Cost:* one listing.
    """
    try:
        listed = storage.list_files(location)
    except StorageError as error:
        raise UnreadableFileError(f"{what}: {error} Restore or remove it.") from error
    return data_files_among(listed, location, what=what)


def data_files_among(
    listed: Sequence[FileInfo], location: str, *, what: str, is_replaced: bool = False
) -> DataFiles:
    """Find the data files among the listed files of a directory, as `data_files` does.

    Args:
        listed: All files at the location.
        location: A canonical location.
        what: For messages: the role of the location in the run.
        is_replaced: Whether the directory is not read, but replaced: then it must not hold what
            another program tells about the images.
    """
    listed = [file for file in listed if not is_marker(file)]
    leftovers = find_leftovers(location, listed, only_empty=is_replaced)
    files = [file for file in listed if file not in leftovers]
    check_files(files, location, f"{what} {location!r}")
    check_no_shards(files, f"{what} {location!r}")
    for file in files:
        _check_is_read(location, file, what)
    if not files:
        raise NoImageRowsError(f"{what} {location!r} holds no data file.")
    if not is_replaced:
        warn_of_leftovers(f"{what} {location!r}", leftovers)
    seen = [file for file, kind in leftovers.items() if is_seen_by_spark(file, kind)]
    return DataFiles(location, files, seen, listed)


def changed_while_planning(path: str) -> InputChangedError:
    """Return the error for a file that was changed, deleted or added since the first listing."""
    return InputChangedError(
        f"file {path!r} of the image table was changed, deleted or added while the run was "
        "planning. Run again when no one writes there."
    )


def is_marker(file: FileInfo) -> bool:
    """Tell whether a file is one that writers leave beside the data."""
    return MARKERS.fullmatch(name_of(file.path)) is not None


def _check_is_read(location: str, file: FileInfo, what: str) -> None:
    for part in relative_parts(location, file):
        if part.startswith(("_", ".")):
            raise TableFormatError(
                f"{what} {location!r} holds {file.path!r}, which Spark would skip "
                "without a message (its path has a part that begins with '_' or '.'). "
                "Move it away, or finish the write that left it."
            )
    if file.size_bytes == 0:
        raise UnreadableFileError(
            f"file {file.path!r} of the {what} has no bytes: a broken write. Restore or remove it."
        )


def fingerprint(files: Sequence[FileInfo]) -> str:
    """Return a SHA-256 over the paths, sizes and modification times of files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\t{file.size_bytes}\t{file.modified_ms}\n".encode())
    return digest.hexdigest()


def spark_schema(spark: SparkSession, file: FileInfo) -> StructType:
    """Return the schema of one Parquet file as Spark reads it, without partition columns.

    Raises:
        UnreadableFileError: Spark can't read the file, or a type or column name in it.
    """
    reader, (path,) = reader_of(spark, [file])
    # Without basePath, Spark would add the names of name=value directories as columns.
    root = path.rpartition("/")[0]
    try:
        schema = reader.option("basePath", root).parquet(path).schema
    except PySparkException as error:
        reason = str(error).splitlines()[0]
        raise UnreadableFileError(
            f"Spark can't read file {file.path!r}: {reason} Cast the column where the file is made."
        ) from error
    if (variable := hadoop_variable(schema)) is not None:
        raise UnreadableFileError(
            f"Spark can't read file {file.path!r}: a column's name or comment holds {variable!r}, "
            "which Hadoop takes for a variable. Rename it where the file is made."
        )
    return schema


def reader_of(
    spark: SparkSession, files: Sequence[FileInfo]
) -> tuple[DataFrameReader, Sequence[str]]:
    """Return a reader of Parquet files, and their paths for it.

    Spark skips files whose names begin with '_' or '.', even if it is given their paths. Hadoop's
    viewfs gives them another name.
    """
    reader, paths = spark.read.options(**PARQUET_READER_OPTIONS), []
    for path in (file.path for file in files):
        if path.rpartition("/")[2].startswith(("_", ".")):
            mount = f"dedup-{hashlib.sha256(path.encode()).hexdigest()[:32]}"
            link = f"fs.viewfs.mounttable.{mount}.link./files/1.parquet"
            reader = reader.option(link, quote(path, safe="/:@"))
            paths.append(f"viewfs://{mount}/files/1.parquet")
        else:
            paths.append(path)
    return reader, paths


def footers_of(
    session: Session, files: Sequence[FileInfo], *, what: str, advice: str
) -> dict[FileInfo, ParquetFooter]:
    """Read the footer of each file.

    Args:
        session: The session, with its file systems.
        files: The files.
        what: For the error message: the table or list that the files belong to.
        advice: For the error message: what the user can do about a broken file.

    Raises:
        UnreadableFileError: A file has no readable footer.
    """
    return footers_and_ids_of(session, files, None, what=what, advice=advice)[0]


def footers_and_ids_of(
    session: Session,
    files: Sequence[FileInfo],
    wanted: WantedIds | None,
    *,
    what: str,
    advice: str,
) -> tuple[dict[FileInfo, ParquetFooter], CopiedIds | None]:
    """Read the footer of each file, and copy the IDs in the same pass, if they are wanted.

    Raises:
        UnreadableFileError: A file has no readable footer.
    """
    try:
        footers, copied = read_footers_and_ids(session, files, wanted)
    except StorageError as error:
        raise UnreadableFileError(f"{what}: {error} {advice}") from error
    return dict(zip(files, footers, strict=True)), copied


def by_schema(footers: Mapping[FileInfo, ParquetFooter]) -> dict[ParquetSchema, list[FileInfo]]:
    """Group files by their Parquet schema."""
    groups: dict[ParquetSchema, list[FileInfo]] = {}
    for file, footer in footers.items():
        groups.setdefault(footer.schema, []).append(file)
    return groups
