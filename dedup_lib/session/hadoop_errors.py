"""Turn errors of Hadoop's file systems into errors of this library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from dedup_lib.errors import StorageError

JAVA_ERRORS = (Py4JError, PySparkException)
_HINTS = (
    (
        r"Class org\.apache\.hadoop\.fs\.s3a\.\S+ not found|NoClassDefFound\S+ software/amazon",
        "Add S3 support to Spark: for 4.0 --packages org.apache.hadoop:hadoop-aws:3.4.1.",
    ),
    (
        r'No FileSystem for scheme "s3n?"',
        "Write s3a://, the scheme that Spark's Hadoop uses for S3.",
    ),
    (
        r"No FileSystem for scheme|ClassNotFoundException: Class \S+ not found",
        "Spark lacks the connector of that store: add its jar to the class path.",
    ),
    (
        r"Status Code: 40[13]|AccessDenied|InvalidAccessKeyId|Unable to load credentials",
        "Check the credentials that Spark uses for that store, and their permissions.",
    ),
    (
        r"ConnectException|UnknownHostException|NoRouteToHost|SocketTimeout|Unable to execute HTTP",
        "The store does not answer: check its address (for S3 fs.s3a.endpoint) and the network.",
    ),
)


@contextmanager
def hadoop_errors(what: str) -> Iterator[None]:
    """Raise Hadoop's errors as StorageError.

    Args:
        what: What failed, as the beginning of the message.
    """
    try:
        yield
    except JAVA_ERRORS as error:
        reason = _find_reason(error)
        raise StorageError(f"{what}: {reason}{store_hint(reason)}") from error


def file_exists_already(error: Exception) -> bool:
    """Tell whether Hadoop refused to create a file because it exists already."""
    return "FileAlreadyExists" in str(error)


def store_hint(reason: str) -> str:
    """Return advice on a file system's error, as `. …`; an empty text if there is no advice."""
    for pattern, hint in _HINTS:
        if re.search(pattern, reason):
            return f". {hint}"
    return ""


def _find_reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, Py4JJavaError):
        exception = error.java_exception
        while exception.getCause() is not None:
            exception = exception.getCause()
        text = str(exception.toString())
    return next(iter(text.strip().splitlines()), type(error).__name__)
