"""Files in classic Spark: Hadoop's file systems in the driver's JVM are used."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from dedup_lib.errors import StorageError
from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.locations import get_scheme, local_path
from dedup_lib.session import local_files
from dedup_lib.session.hadoop_errors import JAVA_ERRORS, file_exists_already, hadoop_errors
from dedup_lib.session.hadoop_footers import HadoopFooters
from dedup_lib.session.storage import ColumnChunkSizes, FileInfo, ParquetFooter, Storage

# Java's readNBytes requests at most this many bytes at a time from a stream.
_MOST_BY_PY4J_BYTES = 8 * 1024
_MOST_BUFFER_BYTES = 4 * 1024**2
# Read only the requested bytes. A file system ignores options that it doesn't know.
_RANDOM_READS = {
    "fs.option.openfile.read.policy": "random",
    "fs.s3a.readahead.range": "0",
}
# A request to the JVM takes 0.1 to 0.2 ms, so the facts of so many files come in one.
_FILES_AT_ONCE = 10_000
# These classes print their own fields. A class with other methods, as that of viewfs, does not.
_PRINTED = re.compile(
    r"(?:S3A|Hdfs)?LocatedFileStatus\{path=(.*); isDirectory=false; length=(\d+); "
    r"replication=\d+; blocksize=\d+; modification_time=(\d+); ",
    re.DOTALL,
)
_S3_COMMITTER = "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter"
_log = logging.getLogger(__name__)


class HadoopStorage(Storage):
    """The file systems that a classic Spark session reaches through its JVM."""

    is_remote = False

    def __init__(
        self, spark: SparkSession, pyarrow_options: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(pyarrow_options)
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._conf = spark._jsparkSession.sessionState().newHadoopConf()
        # Each dot of a class name is a request to the JVM: send it once, not for every file.
        self._path_class = jvm.org.apache.hadoop.fs.Path
        self._footers = HadoopFooters(jvm, self._conf, self.open_file)

    def committer_options(self, canonical: str) -> Mapping[str, str]:
        """Choose S3A's magic committer, whose files appear when the job is committed."""
        with hadoop_errors(f"{canonical!r} can't be looked up"):
            if not self._has_capability(canonical, "fs.s3a.capability.magic.committer"):
                return {}
            try:
                self._jvm.org.apache.spark.util.Utils.classForName(_S3_COMMITTER, False, False)
            except Py4JJavaError:
                _log.warning(
                    "spark-hadoop-cloud is missing: Parquet files on S3 are written under other "
                    "names first and then copied; see docs/platforms.md on object stores"
                )
                return {}
        return {
            "spark.sql.parquet.output.committer.class": _S3_COMMITTER,
            "fs.s3a.committer.name": "magic",
        }

    def abort_uploads(self, canonical: str) -> None:
        with hadoop_errors(f"unfinished uploads below {canonical!r} can't be aborted"):
            if self._has_capability(canonical, "fs.capability.multipart.uploader"):
                path = self._path(canonical)
                builder = self._file_system(canonical).createMultipartUploader(path)
                with closing(builder.build()) as uploader:
                    uploader.abortUploadsUnderPath(path).get()

    def _has_capability(self, canonical: str, name: str) -> bool:
        return bool(self._file_system(canonical).hasPathCapability(self._path(canonical), name))

    def canonical(self, location: str) -> str:
        with hadoop_errors(f"{location!r} is not a location that this Spark can reach"):
            path = self._path(location)
            text = str(path.getFileSystem(self._conf).makeQualified(path).toString())
        if get_scheme(text) == "file":
            return "file:" + os.path.realpath(local_path(text))
        if text.count("/") == 2:  # a bucket without the slash
            return f"{text}/"
        return text if text.count("/") == 3 else text.rstrip("/")

    def exists(self, location: str) -> bool:
        with hadoop_errors(f"{location!r} can't be looked up"):
            return bool(self._file_system(location).exists(self._path(location)))

    def is_directory(self, location: str) -> bool:
        with hadoop_errors(f"{location!r} can't be looked up"):
            file_system, path = self._file_system(location), self._path(location)
            if not file_system.exists(path):
                return False
            return bool(file_system.getFileStatus(path).isDirectory())

    def list_files(self, location: str) -> list[FileInfo]:
        with hadoop_errors(f"{location!r} can't be listed"):
            path = self._path(location)
            file_system = path.getFileSystem(self._conf)
            root = str(file_system.makeQualified(path).toString())
            if get_scheme(root) == "file":
                found = local_files.list_files(root)
            else:
                found = _file_infos(self._jvm, file_system.listFiles(path, True))
            return sorted(found, key=lambda file: file.path)

    def total_bytes(self, location: str) -> int:
        with hadoop_errors(f"{location!r} can't be listed"):
            file_system, path = self._file_system(location), self._path(location)
            if not file_system.exists(path):
                return 0
            return int(file_system.getContentSummary(path).getLength())

    def find_names(
        self, directories: Sequence[str], patterns: Sequence[str]
    ) -> Sequence[Sequence[str]]:
        """Return the names in each directory that match at least one pattern."""
        # The JVM selects the names: fetching each name of a large directory would take long.
        chosen = self._jvm.org.apache.hadoop.fs.GlobFilter("{" + ",".join(patterns) + "}")
        return [self._find_names(directory, chosen) for directory in directories]

    def _find_names(self, directory: str, chosen: Any) -> list[str]:
        try:
            with hadoop_errors(f"{directory!r} can't be listed"):
                found = self._file_system(directory).listStatus(self._path(directory), chosen)
                return [str(status.getPath().getName()) for status in found]
        except StorageError as error:
            _log.debug("skipped: %s", error)
            return []

    def list_names(self, location: str) -> list[str]:
        if not self.is_directory(location):
            return []
        with hadoop_errors(f"{location!r} can't be listed"):
            found = self._file_system(location).listStatus(self._path(location))
            return sorted(str(status.getPath().getName()) for status in found)

    def read_head(self, location: str, num_bytes: int) -> bytes:
        with (
            hadoop_errors(f"{location!r} can't be read"),
            closing(self._file_system(location).open(self._path(location))) as stream,
        ):
            return bytes(stream.readNBytes(num_bytes))

    def read_text(self, location: str) -> str:
        with (
            hadoop_errors(f"{location!r} can't be read"),
            closing(self._file_system(location).open(self._path(location))) as stream,
        ):
            return bytes(stream.readAllBytes()).decode("utf-8", errors="replace")

    def write_text(self, location: str, text: str) -> None:
        canonical = self.canonical(location)
        if get_scheme(canonical) == "file":
            local_files.write_text(local_path(canonical), text)
            return
        with (
            hadoop_errors(f"{location!r} can't be written"),
            closing(self._file_system(location).create(self._path(location), True)) as stream,
        ):
            stream.write(bytearray(text.encode("utf-8")))

    def touch(self, location: str) -> None:
        if not self.renames_in_one_step(self.canonical(location)):  # S3A sets no times
            self.write_text(location, self.read_text(location))
            return
        with hadoop_errors(f"the time of {location!r} can't be changed"):
            now_ms = int(time.time() * 1000)
            self._file_system(location).setTimes(self._path(location), now_ms, -1)

    def create_exclusive(self, location: str, text: str) -> bool:
        canonical = self.canonical(location)
        if get_scheme(canonical) == "file":
            return local_files.create_exclusive(local_path(canonical), text)
        with hadoop_errors(f"{location!r} can't be created"):
            try:
                stream = self._file_system(location).create(self._path(location), False)
            except JAVA_ERRORS as error:
                if file_exists_already(error):
                    return False
                raise
            with closing(stream):
                stream.write(bytearray(text.encode("utf-8")))
            return True

    def make_directory(self, location: str) -> None:
        with hadoop_errors(f"directory {location!r} can't be made"):
            if not self._file_system(location).mkdirs(self._path(location)):
                raise StorageError(f"directory {location!r} can't be made.")

    def rename(self, source: str, target: str) -> None:
        with hadoop_errors(f"{source!r} can't be renamed to {target!r}"):
            file_system = self._file_system(source)
            if file_system.exists(self._path(target)):
                raise StorageError(f"{source!r} can't be renamed to {target!r}: it exists already.")
            if not file_system.rename(self._path(source), self._path(target)):
                raise StorageError(f"{source!r} can't be renamed to {target!r}.")

    def delete(self, location: str) -> None:
        with hadoop_errors(f"{location!r} can't be deleted"):
            file_system, path = self._file_system(location), self._path(location)
            # On local disks a deletion that fails or stops halfway only returns `false`.
            if not file_system.delete(path, True) and file_system.exists(path):
                raise StorageError(f"{location!r} can't be deleted.")

    def delete_if_empty(self, location: str) -> bool:
        if not self.is_directory(location) or self.list_names(location):
            return False
        with hadoop_errors(f"{location!r} can't be deleted"):
            return bool(self._file_system(location).delete(self._path(location), False))

    def same_file_system(self, one: str, other: str) -> bool:
        if get_scheme(one) == get_scheme(other) == "file":
            return local_files.find_device(one) == local_files.find_device(other)
        return one.split("/")[:3] == other.split("/")[:3]  # scheme and host

    def read_footers(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        return self._footers.read(files)

    def read_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        return self._footers.read_column_sizes(files)

    @contextmanager
    def open_file(self, location: str) -> Iterator[FileSlice]:
        """Open a file. A file on the driver's disk is opened without Java."""
        if get_scheme(location) == "file":
            with local_files.open_file(local_path(location)) as file:
                yield file
            return
        failed = f"{location!r} can't be read"
        with hadoop_errors(failed):
            path = self._path(location)
            file_system = path.getFileSystem(self._conf)
            status = file_system.getFileStatus(path)
            builder = file_system.openFile(path).withFileStatus(status)
            for option, value in _RANDOM_READS.items():
                builder = builder.opt(option, value)
            stream = builder.build().get()
        with closing(stream), tempfile.TemporaryDirectory() as folder:

            def read_at(offset: int, num_bytes: int) -> bytes:
                with hadoop_errors(failed):
                    stream.seek(offset)
                    return self._read(stream, num_bytes, f"{folder}/read")

            yield FileSlice(read_at, 0, int(status.getLen()))

    def _read(self, stream: Any, num_bytes: int, path: str) -> bytes:
        """Read bytes; large parts go through a local file, since py4j takes 30 ms for each MB."""
        if num_bytes <= _MOST_BY_PY4J_BYTES:
            return bytes(stream.readNBytes(num_bytes))
        bounded = self._jvm.org.apache.commons.io.input.BoundedInputStream(stream, num_bytes)
        copy = self._jvm.org.apache.hadoop.io.IOUtils.copyBytes
        with closing(self._jvm.java.io.FileOutputStream(path)) as written:
            copy(bounded, written, min(num_bytes, _MOST_BUFFER_BYTES), False)
        with open(path, "rb") as read:
            return read.read()

    def _path(self, location: str) -> Any:
        return self._path_class(location)

    def _file_system(self, location: str) -> Any:
        return self._path(location).getFileSystem(self._conf)


def _file_infos(jvm: Any, found: Any) -> Iterator[FileInfo]:
    listed = jvm.org.apache.hadoop.util.functional.RemoteIterators.toList(found)
    join, num_files = jvm.org.apache.commons.lang3.StringUtils.join, listed.size()
    for start in range(0, num_files, _FILES_AT_ONCE):
        some = listed.subList(start, min(start + _FILES_AT_ONCE, num_files))
        texts = str(join(some, "\0")).split("\0")
        if len(texts) != some.size():  # a name has this character
            texts = [""] * some.size()
        for index, text in enumerate(texts):
            printed = _PRINTED.match(text)
            path, *numbers = printed.groups() if printed else _ask(some.get(index))
            yield FileInfo(path, *map(int, numbers))


def _ask(status: Any) -> tuple[str, int, int]:
    return str(status.getPath().toString()), status.getLen(), status.getModificationTime()
