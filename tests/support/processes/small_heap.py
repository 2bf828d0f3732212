"""Several runs of the job, one after the other, in a process of its own whose heap is given.

Usage: small_heap.py SETTINGS, a JSON list of keyword arguments of Settings; prints each run's
report as one line.
"""

import json
import sys

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.session.start import start_session

spark = start_session()
spark.sparkContext.setLogLevel("ERROR")
for values in json.loads(sys.argv[1]):
    lists = (DuplicateIds(values.pop("duplicate_ids")),)
    print(run(spark, Settings(**values, duplicate_ids=lists)).to_json(), flush=True)
