"""Whether executors have the disk of the driver's that a run is to write to."""

from __future__ import annotations

from dedup_lib.errors import SettingsError
from dedup_lib.locations import get_scheme
from dedup_lib.session.conf import session_settings
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import cores, get_setting

_LINE = "shared\n"
# Several for each core: so that every executor has some.
_LINES_PER_CORE = 4
_A_TASK_FOR_EACH_LINE = {
    "spark.sql.files.maxPartitionBytes": str(len(_LINE)),
    "spark.sql.files.openCostInBytes": "0",
}


def check_shared(session: Session, directory: str) -> None:
    """Check that executors see what the driver writes into a directory.

    What an executor writes on a disk of its own is lost without a word: Spark's commit moves the
    files that the driver sees.

    Args:
        session: The session, with its file systems.
        directory: A canonical location; checked where it is on the driver's own disk.

    Raises:
        SettingsError: Not all of them do.

    *Cost:* a small job, on the executors that there are by now; none on a single machine, or where
    the directory is in a store.
    """
    master = get_setting(session.spark, "spark.master") or "local"
    if get_scheme(directory) != "file" or master.startswith("local"):
        return
    wanted = _LINES_PER_CORE * cores(session.spark)
    place = f"{directory}/shared"
    session.storage.write_text(place, _LINE * wanted)
    with session_settings(session.spark, _A_TASK_FOR_EACH_LINE):
        # A file that is missing has no lines: as an error, it would be tried on other executors.
        found = session.spark.read.option("ignoreMissingFiles", "true").text(place).count()
    if found != wanted:
        raise SettingsError(
            f"{directory!r} is on a disk that executors don't share with the driver: what they "
            "write there would be lost. Give a place that all of them have: a shared file system, "
            "or a store (--output, --work-location)."
        )
