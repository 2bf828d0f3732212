"""Read the Parquet footers of a table or list; on executors if there are many files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from dedup_lib.errors import StorageError, UnreadableFileError
from dedup_lib.executor import copied_ids, footers
from dedup_lib.executor.copied_ids import ScannedFile, Sources
from dedup_lib.executor.footers import SourceFile
from dedup_lib.locations import name_of
from dedup_lib.session import file_tasks
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, ParquetFooter, ParquetSchema
from dedup_lib.tables.id_table import CopiedIds, FileRows, IdFacts, WantedIds

# The driver takes 4 ms for a footer; a Python task on an executor needs 100 ms to start.
MANY_FILES = 256
_FOOTERS = "array<struct<digest: string, num_rows: bigint>>"
_SCANNED = (
    "array<struct<digest: string, num_rows: bigint, num_nulls: bigint, id_bytes: bigint, "
    "refused: string, misread: string>>"
)
_log = logging.getLogger(__name__)


def read_footers(session: Session, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
    """Yield the footer of each file, in the order of the files.

    If pyarrow finds the same schema in several files, all of them get the schema of the first file.

    Raises:
        StorageError: A file has no readable Parquet footer; the message names it.

    *Cost:* one footer for each file. If there are many files, executors read the footers with
    pyarrow, eight at a time; a footer on a local disk takes 1 ms. The driver then reads one footer
    for each schema, and the footers that executors could not read.
    """
    by_executors = _read_on_executors(session, files) if len(files) >= MANY_FILES else {}
    return _complete(session, files, by_executors)


def read_footers_and_ids(
    session: Session, files: Sequence[FileInfo], wanted: WantedIds | None
) -> tuple[list[ParquetFooter], CopiedIds | None]:
    """Read the footer of each file, in the order of the files, and copy the IDs in the same pass.

    Returns:
        The footers; and the copied IDs, or None if none are wanted, or executors can't copy them.

    Raises:
        StorageError: A file has no readable Parquet footer; the message names it.

    *Cost:* executors open each file once, and read its footer and its ID column with pyarrow.
    """
    location = wanted.make_directory() if wanted is not None else None
    if wanted is None or location is None:
        return list(read_footers(session, files)), None
    scanned = _copy_on_executors(session, files, wanted, location)
    copies = _read_copies(session, location, {one.digest for one in scanned or ()})
    if scanned is None or copies is None:
        with contextlib.suppress(StorageError):  # the end of the run also deletes it
            session.storage.delete(location)
        if len(wanted.columns) > 1:  # perhaps the IDs alone can be copied
            wanted = replace(wanted, columns=wanted.columns[:1], has_all=False)
            return read_footers_and_ids(session, files, wanted)
        return list(read_footers(session, files)), None
    footers = [
        ParquetFooter(file.path, copies[one.digest].schema, one.num_rows)
        for file, one in zip(files, scanned, strict=True)
    ]
    facts = IdFacts(
        columns=wanted.columns,
        has_all=wanted.has_all,
        files=tuple(map(FileRows.of, files, scanned)),
        footer_copies={copy.schema: copy.file for copy in copies.values()},
        refused=next((one.refused for one in scanned if one.refused is not None), None),
        misread=next((one.misread for one in scanned if one.misread is not None), None),
    )
    return footers, CopiedIds(location, len(file_tasks.divide(files)), facts)


class _FooterCopy(NamedTuple):
    file: FileInfo
    schema: ParquetSchema


def _read_copies(
    session: Session, location: str, digests: Collection[str]
) -> dict[str, _FooterCopy] | None:
    """Read a copied footer of each schema, that of the first task; None if they can't be read."""
    try:
        listed = session.storage.list_files(f"{location}/schemas") if digests else []
        files = {_digest_in(file): file for file in sorted(listed, key=_path_of, reverse=True)}
        wanted = [files[digest] for digest in digests]
        read = {it.path: it.schema for it in session.storage.read_footers(wanted)}
    except (KeyError, StorageError, UnreadableFileError) as error:
        _log.info("copies of footers can't be read: %s", error)
        return None
    return {digest: _FooterCopy(files[digest], read[files[digest].path]) for digest in digests}


def _path_of(file: FileInfo) -> str:
    return file.path


def _digest_in(copy: FileInfo) -> str:
    return name_of(copy.path).removesuffix(".parquet").partition("-")[2]


def _complete(
    session: Session, files: Sequence[FileInfo], by_executors: Mapping[str, tuple[str, int]]
) -> Iterator[ParquetFooter]:
    """Add what only the driver reads: a footer for each schema, and those that are missing."""
    examples = {digest: path for path, (digest, _) in reversed(list(by_executors.items()))}
    left = [
        file
        for file in files
        if file.path not in by_executors or examples[by_executors[file.path][0]] == file.path
    ]
    by_driver = {footer.path: footer for footer in session.storage.read_footers(left)}
    for file in files:
        if file.path in by_driver:
            yield by_driver[file.path]
        else:
            digest, num_rows = by_executors[file.path]
            yield ParquetFooter(file.path, by_driver[examples[digest]].schema, num_rows)


def _read_on_executors(session: Session, files: Sequence[FileInfo]) -> dict[str, tuple[str, int]]:
    """Return the digest of the schema and the number of rows of each readable file, by path."""
    directory = file_tasks.common_directory(files)
    below = file_tasks.below(directory, files)
    size = max(file_tasks.FILES_PER_TASK, -(-len(below) // file_tasks.MOST_TASKS))
    parts = [below[start : start + size] for start in range(0, len(below), size)]
    options = dict(session.storage.pyarrow_options)

    def read_part(_: int, part: list[SourceFile]) -> list[tuple[str, int]]:
        return footers.read_digests(directory, part, options)

    answers = file_tasks.for_each_part(session, parts, read_part, _FOOTERS)
    return {
        f"{directory}/{path}": tuple(footer)
        for part, answer in zip(parts, answers, strict=False)
        for (path, _), footer in zip(part, answer, strict=False)
    }


def _copy_on_executors(
    session: Session, files: Sequence[FileInfo], wanted: WantedIds, location: str
) -> list[ScannedFile] | None:
    """Copy the IDs; return the facts of each file, or None if a file can't be read there."""
    directory = file_tasks.common_directory(files)
    parts = [file_tasks.below(directory, part) for part in file_tasks.divide(files)]
    options = dict(session.storage.pyarrow_options)
    columns, looks_for_misread = wanted.columns, wanted.is_for_spark

    def copy_part(number: int, part: list[SourceFile]) -> list[ScannedFile]:
        sources = Sources(directory, part, columns, looks_for_misread)
        return copied_ids.copy_ids(sources, location, f"{number:05d}", options)

    answers = file_tasks.for_each_part(session, parts, copy_part, _SCANNED)
    scanned = [ScannedFile(*row) for answer in answers for row in answer]
    reason = next((one.refused for one in scanned if not one.digest), None)
    if reason is not None or len(scanned) != len(files):
        _log.info("executors can't copy %s by pyarrow: %s", list(columns), reason)
        return None
    return scanned
