#!/usr/bin/env bash
# Hadoop 3.4.1 (in pyspark 4.0.4): what viewfs lists prints other facts than it has
#
# Expected: the text of a listed file says what its getters say.
# Happens:  the getters pass on to the file behind the mount, but `toString` prints fields of the wrapper that nobody
#           set: no path, 0 bytes, and the time 0. Statuses of the local file system, HDFS and S3A print what they are.
# Hurts:    logs of tables behind a mount table show empty files from 1970; and whoever reads many statuses by their
#           text, because each getter is a request from Python to Java, has to know the class.
# Versions: pyspark 4.0.4 with Hadoop 3.4.1, Java 17
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4 setuptools
cd "$work"
export PYSPARK_PYTHON="$work/venv/bin/python"
mkdir table
printf 12345 > table/part.parquet
cat > list.py <<'PY'
import os
import re

import pyspark
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.hadoop.fs.viewfs.mounttable.here.link./at", f"file:{os.getcwd()}/table")
spark = builder.getOrCreate()
jvm, conf = spark._jvm, spark._jsparkSession.sessionState().newHadoopConf()


def listed(location):
    path = jvm.org.apache.hadoop.fs.Path(location)
    return path.getFileSystem(conf).listFiles(path, False).next()


found = {}
for location in (f"file:{os.getcwd()}/table", "viewfs://here/at"):
    status = listed(location)
    text = status.toString()
    printed = re.search(r"length=(\d+).*modification_time=(\d+)", text)
    found[location[:4]] = (status.getLen(), int(printed[1]), status.getModificationTime() > 0, int(printed[2]) > 0)
    print(f"{status.getClass().getSimpleName()}: length {status.getLen()}, printed: {text[:75]}…")
print("Hadoop", jvm.org.apache.hadoop.util.VersionInfo.getVersion(), "pyspark", pyspark.__version__)
print("getLen, printed length, has a time, prints a time:", found)
assert found["file"] == (5, 5, True, True), found
assert found["view"] == (5, 0, True, False), found
PY
venv/bin/python list.py 2>list.log || { tail -5 list.log; exit 1; }
echo "as described: viewfs prints that a file of 5 bytes has none"
