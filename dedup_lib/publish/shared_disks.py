"""Check that executors share the disk of the driver that a run writes to."""

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
    """Check that executors see what the driver writes into a directory.

    Spark's commit moves only the files that the driver sees. Files that an executor writes on its
    own disk would be lost without an error.

    Args:
        session: The session, with its file systems.
        directory: A canonical location. It is checked only if it is on a disk.

    Raises:
        SettingsError: Some executors don't see it.

    *Cost:* a small job, on the executors that exist by now; no job on a single machine, or if the
    directory is in a store.
    """
    master = get_setting(session.spark, "spark.master") or "local"
    if get_scheme(directory) != "file" or master.startswith("local"):
        return
    wanted = _LINES_PER_CORE * cores(session.spark)
    place = f"{directory}/shared"
    session.storage.write_text(place, _LINE * wanted)
    with session_settings(session.spark, _A_TASK_FOR_EACH_LINE):
        # A missing file counts as no lines: an error would make Spark retry on other executors.
        found = session.spark.read.option("ignoreMissingFiles", "true").text(place).count()
    if found != wanted:
        raise SettingsError(
            f"{directory!r} is on a disk that executors don't share with the driver: what they "
            "write there would be lost. Give a place that all of them have: a shared file system, "
            "or a store (--output, --work-location)."
        )
