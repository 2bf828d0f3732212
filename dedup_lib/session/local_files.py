"""Files on the driver's disk. Here Hadoop is slow, or takes several steps instead of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dedup_lib.errors import StorageError
from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.locations import local_path
from dedup_lib.session.storage import FileInfo

# Errors of file systems without unnamed files (NFS, FUSE, overlays of old kernels).
_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
# Errors of file systems without hard links, or of a machine without /proc.
_NO_LINKS = frozenset({errno.EOPNOTSUPP, errno.EPERM, errno.ENOENT, errno.EMLINK})


def create_exclusive(path: str, text: str) -> bool:
    """Create a small text file; if the file exists already, leave it unchanged and return False.

    Most file systems of Linux have unnamed files and links. There the file has its text from the
    first moment, so a process that is killed leaves no empty file.
    """
    # Hadoop's local file system first checks and then creates: two processes can both succeed.
    try:
        if hasattr(os, "O_TMPFILE"):
            _link_exclusive(path, text)
        else:
            _write_exclusive(path, text)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError(f"{path!r} can't be created: {error.strerror}.") from error
    return True


def _link_exclusive(path: str, text: str) -> None:
    try:
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, 0o644)
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
        _write_exclusive(path, text)
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        try:
            # `src_dir_fd` is not used, but with it the new link leads to the file itself.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _write_exclusive(path, text)


def _write_exclusive(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        os.unlink(path)
        raise


def write_text(path: str, text: str) -> None:
    """Write a file, and its directory if it is missing; replace an older file.

    Hadoop would write a checksum beside it, over which other readers stumble.
    """
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_name(f".{place.name}.crc").unlink(missing_ok=True)  # of the older file
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path!r} can't be written: {error.strerror}.") from error


def replace_text(path: Path, text: str) -> None:
    """Write a file, and its directory if it is missing; replace an older file in one step.

    Raises:
        OSError: The file can't be written; the older file is unchanged.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with partial.open("x", encoding="utf-8") as stream:  # never follow a link
            stream.write(text)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def list_files(root: str) -> Iterator[FileInfo]:
    """List all files below a directory, or a single file, without Hadoop's checksums.

    Args:
        root: A `file:` URI.
    """
    # Hadoop's listing starts a process for each file, and skips links that lead nowhere.
    top = local_path(root)
    return map(_file_info, [top] if os.path.isfile(top) else _names_below(top))


def _names_below(top: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise StorageError(f"{error.filename!r} can't be listed: {error.strerror}.") from error

    for directory, directories, names in os.walk(top, onerror=fail, followlinks=True):
        for name in directories:
            _check_is_no_loop(os.path.join(directory, name), top)
        for name in names:
            if not (name.startswith(".") and name.endswith(".crc")):
                yield os.path.join(directory, name)


def _check_is_no_loop(path: str, top: str) -> None:
    """Refuse a link to a directory that contains the link: the walk would never end."""
    if not os.path.islink(path):
        return
    above = os.path.dirname(path)
    while len(above) >= len(top):
        if os.path.samefile(path, above):
            raise StorageError(f"{path!r} is a symbolic link back to {above!r}, which contains it.")
        above = os.path.dirname(above)


def _file_info(path: str) -> FileInfo:
    try:
        found = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            raise StorageError(f"{path!r} is a symbolic link that leads nowhere.") from error
        raise StorageError(f"{path!r} can't be listed: {error.strerror}.") from error
    return FileInfo(f"file:{path}", found.st_size, found.st_mtime_ns // 1_000_000)


def find_device(canonical: str) -> int:
    """Return the device number of a `file:` URI; the file need not exist."""
    path = local_path(canonical)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


@contextmanager
def open_file(path: str) -> Iterator[FileSlice]:
    """Open a file; many threads may read from it, at any offset."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{path!r} can't be read: {error.strerror}.") from error

    def read_at(offset: int, num_bytes: int) -> bytes:
        try:
            return os.pread(descriptor, num_bytes, offset)
        except OSError as error:
            raise StorageError(f"{path!r} can't be read: {error.strerror}.") from error

    try:
        yield FileSlice(read_at, 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
