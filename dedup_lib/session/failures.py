"""Turn errors of Spark, Java, Python and file systems into errors of this library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import PySparkException

from dedup_lib.errors import (
    DedupError,
    DiskFullError,
    InputChangedError,
    PublishError,
    StorageError,
    UnreadableFileError,
)
from dedup_lib.redaction import redact

try:
    from py4j.protocol import Py4JError
except ImportError:  # pyspark's client for Spark Connect comes without py4j

    class Py4JError(Exception):  # type: ignore[no-redef]  # a stand-in
        """Never raised here."""


# The errors of Spark, classic or Connect.
SPARK_ERRORS = (PySparkException, Py4JError)
_DISK_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "QuotaExceededException",
    "could only be written to 0 of the",
)
_DELETION_VECTOR = re.compile(
    r"^Caused by: .*?([\w+.-]+:/.*deletion_vector_[\w-]+\.bin)", re.MULTILINE
)
_DATA_FILE = re.compile(r"error while reading file (.+?\.parquet)\b", re.IGNORECASE)
# Iceberg's own words: a snapshot, or a file of one, that is not there any more.
_EXPIRED = re.compile(r"Cannot find snapshot with ID (\d+)")
_GONE = re.compile(
    r"iceberg\.exceptions\.NotFoundException: "
    r"(?:File does not exist|Failed to open input stream for file): (.+)$",
    re.MULTILINE,
)
# Iceberg's errors if not the table, but its catalog or the server of that fails.
_CATALOG_FAILED = re.compile(
    r"\.((?:REST|NotAuthorized|Forbidden|ServiceFailure|ServiceUnavailable|CommitStateUnknown"
    r"|UncheckedSQL|RuntimeMeta)Exception)[):] *(.*)"
)
_MISSING_FILE = re.compile(r"FileNotFoundException: File (file:.+) does not exist$", re.MULTILINE)


@contextmanager
def storage_errors_as(kind: type[DedupError]) -> Iterator[None]:
    """Raise a StorageError as another kind of error, which says what it means for the run."""
    try:
        yield
    except StorageError as error:
        raise kind(str(error)) from error


# What to do about a file, by a part of the reason why it can't be read.
_ADVICE = {
    "File does not exist": "It was changed or deleted during the run. Run again when no one writes "
    "there.",
    "Unsupported encoding": "The file is sound, but Spark's fast reader does not know this "
    "encoding. If only the images' rewrite reads this column: --engine arrow. Otherwise set "
    "spark.sql.parquet.enableVectorizedReader to false, which is slower.",
    "ClassNotFoundException: org.apache.hadoop.io.compress": "The file is sound, but Spark lacks "
    "the codec: --engine arrow, or add the codec to Spark.",
    "page header": "Some programs write whole images into a page header, and pyarrow reads at most "
    "16 MB of it. Then the file is sound: --engine spark. If Spark can't read it either, restore "
    "or remove it.",
}


@contextmanager
def translate_spark_errors() -> Iterator[None]:
    """Turn a stack trace of Spark, Java or Python into an error of one sentence.

    Raises:
        DiskFullError: A disk was full.
        PublishError: A file that the run wrote was lost.
        UnreadableFileError: An input file can't be read.
        InputChangedError: The snapshot of an Iceberg table that the run reads was removed.
        StorageError: The catalog of an Iceberg table failed.
    """
    try:
        yield
    except (*SPARK_ERRORS, OSError, DedupError) as error:
        failure = str(error)
        if line := _find_line(failure, _DISK_FULL):
            raise DiskFullError(
                f"a disk is full: {line} Free some space, or choose another location "
                "(--output, --work-location, spark.local.dir), and run again."
            ) from error
        is_foreign = isinstance(error, SPARK_ERRORS)
        if is_foreign and (reason := _find_removed_snapshot(failure)) is not None:
            raise InputChangedError(reason) from error
        if is_foreign and (reason := find_catalog_failure(failure)) is not None:
            raise StorageError(
                f"the catalog of an Iceberg table failed while the run was at work: {reason}. Run "
                "again once it answers."
            ) from error
        if is_foreign and (reason := _find_unread_file(failure)) is not None:
            if ".dedup-" in reason or "/remove-duplicates-" in reason:
                raise PublishError(
                    f"a file that this run wrote was lost; run again. {reason}"
                ) from error
            if (vector := _find_deletion_vector(failure)) is not None:
                raise UnreadableFileError(
                    f"Spark could not read {vector}. Only this file of Delta says which rows were "
                    "deleted, so restore it, or restore the whole table. The data file, whose rows "
                    "it marks, is not the cause."
                ) from error
            raise UnreadableFileError(f"{reason} {_advice_on(reason)}") from error
        if is_foreign and (missing := _MISSING_FILE.search(failure)) is not None:
            raise UnreadableFileError(
                f"{redact(missing[1])!r} was not found where Spark reads it: it was deleted, or it "
                "is on a disk of the driver that executors can't read. Use a location that "
                "all of them can read: a shared file system, or an object store."
            ) from error
        raise


def _find_removed_snapshot(failure: str) -> str | None:
    if (snapshot := _EXPIRED.search(failure)) is not None:
        return (
            f"snapshot {snapshot[1]} of an Iceberg table was removed while the run read it, as "
            "expire_snapshots does. Run again."
        )
    if (file := _GONE.search(failure)) is not None:
        return (
            f"{redact(file[1])!r} of an Iceberg table does not exist: its snapshot was removed "
            "while the run read it, as expire_snapshots does, or somebody deleted the file. Run "
            "again; if it is missing then, too, restore it."
        )
    return None


def _advice_on(reason: str) -> str:
    fitting = (advice for words, advice in _ADVICE.items() if words in reason)
    return next(fitting, "Restore or remove that file.")


def find_catalog_failure(failure: str) -> str | None:
    """Return why an Iceberg catalog failed; None for other errors."""
    if (found := _CATALOG_FAILED.search(failure)) is None:
        return None
    causes = re.findall(r"^Caused by: (.+)", failure, flags=re.MULTILINE)
    said = f"{found[1]}: {found[2].strip()}"
    cause = "" if not causes or causes[-1] in said else f" ({causes[-1].strip()})"
    return redact(f"{said}{cause}")


def find_task_failure(failure: Exception) -> str:
    """Return the line that says why a job with Python tasks failed."""
    lines = str(failure).strip().partition("\nJVM stacktrace:")[0].splitlines()
    by_java = (line.removeprefix(": ") for line in lines if line.startswith((": ", "Job aborted")))
    return next(by_java, lines[-1] if lines else type(failure).__name__)


def first_line(error: Exception) -> str:
    """Return the line of an error that says what is wrong, without Java's stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "[DELTA_" in line or "Exception:" in line), lines[0])


