"""Open Hadoop's URIs as pyarrow's file systems, on an executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

OLDEST_PYARROW = (17, 0)
# Databricks mounts volumes at /Volumes/ on every node.
_DATABRICKS_VOLUMES = "dbfs:/Volumes/"


class StoreFile(NamedTuple):
    """A file in one of pyarrow's file systems."""

    store: Any
    path: str


class FileRefusedError(Exception):
    """A file can't be read or rewritten, and a retry would not help.

    Attributes:
        kind: `changed`: the file was changed since it was planned. `types`: pyarrow would change
            a type of the file. `unavailable`: pyarrow, or its file system, is missing. `ids`: the
            file has other IDs at the planned positions than the plan. `shard`: a shard is broken.
            `keys`: a row can't be a sample of a shard.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def open_store(uri: str, options: Mapping[str, str]) -> tuple[Any, str]:
    """Return pyarrow's file system for a Hadoop-style URI, and the path in it.

    Args:
        uri: The URI, with literal characters: nothing is decoded.
        options: Keyword arguments for the class of the file system, as text.

    Raises:
        FileRefusedError: pyarrow, the file system, or an option does not exist.
        OSError: The store can't be reached.
    """
    _check_pyarrow()
    from pyarrow import fs

    scheme, _, rest = uri.partition(":")
    authority, slash, path = rest.removeprefix("//").partition("/")
    if not rest.startswith("//"):
        authority, slash, path = "", "/", rest.lstrip("/")
    try:
        if scheme == "file" or uri.startswith(_DATABRICKS_VOLUMES):
            return fs.LocalFileSystem(), slash + path
        values = {key: _parse_value(value) for key, value in options.items()}
        if scheme in ("s3", "s3a", "s3n"):
            return _open_s3(values), f"{authority}/{path}"
        if scheme in ("gs", "gcs"):
            return fs.GcsFileSystem(**values), f"{authority}/{path}"
        if scheme in ("abfs", "abfss"):
            container, _, host = authority.partition("@")
            account = {"account_name": host.partition(".")[0]}
            return fs.AzureFileSystem(**(account | values)), f"{container}/{path}"
        if scheme == "hdfs":
            host, _, port = authority.partition(":")
            server = {"host": host or "default", "port": int(port or 0)}
            return fs.HadoopFileSystem(**(server | values)), slash + path
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise FileRefusedError(
            "unavailable", f"pyarrow can't open {scheme}: {type(error).__name__}: {error}"
        ) from error
    raise FileRefusedError("unavailable", f"pyarrow has no file system for {scheme}:")


def _open_s3(values: Mapping[str, Any]) -> Any:
    """Open S3 so that a small file is put by one request, if this pyarrow can do it."""
    from pyarrow import fs

    try:
        return fs.S3FileSystem(**{"allow_delayed_open": True, **values})
    except TypeError:
        return fs.S3FileSystem(**values)


def renames_in_one_step(store: Any) -> bool:
    """Tell whether one of pyarrow's file systems has directories, and renames files at once."""
    return store.type_name in {"local", "hdfs"}


def copy_file(source: StoreFile, target: StoreFile) -> None:
    """Copy a file, piece by piece."""
    from pyarrow import fs

    fs.copy_files(
        source.path,
        target.path,
        source_filesystem=source.store,
        destination_filesystem=target.store,
        chunk_size=8 * 1024**2,
        use_threads=False,
    )


def copy_in_store(source: StoreFile, target: StoreFile, size_bytes: int) -> bool:
    """Let S3 copy a file itself; tell whether it did. It may lack a right that reading needs not.

    Args:
        source: The file.
        target: The file to write.
        size_bytes: The size that the copy must have.
    """
    if source.store.type_name != "s3" or not source.store.equals(target.store):
        return False
    try:
        target.store.copy_file(source.path, target.path)
        return size_of(*target) == size_bytes
    except OSError:
        return False


def rename_finished(store: Any, partial: str, target: str) -> int:
    """Rename a finished file to the target, in the same file system; return its size."""
    size = size_of(store, partial)
    try:
        store.move(partial, target)
    except OSError:
        # HDFS does not replace a file: another attempt may have written the same rows before.
        if store.get_file_info(target).size != size:
            raise
        store.delete_file(partial)
    return size


def size_of(store: Any, path: str) -> int:
    """Return the size of a file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    size: int | None = store.get_file_info(path).size
    if size is None:
        raise FileNotFoundError(f"{path!r} was deleted")
    return size


def _check_pyarrow() -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't be imported: {error}") from error
    if tuple(int(part) for part in pa.__version__.split(".")[:2]) < OLDEST_PYARROW:
        oldest = ".".join(str(part) for part in OLDEST_PYARROW)
        raise FileRefusedError(
            "unavailable", f"pyarrow is {pa.__version__}, which is older than {oldest}"
        )


def _parse_value(value: str) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value)
