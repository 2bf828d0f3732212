#!/usr/bin/env bash
# pyspark 4.0.4 on Python 3.11: before each task a Python worker reads the file lists of pyspark.zip and of Spark's jar a dozen times
#
# Expected: a reused worker (`spark.python.worker.reuse`, on by default) starts its next task in milliseconds.
# Happens:  before each task the worker calls `importlib.invalidate_caches()`. Python has one importer for each
#           package that was imported from an archive (`pyspark.zip`, `pyspark.zip/pyspark`,
#           `pyspark.zip/pyspark/sql` …), and each importer then reads the list of the whole archive, of a
#           thousand files and more. So a task that does nothing takes 0.1 to 0.25 s of CPU. If the importers
#           are dropped from `sys.path_importer_cache` at the end of a task, the next one is spared that, and
#           imports still work.
# Hurts:    jobs of many short Python tasks: with 200 shuffle partitions a UDF costs 20 to 50 s of CPU for nothing.
# Versions: pyspark 4.0.4, Python 3.11, Java 17
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4 setuptools
cd "$work"
export PYSPARK_PYTHON="$work/venv/bin/python"
venv/bin/python - 2>"$work/log" <<'PY' || { tail -5 "$work/log"; exit 1; }
import sys

import pyspark
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

print("pyspark", pyspark.__version__, "Python", sys.version.split()[0])
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()


@F.udf("array<double>")
def task(drops):
    """Do what the worker does before its next task: count the lists that are read, and the seconds."""
    import importlib
    import sys
    import time
    import zipimport

    if drops:
        for path, importer in list(sys.path_importer_cache.items()):
            if isinstance(importer, zipimport.zipimporter):
                del sys.path_importer_cache[path]
    read, lists = zipimport._read_directory, []
    zipimport._read_directory = lambda archive: (lists.append(archive), read(archive))[1]
    start = time.process_time()
    try:
        importlib.invalidate_caches()
    finally:
        zipimport._read_directory = read
    seconds = time.process_time() - start
    import pyspark.sql.observation  # noqa: F401  # imports still work

    return [float(len(lists)), seconds]


def tasks(drops):
    return [row[0] for row in spark.range(0, 3, 1, 3).select(task(F.lit(drops))).collect()]


for number, (lists, seconds) in enumerate(tasks(drops=False)):
    print(f"task {number}: {lists:.0f} lists read, {seconds:.3f} s")
    assert lists >= 8
for number, (lists, seconds) in enumerate(tasks(drops=True)):
    print(f"task {number}, importers dropped: {lists:.0f} lists read, {seconds:.3f} s")
    assert lists == 0
PY
echo "as described: a dozen lists of archives are read before each task"
