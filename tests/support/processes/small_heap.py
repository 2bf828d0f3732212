"""Several runs of the job, one after the other, in a process of its own whose heap is given.

Usage: small_heap.py STEPS, a JSON list: keyword arguments of Settings, or a statement of SQL as a
text. Prints the report of each run as one line.
"""

import json
import sys

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.session.start import start_session

spark = start_session()
spark.sparkContext.setLogLevel("ERROR")
for step in json.loads(sys.argv[1]):
    if isinstance(step, str):
        spark.sql(step).collect()
        continue
    lists = (DuplicateIds(step.pop("duplicate_ids")),)
    print(run(spark, Settings(**step, duplicate_ids=lists)).to_json(), flush=True)
