#!/usr/bin/env bash
# pyspark 4.0.4: an operation on a column sends Java eleven requests, of which one is the operation
#
# Expected: `column + 1` is one request to Java; where it was written matters only if the query fails.
# Happens:  by default (`spark.python.sql.dataFrameDebugging.enabled`) each operation first looks at Python's stack,
#           sends the line that it comes from, and clears it afterwards: ten more requests for `column + 1`, and ten
#           more for `functions.col`. Nothing has failed, and nobody has asked for it. The setting is static, so a
#           session that exists can't switch it off.
# Hurts:    programs that build many expressions. A job of ten small queries took 7 % longer, as a whole process.
# Versions: pyspark 4.0.4, Python 3.11, Java 17
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4 setuptools
cd "$work"
export PYSPARK_PYTHON="$work/venv/bin/python"
cat > count.py <<'PY'
import sys

import pyspark
from py4j.clientserver import JavaClient
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

setting = sys.argv[1]
sent, send = [0], JavaClient.send_command


def counted(client, command, *others, **named):
    if not command.startswith("m\nd\n"):  # Python's collector frees objects of Java when it likes
        sent[0] += 1
    return send(client, command, *others, **named)


JavaClient.send_command = counted
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder.config("spark.python.sql.dataFrameDebugging.enabled", setting).getOrCreate()
column = F.col("id")
column + 1  # what is asked only once


def requests(operation):
    before = sent[0]
    for _ in range(100):
        operation()
    return (sent[0] - before) / 100


found = requests(lambda: column + 1), requests(lambda: F.col("id"))
print(f"pyspark {pyspark.__version__}, {setting}: requests of column + 1: {found[0]:g}, of functions.col: {found[1]:g}")
wanted = {"true": (11, 13), "false": (1, 3)}[setting]
assert all(abs(one - other) < 0.6 for one, other in zip(found, wanted)), found
PY
for setting in true false; do
  venv/bin/python count.py "$setting" 2>"$setting.log" || { tail -5 "$setting.log"; exit 1; }
done
echo "as described: ten more requests for each operation on a column"
