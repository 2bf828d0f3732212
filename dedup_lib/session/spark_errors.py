"""What Spark raises, whether it is classic or Connect."""

from __future__ import annotations

from pyspark.errors import PySparkException

try:
    from py4j.protocol import Py4JError
except ImportError:  # of Spark Connect's own client, which has no JVM

    class Py4JError(Exception):  # type: ignore[no-redef]  # stands for it
        """Never raised here."""


SPARK_ERRORS = (PySparkException, Py4JError)


def first_line(error: Exception) -> str:
    """Return the line of an error that says what is wrong, without Java's stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "[DELTA_" in line or "Exception:" in line), lines[0])
