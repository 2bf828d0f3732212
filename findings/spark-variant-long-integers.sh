#!/usr/bin/env bash
# Spark 4.0.4: as VARIANT, JSON numbers of 39 and more digits that differ become one, and 1e400 becomes a text
#
# Expected: parse_json keeps an integer, or refuses it as try_parse_json does what is not JSON; what to_json writes has
#           the types of what was read.
# Happens:  an integer of up to 38 digits is kept as a decimal. One digit more, and it is a DOUBLE without a word:
#           128-bit and 160-bit digests written as numbers collapse onto their neighbours, also with
#           variant_get(…, 'string'), so a GROUP BY or a join takes different keys for one. 1e400 is infinity inside, and
#           to_json writes it as the text "Infinity". 7.0 is DECIMAL(1,0) and is written as 7.
# Hurts:    lists and clusters in JSON Lines whose keys are digests as numbers (int(md5, 16) has up to 39 digits,
#           sha1 up to 49): the same query is right for most md5 digests, and wrong for those above 1e38.
# Versions: pyspark 4.0.4; needs Java 17 or newer
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4
cd "$work"
venv/bin/python - <<'PY' 2>spark.log || { tail -20 spark.log; exit 1; }
import hashlib
import json

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
print("pyspark", spark.version)


def kept(texts):
    """What the numbers are in a variant: their types, and how many different ones are left."""
    value = F.parse_json("text")
    rows = spark.createDataFrame([(text,) for text in texts], "text string").select(
        F.schema_of_variant(value).alias("type"), F.variant_get(value, "$", "string").alias("number"),
        F.to_json(value).alias("json"))
    found = rows.collect()
    return sorted({row["type"] for row in found}), len({row["number"] for row in found}), found[0]["json"]


md5 = int(hashlib.md5(b"a picture").hexdigest(), 16)
low, high = 10**37 + md5 % 10**37, 10**38 + md5 % 10**37
for name, first in (("38 digits", low), ("39 digits", high), ("sha1", int(hashlib.sha1(b"a picture").hexdigest(), 16))):
    types, different, _ = kept([str(first + step) for step in range(1000)])
    print(f"1000 different numbers, {name}: {types}, {different} different")
    assert (types == ["DECIMAL(38,0)"] and different == 1000) if first is low else (types == ["DOUBLE"] and different < 3)
for text, of, back in (("1e400", "DOUBLE", "Infinity"), ("7.0", "DECIMAL(1,0)", 7)):
    types, _, written = kept([text])
    print(f"{text}: {types}, to_json writes {written}")
    assert types == [of] and json.loads(written) == back and type(json.loads(written)) is type(back)
PY
echo "as described: the 39th digit makes different keys equal"
