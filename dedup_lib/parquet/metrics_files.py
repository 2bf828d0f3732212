"""Write metrics to a directory of Parquet files, one file for each run."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from dedup_lib.errors import OutputExistsError
from dedup_lib.publish.attempts import attempt_directory
from dedup_lib.publish.sweep import sweep
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.session import Session


def add_file(
    session: Session,
    location: str,
    row: DataFrame,
    name: str,
    check: Callable[[StructType, bool], None],
) -> None:
    """Write a file with one row where readers do not look, and move it into the directory.

    Args:
        session: The session, with its file systems.
        location: The canonical path of the directory.
        row: The row.
        name: The name of the file, without its suffix; it ends with the name of the run.
        check: Checks the columns of existing files.

    Raises:
        OutputExistsError: Something else is at the location.
    """
    storage = session.storage
    _check_rows_fit(session, location, check)
    run = name.rpartition("-")[2].partition(".")[0]
    sweep(storage, location, run)
    with attempt_directory(storage, location, run) as attempt:
        options = storage.committer_options(attempt.staged)
        row.coalesce(1).write.options(**options).parquet(attempt.staged)
        (written,) = [
            file.path
            for file in storage.list_files(attempt.staged)
            if file.path.endswith(".parquet")
        ]
        storage.make_directory(location)
        storage.rename(written, f"{location}/{name}.parquet")


def _check_rows_fit(
    session: Session, location: str, check: Callable[[StructType, bool], None]
) -> None:
    storage = session.storage
    if storage.exists(location) and not storage.is_directory(location):
        raise OutputExistsError(f"{location!r} is a file, not a directory.")
    names = [name for name in storage.list_names(location) if name[0] not in "._"]
    strange = [name for name in names if not name.endswith(".parquet")]
    if strange:
        raise OutputExistsError(f"{location!r} holds {strange[0]!r}, which is not a Parquet file.")
    if names:
        reader = session.spark.read.options(**PARQUET_READER_OPTIONS)
        check(reader.parquet(f"{location}/{names[-1]}").schema, False)
