"""Files over Spark Connect, which has no file systems: use Spark's readers and executors."""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrameReader, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import DedupError, StorageError, UnreadableFileError, UnsupportedError
from dedup_lib.executor import file_system, footers
from dedup_lib.executor.footers import FooterFacts
from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.locations import decode_path, get_scheme
from dedup_lib.session.failures import find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.storage import (
    ColumnChunkSizes,
    FileInfo,
    Leaf,
    ParquetFooter,
    ParquetSchema,
    Storage,
)

_CHECKSUM = re.compile(r"\..*\.crc")
# Spark's reader has an option that takes these characters literally, but Connect drops it.
_PATTERN = re.compile(r"[\[\]{}*?\\]")
_FOOTERS_AT_ONCE = 512


class ConnectStorage(Storage):
    """The file systems that a Spark Connect server reaches.

    Spark's reader gives the canonical name of a location, and tells whether something exists there.
    pyarrow does everything else in a Python task on an executor, which takes 0.1 to 0.2 s.
    """

    is_remote = True

    def __init__(
        self, spark: SparkSession, pyarrow_options: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(pyarrow_options)
        self._spark = spark
        self._canonical: dict[str, str] = {}

    def committer_options(self, canonical: str) -> Mapping[str, str]:  # noqa: ARG002  # the same for all
        """Leave the choice to the server: the client can't see its classes."""
        return {}

    def abort_uploads(self, canonical: str) -> None:
        """Do nothing: pyarrow can't abort uploads."""

    def canonical(self, location: str) -> str:
        if location not in self._canonical:
            canonical = self._find_canonical(location)
            self._canonical |= {location: canonical, canonical: canonical}
        return self._canonical[location]

    def _find_canonical(self, location: str) -> str:
        """Ask for a file that can't exist: Spark's error message has the full location."""
        _check_no_pattern(location)
        nothing = f"/.dedup-{uuid.uuid4().hex}"
        try:
            _ = self._reader().load(location.rstrip("/") + nothing).schema
        except PySparkException as error:
            path = (error.getMessageParameters() or {}).get("path", "")
            if error.getCondition() == "PATH_NOT_FOUND" and path.endswith(nothing):
                text = path.removesuffix(nothing)
                return "file:/" + text[5:].lstrip("/") if text.startswith("file:") else text
            reason = str(error).splitlines()[0]
        else:
            reason = "Spark finds even files that can't exist."
        raise StorageError(f"{location!r} is not a location that this Spark can reach: {reason}")

    def exists(self, location: str) -> bool:
        """Ask Spark to read the location as files of any kind; this lists a directory."""
        return self._files_by_spark(location) is not None

    def is_directory(self, location: str) -> bool:
        """Tell whether Spark finds something that is not a file of that name."""
        files = self._files_by_spark(location)
        return files is not None and [decode_path(file) for file in files] != [
            self.canonical(location)
        ]

    def list_files(self, location: str) -> list[FileInfo]:
        root = self.canonical(location)
        found = self._list_below(root, recursive=True)
        files = [
            FileInfo(f"{root}/{path}" if path else root, size_bytes, modified_ms)
            for path, size_bytes, modified_ms in found
            if size_bytes >= 0 and not _is_checksum(root, path)
        ]
        for file in files:
            _check_no_pattern(file.path)
        return sorted(files, key=lambda file: file.path)

    def total_bytes(self, location: str) -> int:
        return sum(file.size_bytes for file in self.list_files(location))

    def list_names(self, location: str) -> list[str]:
        found = self._list_below(location, recursive=False)
        return sorted(path for path, _, _ in found if path)

    def find_names(
        self, directories: Sequence[str], patterns: Sequence[str]
    ) -> Sequence[Sequence[str]]:
        uris, options = list(directories), dict(self.pyarrow_options)
        try:
            found = self._run(lambda: file_system.find_names(uris, options, patterns))
        except _RefusedError as error:
            raise StorageError(f"{uris[0]!r} can't be listed: {error}") from error
        return [list(map(str, names)) for names in found]

    def read_head(self, location: str, num_bytes: int) -> bytes:
        text: str = self._ask("can't be read", location, file_system.read_latin, num_bytes)
        return text.encode("latin-1")

    def read_text(self, location: str) -> str:
        text: str = self._ask("can't be read", location, file_system.read_latin, None)
        return text.encode("latin-1").decode("utf-8", errors="replace")

    def write_text(self, location: str, text: str) -> None:
        self._ask("can't be written", location, file_system.write_text, text)

    def touch(self, location: str) -> None:
        """Write the file again: pyarrow sets no times."""
        self.write_text(location, self.read_text(location))

    def create_exclusive(self, location: str, text: str) -> bool:
        return bool(self._ask("can't be created", location, file_system.create_exclusive, text))

    def make_directory(self, location: str) -> None:
        self._ask("can't be made", location, file_system.make_directory)

    def rename(self, source: str, target: str) -> None:
        failed = f"can't be renamed to {target!r}"
        self._ask(failed, source, file_system.rename, self.canonical(target))

    def delete(self, location: str) -> None:
        self._ask("can't be deleted", location, file_system.delete)

    def delete_directory(self, location: str, last: str) -> None:
        self._ask("can't be deleted", location, file_system.delete_directory, last)

    def delete_if_empty(self, location: str) -> bool:
        if not self.is_directory(location) or self.list_names(location):
            return False
        self.delete(location)
        return True

    def same_file_system(self, one: str, other: str) -> bool:
        """Compare scheme and host; this process can't tell the disks of another machine apart."""
        return one.split("/")[:3] == other.split("/")[:3] or get_scheme(one) == "file"

    def read_footers(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        for file, facts in self._read_footers(files):
            leaves = tuple(Leaf.of(*leaf) for leaf in facts.leaves)
            yield ParquetFooter(file.path, ParquetSchema(facts.digest, leaves), facts.num_rows)

    def read_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        for _, facts in self._read_footers(files):
            for chunk in facts.chunks:
                yield ColumnChunkSizes(*chunk)

    def open_file(self, location: str) -> AbstractContextManager[FileSlice]:
        raise UnsupportedError(f"over Spark Connect only executors can open {location!r}.")

    def _read_footers(self, files: Sequence[FileInfo]) -> Iterator[tuple[FileInfo, FooterFacts]]:
        options = dict(self.pyarrow_options)
        for start in range(0, len(files), _FOOTERS_AT_ONCE):
            some = files[start : start + _FOOTERS_AT_ONCE]
            asked = [(file.path, file.size_bytes) for file in some]
            try:
                answers = self._run(lambda: footers.read_footers(asked, options))  # noqa: B023  # it is called immediately
            except _RefusedError as error:
                raise _footer_error(str(error)) from error
            yield from zip(some, (FooterFacts(*answer) for answer in answers), strict=True)

    def _list_below(self, location: str, *, recursive: bool) -> list[Any]:
        list_below = functools.partial(file_system.list_below, recursive=recursive)
        found: list[Any] = self._ask("can't be listed", location, list_below)
        return found

    def _files_by_spark(self, location: str) -> list[str] | None:
        try:
            return self._reader().load(location).inputFiles()
        except PySparkException as error:
            if error.getCondition() == "PATH_NOT_FOUND":
                return None
            reason = str(error).splitlines()[0]
            raise StorageError(f"{location!r} can't be looked up: {reason}") from error

    def _reader(self) -> DataFrameReader:
        return self._spark.read.format("binaryFile").option("recursiveFileLookup", "true")

    def _ask(
        self, failed: str, location: str, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Call a function with the location on an executor; `failed` completes the error."""
        uri, options = self.canonical(location), dict(self.pyarrow_options)
        try:
            return self._run(lambda: function(uri, options, *arguments))
        except _RefusedError as error:
            raise StorageError(f"{location!r} {failed}: {error}") from error

    def _run(self, function: Callable[[], Any]) -> Any:
        asked = on_executors(lambda _: file_system.answer(function), "array<string>")
        pieces = F.posexplode(asked("id")).alias("position", "piece")
        try:
            rows = self._spark.range(0, 1, 1, 1).select(pieces).collect()
        except PySparkException as error:
            raise _RefusedError(
                "over Spark Connect, files outside of Delta tables need Python and pyarrow on "
                f"executors, but a task there failed: {find_task_failure(error)}"
            ) from error
        failure, *texts = (row["piece"] for row in sorted(rows, key=lambda row: row["position"]))
        if failure:
            raise _RefusedError(failure)
        return json.loads("".join(texts))


class _RefusedError(Exception):
    """An executor's answer that it failed; the caller knows the location."""


def _footer_error(failure: str) -> DedupError:
    kind, _, reason = failure.partition(": ")
    if kind != footers.SoundFileError.__name__:
        return StorageError(failure)
    return UnreadableFileError(
        f"{reason} Over Spark Connect pyarrow reads the footers: run in a classic session."
    )


def _check_no_pattern(location: str) -> None:
    if _PATTERN.search(location):
        raise UnsupportedError(
            f"{location!r} has one of the characters [ ] {{ }} * ? \\. Over Spark Connect they "
            "make it a pattern: rename it, or run in a classic session."
        )


def _is_checksum(root: str, path: str) -> bool:
    is_local = get_scheme(root) == "file"
    return is_local and _CHECKSUM.fullmatch(path.rpartition("/")[2]) is not None
