"""Read Parquet footers with Parquet's Java library in the driver's JVM, and parse schemas."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dedup_lib.errors import StorageError, UnreadableFileError
from dedup_lib.executor.parquet_values import FileSlice, UnreadValueError, find_new_types
from dedup_lib.session.hadoop_errors import hadoop_errors
from dedup_lib.session.storage import (
    ColumnChunkSizes,
    FileInfo,
    Leaf,
    ParquetFooter,
    ParquetSchema,
)

OpenFile = Callable[[str], contextlib.AbstractContextManager[FileSlice]]
_FOOTERS_AT_ONCE = 512
_THREADS = "32"
_ROW_GROUPS = 4
_BLOCK_BYTES = 128 * 1024**2


class HadoopFooters:
    """Reads footers with a Hadoop configuration.

    Args:
        jvm: The driver's JVM.
        conf: The configuration.
        open_file: Opens a file without Java's Parquet library.
    """

    def __init__(self, jvm: Any, conf: Any, open_file: OpenFile) -> None:
        self._open_file = open_file
        self._jvm = jvm
        self._conf = conf
        # Each dot of a class name is a request to the JVM: send it once, not for every file.
        self._path_class = jvm.org.apache.hadoop.fs.Path
        self._status_class = jvm.org.apache.hadoop.fs.FileStatus

    def read(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        """Yield the facts from the footer of each file."""
        to_json = self._jvm.com.fasterxml.jackson.databind.ObjectMapper()
        for footer in self._read(files):
            metadata, path = footer.getParquetMetadata(), str(footer.getFile().toString())
            yield ParquetFooter(
                path=path,
                schema=_schema(path, metadata.getFileMetaData().getSchema(), to_json),
                num_rows=sum(int(block.getRowCount()) for block in _items(metadata.getBlocks())),
            )

    def read_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        """Yield the size of each leaf column in the first row groups of each file."""
        for footer in self._read(files):
            for block in _items(footer.getParquetMetadata().getBlocks(), most=_ROW_GROUPS):
                for chunk in _items(block.getColumns()):
                    yield ColumnChunkSizes(
                        column=str(chunk.getPath().toDotString()),
                        codec=str(chunk.getCodec().toString()).lower(),
                        compressed_bytes=int(chunk.getTotalSize()),
                        uncompressed_bytes=int(chunk.getTotalUncompressedSize()),
                    )

    def _read(self, files: Sequence[FileInfo]) -> Iterator[Any]:
        conf = self._jvm.org.apache.hadoop.conf.Configuration(self._conf)
        conf.set("parquet.metadata.read.parallelism", _THREADS)
        reader = self._jvm.org.apache.parquet.hadoop.ParquetFileReader
        for start in range(0, len(files), _FOOTERS_AT_ONCE):
            some = files[start : start + _FOOTERS_AT_ONCE]
            which = f" of file {some[0].path!r}" if len(some) == 1 else ""
            try:
                with hadoop_errors(f"a Parquet footer{which} can't be read"):
                    statuses = self._jvm.java.util.ArrayList()
                    for file in some:
                        statuses.add(self._status(file))
                    footers = reader.readAllFootersInParallel(conf, statuses, False)
            except StorageError as error:
                if len(some) == 1:
                    self._explain(some[0].path, error)
                for file in some if len(some) > 1 else ():  # not every error names the file
                    list(self._read([file]))
                raise
            yield from _items(footers)

    def _explain(self, path: str, error: StorageError) -> None:
        """Raise an error that names a column whose type is the reason for another error."""
        with contextlib.suppress(StorageError, UnreadValueError), self._open_file(path) as file:
            for column, name in find_new_types(file).items():
                raise UnreadableFileError(
                    f"file {path!r} is sound, but Spark can't read it, because column {column!r} "
                    f"has the Parquet type {name}. Leave that column out where the file is made, "
                    "or cast it to text or bytes there."
                ) from error

    def _status(self, file: FileInfo) -> Any:
        """Return a file's entry in the listing, so that the store needs no second request."""
        path, size, modified = self._path_class(file.path), file.size_bytes, file.modified_ms
        return self._status_class(size, False, 1, _BLOCK_BYTES, modified, path)


def _items(java_list: Any, most: int | None = None) -> Iterator[Any]:
    # A Java iterator ends with an exception, and pyspark takes 17 ms to examine it.
    size = int(java_list.size())
    for index in range(size if most is None else min(size, most)):
        yield java_list.get(index)


def _schema(path: str, schema: Any, to_json: Any) -> ParquetSchema:
    paths = str(to_json.writeValueAsString(schema.getPaths()))
    try:
        return parse_schema(str(schema.toString()), str(schema.getName()), paths)
    except ValueError as error:
        raise StorageError(f"the schema of {path!r} can't be understood: {error}") from error


@functools.lru_cache(maxsize=64)
def parse_schema(text: str, root: str, paths: str) -> ParquetSchema:
    """Parse the text of a schema, because that takes one call to the JVM for all columns.

    The names come from `paths`. In the text they are ambiguous: a column called `x (STRING)` looks
    like a string called `x`, and a line break in a name hides what comes after it.

    Args:
        text: The schema, as Parquet's Java writes it.
        root: The name of the schema.
        paths: The path of each leaf column, in order, as JSON.

    Raises:
        ValueError: The text has another form.
    """
    leaves = tuple(_Parser(text).parse(root, json.loads(paths)))
    unnamed = text.removeprefix(f"message {root} ")
    return ParquetSchema(hashlib.sha256(f"{paths}\n{unnamed}".encode()).hexdigest(), leaves)


_REPETITION = r" *(?P<repetition>required|optional|repeated) "
_GROUP = re.compile(_REPETITION + r"group ")
_GROUP_END = re.compile(r"(?: \([A-Z_]+(?:\([^()]*\))?\))?(?: = -?\d+)? \{\n")
_LEAF = re.compile(_REPETITION + r"(?P<physical>\w+)(?:\(\d+\))? ")
_LEAF_END = re.compile(r"(?: \((?P<logical>[A-Z_0-9]+(?:\([^()]*\))?)\))?(?: = -?\d+)?;\n")
_CLOSED = re.compile(r" *\}\n")


class _Parser:
    """A text, and the position up to which it was parsed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse(self, root: str, paths: Sequence[Sequence[str]]) -> Iterator[Leaf]:
        self._take_literally(f"message {root} {{\n")
        open_groups: list[str] = []
        for path in paths:
            *groups, name = path
            while open_groups != groups[: len(open_groups)]:
                open_groups.pop()
                self._take(_CLOSED)
            for group in groups[len(open_groups) :]:
                open_groups.append(group)
                self._take(_GROUP)
                self._take_literally(group)
                self._take(_GROUP_END)
            head = self._take(_LEAF)
            self._take_literally(name)
            end = self._take(_LEAF_END)
            yield Leaf.of(path, head["repetition"], head["physical"], end["logical"])
        for _ in range(len(open_groups) + 1):
            self._take(_CLOSED)

    def _take_literally(self, wanted: str) -> None:
        if not self._text.startswith(wanted, self._position):
            raise ValueError(f"no {wanted!r} at {self._text[self._position :][:80]!r}")
        self._position += len(wanted)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        if (found := pattern.match(self._text, self._position)) is None:
            raise ValueError(f"unexpected {self._text[self._position :][:80]!r}")
        self._position = found.end()
        return found
