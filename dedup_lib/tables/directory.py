"""Find the data files, partitions and schemas of a directory of Parquet files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from pyspark.errors import PySparkException
from pyspark.sql import DataFrameReader, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import (
    NoImageRowsError,
    StorageError,
    TableFormatError,
    UnreadableFileError,
)
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, ParquetFooter, ParquetSchema, Storage
from dedup_lib.tables.footers import read_footers_and_ids
from dedup_lib.tables.foreign import check_files
from dedup_lib.tables.id_table import IdTable, WantedIds
from dedup_lib.tables.schema import hadoop_variable

MANIFEST_NAME = "_remove_duplicates.json"
# Files that writers leave beside the data. They hold no rows.
MARKERS = re.compile(
    r"_SUCCESS|_metadata|_common_metadata|\..*\.crc|_committed_.*|_started_.*"
    rf"|{re.escape(MANIFEST_NAME)}"
)
# A percent-encoded byte that is not ASCII.
_NOT_ASCII = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")


def data_files(storage: Storage, location: str, *, what: str) -> list[FileInfo]:
    """List the data files of a Parquet directory, or return the file if the location is a file.

    Raises:
        TableFormatError: The directory holds a file that Spark would skip without a message.
        UnreadableFileError: A file is empty, or the directory can't be listed.
        NoImageRowsError: There is no data file.
    """
    try:
        listed = storage.list_files(location)
    except StorageError as error:
        raise UnreadableFileError(f"{what}: {error} Restore or remove it.") from error
    files = [file for file in listed if not MARKERS.fullmatch(file.path.rpartition("/")[2])]
    check_files(files, f"{what} {location!r}")
    for file in files:
        for part in relative_parts(location, file):
            if part.startswith(("_", ".")):
                raise TableFormatError(
                    f"{what} {location!r} holds {file.path!r}, which Spark would skip "
                    "without a message (its path has a part that begins with '_' or '.'). "
                    "Move it away, or finish the write that left it."
                )
        if file.size_bytes == 0:
            raise UnreadableFileError(
                f"file {file.path!r} of the {what} has no bytes: a broken write. "
                "Restore or remove it."
            )
    if not files:
        raise NoImageRowsError(f"{what} {location!r} holds no data file.")
    return files


def relative_parts(location: str, file: FileInfo) -> list[str]:
    """Return the parts of a file's path below a directory.

    If the location is the file itself, return only its name.

    Raises:
        TableFormatError: The file lies outside the directory: names in a store may hold `..`.
    """
    if file.path == location:
        return [location.rpartition("/")[2]]
    root = location.rstrip("/") + "/"
    parts = file.path.removeprefix(root).lstrip("/").split("/")
    if not file.path.startswith(root) or {".", ".."}.intersection(parts):
        raise TableFormatError(f"file {file.path!r} was listed, but is not in {location!r}.")
    return parts


def partition_columns_of(location: str, files: Sequence[FileInfo], *, what: str) -> tuple[str, ...]:
    """Return the partition columns of a Parquet table, which its directory names hold.

    Raises:
        TableFormatError: A sub-directory is not a partition, or the files lie at different depths
            or below different partition columns.
    """
    layouts = {}
    for file in files:
        directories = relative_parts(location, file)[:-1]
        for directory in directories:
            name, equals, value = directory.partition("=")
            if not equals or not name or not value:
                raise TableFormatError(
                    f"{what} {location!r} holds the sub-directory {directory!r}, which is "
                    "not a partition (name=value): give the directory of one table."
                )
        layouts[tuple(unquote(part.partition("=")[0]) for part in directories)] = file.path
    if len(layouts) > 1:
        shown = "; ".join(f"{list(names)} as in {path!r}" for names, path in layouts.items())
        raise TableFormatError(f"{what} {location!r} has files at different depths: {shown}.")
    return next(iter(layouts))


def misread_partitions(location: str, files: Sequence[FileInfo]) -> dict[str, str]:
    """Find partition columns with values that Spark reads as other texts.

    Many programs write a value as UTF-8, percent-encoded: `split=caf%C3%A9`. Spark takes each byte
    for a character.

    Returns:
        For each such column, a sentence that says why Spark can't read it, and what to do.
    """
    return {
        unquote(part.partition("=")[0]): (
            f"image table {location!r}: Spark would change the value of the directory {part!r}, "
            "because it does not decode UTF-8 there. Write Parquet by --engine arrow, without a "
            "condition on this column; or rename the directory, without percent signs."
        )
        for file in files
        for part in relative_parts(location, file)[:-1]
        if _NOT_ASCII.search(part)
    }


def fingerprint(files: Sequence[FileInfo]) -> str:
    """Return a SHA-256 over the paths, sizes and modification times of files."""
    lines = (f"{file.path}\t{file.size_bytes}\t{file.modified_ms}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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
) -> tuple[dict[FileInfo, ParquetFooter], IdTable | None]:
    """Read the footer of each file, and copy the IDs in the same pass, if they are wanted.

    Raises:
        UnreadableFileError: A file has no readable footer.
    """
    try:
        footers, id_table = read_footers_and_ids(session, files, wanted)
    except StorageError as error:
        raise UnreadableFileError(f"{what}: {error} {advice}") from error
    return dict(zip(files, footers, strict=True)), id_table


def by_schema(footers: Mapping[FileInfo, ParquetFooter]) -> dict[ParquetSchema, list[FileInfo]]:
    """Group files by their Parquet schema."""
    groups: dict[ParquetSchema, list[FileInfo]] = {}
    for file, footer in footers.items():
        groups.setdefault(footer.schema, []).append(file)
    return groups
