#!/usr/bin/env bash
# deltalake 1.6.6: to_pandas() and to_pyarrow_table() give a column-mapped table as nothing but NULLs
#
# Expected: a table with column mapping (after a rename or dropped column in Spark, or as a catalogue's default)
#           is read by its logical names, or refused, as tables with deletion vectors are.
# Happens:  DeltaTable.to_pandas(), .to_pyarrow_table() and .to_pyarrow_dataset() look for the logical names in the files,
#           where the physical ones stand, and fill each column with NULL. The number of rows and the schema are
#           right, there is no error; a filter on the ID finds nothing. QueryBuilder and delete() of the same
#           DeltaTable object read the values, so two halves of one program disagree.
# Hurts:    the images' IDs come back all NULL: joined with a removal list nothing matches and the job reports "no
#           duplicates"; drop_duplicates("image_id") keeps one row of the whole table.
# Versions: deltalake 1.6.6, pyarrow 26.0.1, pandas 3.1.1 (the log is written by hand, as Delta's protocol has it,
#           so that no Java is needed)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  deltalake==1.6.6 pyarrow==26.0.1 pandas==3.1.1
cd "$work"
venv/bin/python - <<'PY'
import json
import os

import deltalake
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder

print("deltalake", deltalake.__version__, "pyarrow", pa.__version__, "pandas", pd.__version__)
os.makedirs("t/_delta_log")
pq.write_table(pa.table({"col-1": ["a", "b", "c"], "col-2": ["x", "y", "z"]}), "t/part-0.parquet")
fields = [
    {"name": name, "type": "string", "nullable": True,
     "metadata": {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}}
    for number, name in ((1, "image_id"), (2, "caption"))
]
actions = [
    {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
    {"metaData": {"id": "5c7d1ba0-0000-4000-8000-000000000002", "format": {"provider": "parquet", "options": {}},
                  "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": [],
                  "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"},
                  "createdTime": 1700000000000}},
    {"add": {"path": "part-0.parquet", "partitionValues": {}, "size": os.path.getsize("t/part-0.parquet"),
             "modificationTime": 1700000000000, "dataChange": True}},
]
with open(f"t/_delta_log/{0:020d}.json", "w") as log:
    log.writelines(json.dumps(action) + "\n" for action in actions)

table = DeltaTable("t")
frame = table.to_pandas()
arrow = table.to_pyarrow_table().to_pydict()
filtered = table.to_pyarrow_table(filters=[("image_id", "=", "a")]).num_rows
query = QueryBuilder().register("t", table).execute("SELECT image_id FROM t ORDER BY image_id")
queried = pa.table(query.read_all())["image_id"].to_pylist()
print("to_pyarrow_table:", arrow)
print("rows with image_id = 'a':", filtered)
print("to_pandas, drop_duplicates('image_id'):", len(frame.drop_duplicates("image_id")), "row of", len(frame))
print("QueryBuilder:", queried)
assert arrow == {"image_id": [None] * 3, "caption": [None] * 3} and filtered == 0
assert len(frame) == 3 and len(frame.drop_duplicates("image_id")) == 1
assert queried == ["a", "b", "c"]
deleted = table.delete("image_id = 'a'")["num_deleted_rows"]
print("delete(\"image_id = 'a'\"):", deleted, "row")
assert deleted == 1
PY
echo "as described: one half of the library reads the IDs, the other gives NULL for each"
