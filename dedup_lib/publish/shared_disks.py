"""Check that executors share the disk that the driver writes to."""

from __future__ import annotations

from dedup_lib.errors import SettingsError
from dedup_lib.locations import get_scheme
from dedup_lib.session.conf import session_settings
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import cores, get_setting

_LINE = "shared\n"
# Several lines per core, so that every executor reads some.
_LINES_PER_CORE = 4
_A_TASK_FOR_EACH_LINE = {
    "spark.sql.files.maxPartitionBytes": str(len(_LINE)),
    "spark.sql.files.openCostInBytes": "0",
}


def check_shared(session: Session, directory: str) -> None:
    """Check that executors see the files that the driver writes into a directory.

    Spark's commit moves only the files that the driver sees. Files on an executor's own disk would
    be lost without an error.

    Args:
        session: The session, with its file systems.
        directory: A canonical location. It is checked only if it is on a disk.

    Raises:
        SettingsError: Some executors don't see the directory.

    *Cost:* a small job on the executors that exist now; no job on a single machine, or if the
    directory is in an object store.
    """
    master = get_setting(session.spark, "spark.master") or "local"
    if get_scheme(directory) != "file" or master.startswith("local"):
        return
    wanted = _LINES_PER_CORE * cores(session.spark)
    location = f"{directory}/shared"
    session.storage.write_text(location, _LINE * wanted)
    with session_settings(session.spark, _A_TASK_FOR_EACH_LINE):
        # A missing file counts as no lines: an error would make Spark retry on other executors.
        found = session.spark.read.option("ignoreMissingFiles", "true").text(location).count()
    if found != wanted:
        raise SettingsError(
            f"{directory!r} is on a disk that executors don't share with the driver: their files "
            "there would be lost. Use a location that all of them share: a shared file system, "
            "or an object store (--output, --work-location)."
        )
