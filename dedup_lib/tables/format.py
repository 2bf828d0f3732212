"""The seam for table formats: everything that the rest of the library asks of a format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from dedup_lib.errors import UnsupportedError
from dedup_lib.session.session import Session
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.writing import WritableFormat

if TYPE_CHECKING:
    from dedup_lib.tables.pinned import Pinned


class TableFormat(WritableFormat):
    """One table format; a subclass answers for its tables, and `registry.register` makes it known.

    A method that a subclass leaves out refuses, or does what holds for a directory of files that
    no log describes.

    Attributes:
        traits: What settings need to know of it, its name among that.
        sign: What tells such a table, for messages.
        serves_as_list: Whether a table of it can be a removal, protect or keep list. Directories
            of plain files are read by `lists` itself.
        methods: The methods, apart from `rewrite`, that a table of this format offers: `in-place`
            for a table that is an image table, `clone` and `since-last-run` for one that is an
            output. Each is a class, as `methods.method` says.
        file_engine: What rewrites its files one by one into the same format, as
            `methods.file_engine` says; None where only Spark can rewrite it.
    """

    serves_as_list = False
    methods: Mapping[str, Any] = {}
    file_engine: Any = None

    # What it says of the runs that wrote it

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Find the newest run whose note has a value under a key; any value where it is None.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            key: Of the note.
            value: What it must be.
        """
        raise NotImplementedError

    def check_repeated(self, session: Session, earlier: EarlierRun) -> None:
        """Check that an output still has the rows that the run which made it had planned.

        Raises:
            VerificationError: It hasn't. A run that ended in that must not end well when repeated.
        """

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Read rows that a run kept as a table of this format, at a canonical path or by name."""
        raise UnsupportedError(f"a plan can't be read from a {self.title} table.")
