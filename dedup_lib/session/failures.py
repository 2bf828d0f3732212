"""What Spark, Java, Python and file systems say when they fail, as errors of this library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import (
    DedupError,
    DiskFullError,
    PublishError,
    StorageError,
    UnreadableFileError,
)
from dedup_lib.redaction import redact
from dedup_lib.session.spark_errors import SPARK_ERRORS

_NO_ROOM = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "QuotaExceededException",
    "could only be written to 0 of the",
)
_MISSING_FILE = re.compile(r"FileNotFoundException: File (file:.+) does not exist$", re.MULTILINE)


@contextmanager
def storage_errors_as(kind: type[DedupError]) -> Iterator[None]:
    """Raise a file system's refusal as another kind of error: what it means for the run."""
    try:
        yield
    except StorageError as error:
        raise kind(str(error)) from error


@contextmanager
def errors_named() -> Iterator[None]:
    """Say in one sentence what Spark, Java or Python say in a stack trace."""
    try:
        yield
    except (*SPARK_ERRORS, OSError, DedupError) as error:
        failure = str(error)
        if line := _line_with(failure, _NO_ROOM):
            raise DiskFullError(
                f"there is no room for what is written: {line} Make room, or name another place "
                "(--output, --work-location, spark.local.dir), and run again."
            ) from error
        is_foreign = isinstance(error, SPARK_ERRORS)
        if is_foreign and (reason := _unread_file(failure)) is not None:
            if ".dedup-" in reason:
                raise PublishError(
                    f"what the run itself had written was lost meanwhile; run again. {reason}"
                ) from error
            raise UnreadableFileError(f"{reason} Restore or remove that file.") from error
        if is_foreign and (missing := _MISSING_FILE.search(failure)) is not None:
            raise UnreadableFileError(
                f"{redact(missing[1])!r} was not found where Spark reads it: it was deleted, or is "
                "on a disk of the driver's that executors don't have. Give a place that all of "
                "them have: a shared file system, or a store."
            ) from error
        raise


def _line_with(failure: str, words: tuple[str, ...]) -> str | None:
    lines = (line.strip().removeprefix("Caused by: ") for line in failure.splitlines())
    return next((redact(line)[:400] for line in lines if any(word in line for word in words)), None)


def _unread_file(failure: str) -> str | None:
    if "FAILED_READ_FILE" in failure or "CANNOT_READ_FILE_FOOTER" in failure:
        lines = [line for line in failure.splitlines() if "READ_FILE" in line]
        causes = re.findall(r"^Caused by: (.+)", failure, flags=re.MULTILINE)
        cause = f" ({causes[-1].strip()})." if causes else ""
        return f"Spark could not read an input file: {lines[0].strip()}{cause}"
    _, _, by_pyarrow = failure.partition("FileReadError: ")
    return f"{by_pyarrow.splitlines()[0]}." if by_pyarrow else None
