"""The places of a run at which it can be stopped, and what tells that a run is there.

A place is the end of a phase (`plan`, `check`, `apply`, `verify`, `publish`); `committed` (Delta's
commit is made), `deleted` (a commit deleted rows, of Iceberg on a branch), `published` (Iceberg's
main is the branch, which is not dropped yet) or `renamed` (between the two renames that
replace a directory).
"""

from collections.abc import Callable
from contextlib import contextmanager

from dedup_lib.delta import delete
from dedup_lib.delta.format import DeltaFormat
from dedup_lib.iceberg import branch
from dedup_lib.iceberg import delete as iceberg_delete
from dedup_lib.parquet.format import ParquetFormat
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.session.progress import Progress


def tell_places(reached: Callable[[str], None], begun: Callable[[str], None]) -> None:
    """From here on call `reached` with each place, and `begun` with each phase that begins.

    Both are called in the thread of the run.
    """
    timed, rename = Progress.phase, HadoopStorage.rename

    @contextmanager
    def phase(self, name):
        begun(name)
        with timed(self, name):
            yield
        reached(name)

    def renaming(self, source, target):
        rename(self, source, target)
        if ".dedup-old-" in target:
            reached("renamed")

    Progress.phase, HadoopStorage.rename = phase, renaming
    ParquetFormat.stage = _then(ParquetFormat.stage, reached, "committed")
    DeltaFormat.stage = _then(DeltaFormat.stage, reached, "committed")
    for module in (delete, iceberg_delete):
        module.delete_ids = _then(module.delete_ids, reached, "deleted")
    branch.publish = _then(branch.publish, reached, "published")


def _then(act, reached, place):
    def acting(*args, **options):
        done = act(*args, **options)
        reached(place)
        return done

    return acting
