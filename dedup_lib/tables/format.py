"""The base class of table formats: everything that the library needs from a format."""

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
    """One table format. Each format is a subclass, and `registry.register` makes it known.

    A method that a subclass does not override either raises, or does what is right for a directory
    of files without a log.

    Attributes:
        traits: The facts that settings need about the format, such as its name.
        sign: For messages: what identifies such a table.
        serves_as_list: Whether a table of this format can be a removal, protect or keep list.
            `lists` itself reads directories of plain files.
        methods: The methods, apart from `rewrite`, that a table of this format offers: `in-place`
            for an image table, `clone` and `since-last-run` for an output. Each is a class, as
            `methods.method` says.
        file_engine: The engine that rewrites the files one by one into the same format, as
            `methods.file_engine` says; None if only Spark can rewrite them.
    """

    serves_as_list = False
    methods: Mapping[str, Any] = {}
    file_engine: Any = None

    # The engines that move images without Spark

    def engine_to(self, written: TableFormat) -> Any:
        """Return the file engine that writes image tables of this format in another; or None."""
        return self.file_engine if written is self else written.engine_from(self)

    def engine_from(self, read: TableFormat) -> Any:
        """Return the file engine that writes this format from image tables of another; or None."""
        return None

    # The runs that wrote a table

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Find the newest run whose note has a key with a value.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            key: The key in the note.
            value: The value that the key must have; None accepts any value, and also finds the
                note of a record whose files were copied.
        """
        raise NotImplementedError

    def check_repeated(self, session: Session, earlier: EarlierRun) -> None:
        """Check that an output still has the rows that its run planned.

        Raises:
            VerificationError: It has other rows. If a run ended with this error, its repetition
                must not succeed.
        """

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Read rows that a run stored in this format, at a canonical path or by catalog name."""
        raise UnsupportedError(f"a plan can't be read from a {self.title} table.")
