"""Where a program that spark-submit runs can write what belongs to standard error."""

from __future__ import annotations

import sys
from typing import Any

from py4j.protocol import Py4JError
from pyspark.java_gateway import launch_gateway


class JvmStderr:
    """The standard error of the Java process that spark-submit is.

    spark-submit merges the standard error of its Python into its own standard output, where
    only the report belongs.
    """

    def __init__(self) -> None:
        gateway: Any = launch_gateway()  # type: ignore[no-untyped-call]  # pyspark leaves it so
        self._java = gateway.jvm
        self._stream = gateway.jvm.System.err

    def write(self, text: str) -> None:
        """Write text; where Java is gone, to this process's own standard error."""
        try:
            self._stream.print(text)
        except (Py4JError, OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Do nothing: Java's stream is not buffered."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal: what Java starts inherits it, and asks."""
        command = self._java.java.util.ArrayList()
        for word in ("test", "-t", "2"):
            command.add(word)
        try:
            process = self._java.java.lang.ProcessBuilder(command).inheritIO().start()
            return bool(process.waitFor() == 0)
        except Py4JError:  # no such program: not a system with terminals that we know
            return False
