#!/usr/bin/env bash
# deltalake 1.6.6: vacuum(full=True) deletes deletion vectors that the table's newest version uses
#
# Expected: a vacuum deletes files that no version within the retention refers to. The newest version refers to
#           its deletion vectors, so they stay, as they do for Spark's VACUUM.
# Happens:  full=True lists every file of the directory that the log's data files don't name. The files of
#           deletion vectors (deletion_vector_….bin) are among them, and go once they are older than the retention, a week
#           by default. Without full=True they stay. A reader then fails ("File not found"), or, where it
#           takes files from file_uris(), has the removed rows back.
# Hurts:    a week after rows were removed with deletion vectors, a nightly vacuum makes the table unreadable for
#           all; the rows that were removed can't be told from the others any more.
# Versions: deltalake 1.6.6, pyarrow 26.0.1 (the log is written here by hand, as Delta's protocol has it, so that
#           no Java is needed)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'PY'
import json
import os
import struct
import time
import uuid
import zlib

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder

print("deltalake", deltalake.__version__)
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def in_z85(data):
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(Z85[word // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def vector_in_a_file(root, rows):
    """Write a deletion vector to a file of its own; return what the log says of it."""
    bitmap = struct.pack("<II", 12346, 1) + struct.pack("<HH", 0, len(rows) - 1) + struct.pack("<I", 16)
    bitmap += b"".join(struct.pack("<H", row) for row in rows)
    blob = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    name = uuid.uuid4()
    with open(f"{root}/deletion_vector_{name}.bin", "wb") as file:
        file.write(b"\x01" + struct.pack(">I", len(blob)) + blob + struct.pack(">I", zlib.crc32(blob)))
    return {"storageType": "u", "pathOrInlineDv": in_z85(name.bytes), "offset": 1, "sizeInBytes": len(blob),
            "cardinality": len(rows)}


def make(root):
    """Four images in one file; the log hides rows 1 and 2."""
    os.makedirs(f"{root}/_delta_log")
    pq.write_table(pa.table({"image_id": ["a", "b", "c", "d"]}), f"{root}/part-0.parquet")
    field = {"name": "image_id", "type": "string", "nullable": True, "metadata": {}}
    actions = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
                      "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}},
        {"metaData": {"id": "5c7d1ba0-0000-4000-8000-000000000003", "partitionColumns": [], "createdTime": 1700000000000,
                      "schemaString": json.dumps({"type": "struct", "fields": [field]}),
                      "format": {"provider": "parquet", "options": {}},
                      "configuration": {"delta.enableDeletionVectors": "true"}}},
        {"add": {"path": "part-0.parquet", "partitionValues": {}, "size": os.path.getsize(f"{root}/part-0.parquet"),
                 "modificationTime": 1700000000000, "dataChange": True,
                 "deletionVector": vector_in_a_file(root, [1, 2]),
                 "stats": json.dumps({"numRecords": 4, "tightBounds": False})}},
    ]
    with open(f"{root}/_delta_log/{0:020d}.json", "w") as log:
        log.writelines(json.dumps(action) + "\n" for action in actions)
    for name in os.listdir(root):  # as they are after the retention of a week
        os.utime(f"{root}/{name}", (time.time() - 8 * 86_400,) * 2)


def ids():
    query = QueryBuilder().register("t", DeltaTable("t")).execute("SELECT image_id FROM t ORDER BY image_id")
    return pa.table(query.read_all())["image_id"].to_pylist()


make("t")
before = ids()
print("before:", before)
lightly = DeltaTable("t").vacuum(dry_run=False)
print("vacuum():", lightly)
deleted = DeltaTable("t").vacuum(full=True, dry_run=False)
print("vacuum(full=True):", deleted)
try:
    after = ids()
except Exception as error:
    after = f"{type(error).__name__}: {error}"
print("after:", after)
assert before == ["a", "d"] and lightly == []
assert len(deleted) == 1 and deleted[0].startswith("deletion_vector_")
assert "File not found" in after
PY
echo "as described: the deletion vector that the newest version uses is gone, and with it the table"
