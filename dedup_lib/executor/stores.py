"""Hadoop's URIs as pyarrow's file systems, wherever that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OLDEST_PYARROW = (17, 0)
# Mounted at /Volumes/ on every node there.
_DATABRICKS_VOLUMES = "dbfs:/Volumes/"


class FileRefusedError(Exception):
    """A file can't be rewritten as it is, however often that is tried.

    Attributes:
        kind: `changed` since it was planned; `types` that pyarrow would not keep; `unavailable`
            where pyarrow, or a file system in it, is not there.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def open_store(uri: str, options: Mapping[str, str]) -> tuple[Any, str]:
    """Return pyarrow's file system for a Hadoop-style URI, and the path in it.

    Args:
        uri: Its characters stand for themselves: nothing is decoded.
        options: Keyword arguments of that file system's class, as text.

    Raises:
        FileRefusedError: pyarrow, the file system, or an option is not there.
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
        values = {key: _typed(value) for key, value in options.items()}
        if scheme in ("s3", "s3a", "s3n"):
            return fs.S3FileSystem(**values), f"{authority}/{path}"
        if scheme in ("gs", "gcs"):
            return fs.GcsFileSystem(**values), f"{authority}/{path}"
        if scheme in ("abfs", "abfss"):
            container, _, host = authority.partition("@")
            account = {"account_name": host.partition(".")[0]}
            return fs.AzureFileSystem(**(account | values)), f"{container}/{path}"
        if scheme == "hdfs":
            host, _, port = authority.partition(":")
            place = {"host": host or "default", "port": int(port or 0)}
            return fs.HadoopFileSystem(**(place | values)), slash + path
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise FileRefusedError(
            "unavailable", f"pyarrow has no use of {scheme}: {type(error).__name__}: {error}"
        ) from error
    raise FileRefusedError("unavailable", f"pyarrow has no file system for {scheme}:")


def _check_pyarrow() -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't be imported: {error}") from error
    if tuple(int(part) for part in pa.__version__.split(".")[:2]) < OLDEST_PYARROW:
        oldest = ".".join(str(part) for part in OLDEST_PYARROW)
        raise FileRefusedError(
            "unavailable", f"pyarrow is {pa.__version__}, and older than {oldest}"
        )


def _typed(value: str) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value)
