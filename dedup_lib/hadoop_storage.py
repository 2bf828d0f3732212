"""Files, through Hadoop's file systems in the driver's JVM: classic Spark."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib import local_files
from dedup_lib.errors import StorageError
from dedup_lib.file_slices import FileSlice
from dedup_lib.files import ColumnChunkSizes, FileInfo, ParquetFooter
from dedup_lib.schema_text import with_quoted_names
from dedup_lib.storage import Storage
from dedup_lib.store_hints import store_hint
from dedup_lib.uris import local_path, scheme_of

_FOOTERS_AT_ONCE = 512
_FOOTER_THREADS = "32"
_BLOCK_BYTES = 128 * 1024**2
# A stream is asked for no more than this at a time by Java's own readNBytes.
_MOST_BY_PY4J_BYTES = 8 * 1024
_MOST_BUFFER_BYTES = 4 * 1024**2
# What is asked for is read, and nothing after it; who does not know an option leaves it.
_OPENED_FOR_SLICES = {
    "fs.option.openfile.read.policy": "random",
    "fs.s3a.readahead.range": "0",
}
_S3_COMMITTER = "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter"
_log = logging.getLogger(__name__)


class HadoopStorage(Storage):
    """The file systems that a classic Spark session reaches, by its JVM."""

    is_remote = False

    def __init__(
        self, spark: SparkSession, pyarrow_options: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(pyarrow_options)
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._conf = spark._jsparkSession.sessionState().newHadoopConf()
        # Each dot of a class name is a question to the JVM: ask once, not for every file.
        self._path_class = jvm.org.apache.hadoop.fs.Path
        self._status_class = jvm.org.apache.hadoop.fs.FileStatus

    def committer_options(self, canonical: str) -> Mapping[str, str]:
        """Of S3A take the magic committer, whose files appear only when the job is committed."""
        with _hadoop_errors(f"{canonical!r} can't be looked up"):
            if not self._can(canonical, "fs.s3a.capability.magic.committer"):
                return {}
            try:
                self._jvm.org.apache.spark.util.Utils.classForName(_S3_COMMITTER, False, False)
            except Py4JJavaError:
                _log.warning(
                    "spark-hadoop-cloud is not there: Parquet is written to S3 by way of copies; "
                    "see the README on object stores"
                )
                return {}
        return {
            "spark.sql.parquet.output.committer.class": _S3_COMMITTER,
            "fs.s3a.committer.name": "magic",
        }

    def abort_uploads(self, canonical: str) -> None:
        with _hadoop_errors(f"unfinished uploads below {canonical!r} can't be given up"):
            if self._can(canonical, "fs.capability.multipart.uploader"):
                path = self._path(canonical)
                with closing(self._fs(canonical).createMultipartUploader(path).build()) as uploader:
                    uploader.abortUploadsUnderPath(path).get()

    def _can(self, canonical: str, capability: str) -> bool:
        return bool(self._fs(canonical).hasPathCapability(self._path(canonical), capability))

    def canonical(self, location: str) -> str:
        """Return a location as an absolute URI: `..`, repeated and trailing slashes and,
        on the driver's own disk, symbolic links resolved.
        """
        with _hadoop_errors(f"{location!r} is not a location that this Spark can reach"):
            path = self._path(location)
            text = str(path.getFileSystem(self._conf).makeQualified(path).toString())
        if scheme_of(text) == "file":
            return "file:" + os.path.realpath(local_path(text))
        if text.count("/") == 2:  # a bucket, with or without the slash
            return f"{text}/"
        return text if text.count("/") == 3 else text.rstrip("/")

    def exists(self, location: str) -> bool:
        """Tell whether there is a file or directory."""
        with _hadoop_errors(f"{location!r} can't be looked up"):
            return bool(self._fs(location).exists(self._path(location)))

    def is_directory(self, location: str) -> bool:
        """Tell whether there is a directory."""
        with _hadoop_errors(f"{location!r} can't be looked up"):
            if not self._fs(location).exists(self._path(location)):
                return False
            return bool(self._fs(location).getFileStatus(self._path(location)).isDirectory())

    def list_files(self, location: str) -> list[FileInfo]:
        """List all files below a directory (or the one file), hidden and empty ones too.

        Hadoop's checksums (`.NAME.crc`) on local disks are left out, as Hadoop does.

        Cost: one listing by the driver; about a millisecond a file, less on local disks.
        """
        with _hadoop_errors(f"{location!r} can't be listed"):
            path = self._path(location)
            file_system = path.getFileSystem(self._conf)
            root = str(file_system.makeQualified(path).toString())
            if scheme_of(root) == "file":
                found = local_files.list_files(root)
            else:
                found = _files(file_system.listFiles(path, True))
            return sorted(found, key=lambda file: file.path)

    def total_bytes(self, location: str) -> int:
        """Add up the sizes of all files below a directory; 0 where there is none."""
        with _hadoop_errors(f"{location!r} can't be listed"):
            if not self._fs(location).exists(self._path(location)):
                return 0
            return int(self._fs(location).getContentSummary(self._path(location)).getLength())

    def list_names(self, location: str) -> list[str]:
        """List the names of what a directory holds, files and directories; [] where none is."""
        if not self.is_directory(location):
            return []
        with _hadoop_errors(f"{location!r} can't be listed"):
            found = self._fs(location).listStatus(self._path(location))
            return sorted(str(status.getPath().getName()) for status in found)

    def find_names(
        self, directories: Sequence[str], patterns: Sequence[str]
    ) -> Sequence[Sequence[str]]:
        """Return those names in each directory that match one of some patterns."""
        # The JVM chooses: to ask for each name of a large directory would take long.
        chosen = self._jvm.org.apache.hadoop.fs.GlobFilter("{" + ",".join(patterns) + "}")
        return [self._find_names(directory, chosen) for directory in directories]

    def _find_names(self, directory: str, chosen: Any) -> list[str]:
        try:
            with _hadoop_errors(f"{directory!r} can't be listed"):
                found = self._fs(directory).listStatus(self._path(directory), chosen)
                return [str(status.getPath().getName()) for status in found]
        except StorageError as error:
            _log.debug("passed over: %s", error)
            return []

    def read_head(self, location: str, num_bytes: int) -> bytes:
        """Read the first bytes of a file; fewer where it is shorter."""
        with (
            _hadoop_errors(f"{location!r} can't be read"),
            closing(self._fs(location).open(self._path(location))) as stream,
        ):
            return bytes(stream.readNBytes(num_bytes))

    def read_text(self, location: str) -> str:
        """Read a small text file."""
        with (
            _hadoop_errors(f"{location!r} can't be read"),
            closing(self._fs(location).open(self._path(location))) as stream,
        ):
            return bytes(stream.readAllBytes()).decode("utf-8", errors="replace")

    def write_text(self, location: str, text: str) -> None:
        """Write a small text file, replacing one that is there."""
        with (
            _hadoop_errors(f"{location!r} can't be written"),
            closing(self._fs(location).create(self._path(location), True)) as stream,
        ):
            stream.write(bytearray(text.encode("utf-8")))

    def touch(self, location: str) -> None:
        """Set the time when a file was modified to now."""
        if not self.renames_in_one_step(self.canonical(location)):  # S3A sets no times
            self.write_text(location, self.read_text(location))
            return
        with _hadoop_errors(f"{location!r} can't be renewed"):
            now_ms = int(time.time() * 1000)
            self._fs(location).setTimes(self._path(location), now_ms, -1)

    def create_exclusive(self, location: str, text: str) -> bool:
        """Create a small text file; return False where there is one, and leave that alone."""
        canonical = self.canonical(location)
        if scheme_of(canonical) == "file":
            return local_files.create_exclusive(local_path(canonical), text)
        with _hadoop_errors(f"{location!r} can't be created"):
            try:
                created = self._fs(location).create(self._path(location), False)
            except (Py4JError, PySparkException) as error:
                if "FileAlreadyExists" in str(error):
                    return False
                raise
            with closing(created) as stream:
                stream.write(bytearray(text.encode("utf-8")))
            return True

    def make_directory(self, location: str) -> None:
        """Make a directory, with its parents."""
        with _hadoop_errors(f"directory {location!r} can't be made"):
            if not self._fs(location).mkdirs(self._path(location)):
                raise StorageError(f"directory {location!r} can't be made.")

    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory to a name that is free.

        Hadoop's own rename moves *into* a directory that is there; this one refuses.

        Raises:
            StorageError: The target exists, or the file system refused.
        """
        with _hadoop_errors(f"{source!r} can't be renamed to {target!r}"):
            file_system = self._fs(source)
            if file_system.exists(self._path(target)):
                raise StorageError(f"{source!r} can't be renamed to {target!r}: that exists.")
            if not file_system.rename(self._path(source), self._path(target)):
                raise StorageError(f"{source!r} can't be renamed to {target!r}.")

    def delete(self, location: str) -> None:
        """Delete a file or directory with all it holds; nothing where there is none."""
        with _hadoop_errors(f"{location!r} can't be deleted"):
            file_system, path = self._fs(location), self._path(location)
            # On local disks a deletion that fails, or fails halfway, is only `false`.
            if not file_system.delete(path, True) and file_system.exists(path):
                raise StorageError(f"{location!r} can't be deleted.")

    def delete_if_empty(self, location: str) -> bool:
        """Delete a directory that holds nothing; tell whether it was one."""
        if not self.is_directory(location) or self.list_names(location):
            return False
        with _hadoop_errors(f"{location!r} can't be deleted"):
            return bool(self._fs(location).delete(self._path(location), False))

    def same_file_system(self, one: str, other: str) -> bool:
        """Tell whether a rename between two canonical locations stays on one file system."""
        if scheme_of(one) == scheme_of(other) == "file":
            return local_files.device_of(one) == local_files.device_of(other)
        return one.split("/")[:3] == other.split("/")[:3]  # scheme and host

    def parquet_footers(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        """Yield what the footer of each file says.

        Raises:
            StorageError: A file has no readable Parquet footer; the message names it.

        Cost: one footer a file, read by threads of the driver.
        """
        to_json = self._jvm.com.fasterxml.jackson.databind.ObjectMapper()
        for footer in self._footers(files):
            metadata, path = footer.getParquetMetadata(), str(footer.getFile().toString())
            schema = metadata.getFileMetaData().getSchema()
            yield ParquetFooter(
                path=path,
                schema=_schema_text(path, schema, to_json),
                num_rows=sum(int(block.getRowCount()) for block in _items(metadata.getBlocks())),
            )

    def parquet_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        """Yield one row per file, row group (the first four of each) and leaf column."""
        for footer in self._footers(files):
            for block in _items(footer.getParquetMetadata().getBlocks(), most=4):
                for chunk in _items(block.getColumns()):
                    yield ColumnChunkSizes(
                        column=str(chunk.getPath().toDotString()),
                        codec=str(chunk.getCodec().toString()).lower(),
                        compressed_bytes=int(chunk.getTotalSize()),
                        uncompressed_bytes=int(chunk.getTotalUncompressedSize()),
                    )

    @contextmanager
    def opened(self, location: str) -> Iterator[FileSlice]:
        """Open a file for reading at any place: on the driver's own disk without Java."""
        if scheme_of(location) == "file":
            with local_files.opened(local_path(location)) as file:
                yield file
            return
        failed = f"{location!r} can't be read"
        with _hadoop_errors(failed):
            path = self._path(location)
            file_system = path.getFileSystem(self._conf)
            status = file_system.getFileStatus(path)
            builder = file_system.openFile(path).withFileStatus(status)
            for option, value in _OPENED_FOR_SLICES.items():
                builder = builder.opt(option, value)
            stream = builder.build().get()
        with closing(stream), tempfile.TemporaryDirectory() as folder:

            def read_at(place: int, num_bytes: int) -> bytes:
                with _hadoop_errors(failed):
                    stream.seek(place)
                    return self._read(stream, num_bytes, f"{folder}/read")

            yield FileSlice(read_at, 0, int(status.getLen()))

    def _read(self, stream: Any, num_bytes: int, path: str) -> bytes:
        """Hand over bytes in a file of this machine: py4j would take 30 ms for each MB."""
        if num_bytes <= _MOST_BY_PY4J_BYTES:
            return bytes(stream.readNBytes(num_bytes))
        some = self._jvm.org.apache.commons.io.input.BoundedInputStream(stream, num_bytes)
        copy = self._jvm.org.apache.hadoop.io.IOUtils.copyBytes
        with closing(self._jvm.java.io.FileOutputStream(path)) as written:
            copy(some, written, min(num_bytes, _MOST_BUFFER_BYTES), False)
        with open(path, "rb") as read:
            return read.read()

    def _footers(self, files: Sequence[FileInfo]) -> Iterator[Any]:
        conf = self._jvm.org.apache.hadoop.conf.Configuration(self._conf)
        conf.set("parquet.metadata.read.parallelism", _FOOTER_THREADS)
        reader = self._jvm.org.apache.parquet.hadoop.ParquetFileReader
        for start in range(0, len(files), _FOOTERS_AT_ONCE):
            some = files[start : start + _FOOTERS_AT_ONCE]
            of_one = f" of file {some[0].path!r}" if len(some) == 1 else ""
            try:
                with _hadoop_errors(f"a Parquet footer{of_one} can't be read"):
                    statuses = self._jvm.java.util.ArrayList()
                    for file in some:
                        statuses.add(self._status(file))
                    footers = reader.readAllFootersInParallel(conf, statuses, False)
            except StorageError:
                for file in some if len(some) > 1 else ():  # not every reason says whose it is
                    list(self._footers([file]))
                raise
            yield from _items(footers)

    def _status(self, file: FileInfo) -> Any:
        """Return what the listing said of a file, without asking the store again."""
        path, size, modified = self._path(file.path), file.size_bytes, file.modified_ms
        return self._status_class(size, False, 1, _BLOCK_BYTES, modified, path)

    def _path(self, location: str) -> Any:
        return self._path_class(location)

    def _fs(self, location: str) -> Any:
        return self._path(location).getFileSystem(self._conf)


def _schema_text(path: str, schema: Any, to_json: Any) -> str:
    paths = str(to_json.writeValueAsString(schema.getPaths()))
    try:
        return with_quoted_names(str(schema.toString()), str(schema.getName()), paths)
    except ValueError as error:
        raise StorageError(f"the schema of {path!r} can't be understood: {error}") from error


def _items(java_list: Any, most: int | None = None) -> Iterator[Any]:
    # The end of a Java iterator is an exception, which pyspark takes 17 ms to look at.
    size = int(java_list.size())
    for index in range(size if most is None else min(size, most)):
        yield java_list.get(index)


def _files(found: Any) -> Iterator[FileInfo]:
    while found.hasNext():
        status = found.next()
        yield FileInfo(
            path=str(status.getPath().toString()),
            size_bytes=int(status.getLen()),
            modified_ms=int(status.getModificationTime()),
        )


@contextmanager
def _hadoop_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (Py4JError, PySparkException) as error:
        reason = _reason(error)
        raise StorageError(f"{what}: {reason}{store_hint(reason)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, Py4JJavaError):
        exception = error.java_exception
        while exception.getCause() is not None:
            exception = exception.getCause()
        text = str(exception.toString())
    return next(iter(text.strip().splitlines()), type(error).__name__)