def exists_already(error: Exception) -> bool:
    """Tell whether Spark refused to make a table or a directory because it exists already."""
    return any(word in _condition(error) for word in ("ALREADY_EXISTS", "PATH_EXISTS"))


def holds_files_already(error: Exception) -> bool:
    """Tell whether Spark refused to make a table because its directory holds files."""
    return "NON_EMPTY_LOCATION" in _condition(error)


def file_was_deleted(error: Exception) -> bool:
    """Tell whether Spark could not read a file because it no longer exists."""
    return "FAILED_READ_FILE.FILE_NOT_EXIST" in str(error)


def java_did_not_start(error: PySparkException) -> bool:
    """Tell whether Spark's Java process did not start."""
    return "JAVA_GATEWAY_EXITED" in str(error)


def _condition(error: Exception) -> str:
    """Return Spark's error condition, or the text if it has no condition."""
    if not isinstance(error, SPARK_ERRORS):
        return ""
    named = error.getCondition() if isinstance(error, PySparkException) else None
    return named or str(error)


def _find_line(failure: str, words: tuple[str, ...]) -> str | None:
    lines = (line.strip().removeprefix("Caused by: ") for line in failure.splitlines())
    return next((redact(line)[:400] for line in lines if any(word in line for word in words)), None)


def _find_deletion_vector(failure: str) -> str | None:
    """Name the deletion vector that can't be read, or at least its data file."""
    causes = re.findall(r"^Caused by: (.+)", failure, flags=re.MULTILINE)
    if (named := _DELETION_VECTOR.search(failure)) is not None:
        return f"the deletion vector {redact(named[1])!r} ({redact(causes[-1].strip())})"
    if "DeletionVectorStoredBitmap.load(" not in failure:
        return None
    data = _DATA_FILE.search(failure)
    of_file = "a file" if data is None else repr(redact(data[1]))
    return (
        f"the deletion vector of {of_file} ({redact(causes[-1].strip()) if causes else 'broken'})"
    )


def _find_unread_file(failure: str) -> str | None:
    if "FAILED_READ_FILE" in failure or "CANNOT_READ_FILE_FOOTER" in failure:
        lines = [line for line in failure.splitlines() if "READ_FILE" in line]
        causes = re.findall(r"^Caused by: (.+)", failure, flags=re.MULTILINE)
        cause = f" ({causes[-1].strip()})." if causes else ""
        line = lines[0].strip().removeprefix(": ")
        return f"Spark could not read an input file: {line}{cause}"
    _, _, by_pyarrow = failure.partition("FileReadError: ")
    return f"{by_pyarrow.splitlines()[0]}." if by_pyarrow else None
