"""Runs of the job on a cluster of this machine, whose executors are killed at named places.

Usage: cluster_runs.py RUNS, a JSON list of {"settings", "kills": {PLACE: WHERE}, "adaptive",
"broadcast_limit_bytes"}; prints a line of JSON for each run: its report, a digest of the rows that
came out, and the places where an executor was killed. Inputs are ./images, or for shards ./shards,
and ./list.parquet.

A task that gets to a place kills the executor that it runs on, with SIGKILL, once. Places are, at
the row whose ID is WHERE: `join` (of image IDs and lists), `rewrite` (by engine spark), `delete`
(of Delta, in place); at the file whose name is WHERE: `scan` (its IDs have been copied), `write`
and `named` (engine arrow has written it, and has given it its name).
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, pipeline, run
from dedup_lib.executor import copied_ids, new_file
from dedup_lib.executor.shards import read_tasks
from dedup_lib.methods import spark_engine
from dedup_lib.plan import id_join
from dedup_lib.session.conf import session_settings
from dedup_lib.session.start import start_session
from tests.support.clusters.executor_kills import kill_executor, meeting
from tests.support.tables.made import row_digests
from tests.support.tables.made_shards import member_digests

copy_ids, copy_from_shards = copied_ids.copy_ids, read_tasks.copy_ids
make_plan, apply = pipeline.make_plan, spark_engine.apply
sql, give_name = SparkSession.sql, new_file._give_name
kills = {}  # of the run that is going on; and the folder that has a file for each that happened


def met(place):
    return meeting(place, kills[place], kills["folder"])


def killing(rows, place):
    """Let the task that meets the row of a place kill its executor; all rows stay."""
    if place not in kills:
        return rows
    return rows.where(F.udf(met(place), "boolean").asNondeterministic()("image_id"))


def copying(sources, *args):
    is_shards = isinstance(sources, read_tasks.ShardSources)
    found = (copy_from_shards if is_shards else copy_ids)(sources, *args)
    if kills.get("scan") in {file.path for file in sources.files}:
        kill_executor("scan", kills["folder"])
    return found


def planning(settings, inputs, step, materialise):
    return make_plan(settings, inputs, step, lambda rows: materialise(killing(rows, "join")))


def rewriting(*args):
    return killing(apply(*args), "rewrite")


def asking(session, query, *args, **options):
    if "delete" in kills and query.startswith("DELETE") and "EXISTS" in query:
        session.udf.register("is_met", met("delete"), "boolean")
        query = query.replace("WHERE EXISTS", "WHERE is_met(images.image_id) AND EXISTS", 1)
    return sql(session, query, *args, **options)


def naming(partial, target):
    name = target.rpartition("/")[2]
    if kills.get("write") == name:
        kill_executor("write", kills["folder"])
    size = give_name(partial, target)
    if kills.get("named") == name:
        kill_executor("named", kills["folder"])
    return size


def images_of(settings):
    """The images; for a deletion in place as a Delta table, which is made of them."""
    if settings.get("output_format") == "webdataset":
        return "./shards"
    if settings.get("method") != "in-place":
        return "./images"
    writer = spark.read.parquet("images").write.format("delta")
    writer.option("delta.enableDeletionVectors", "true").save("delta")
    return "./delta"


def digests_in(output):
    if output["format"] == "webdataset":
        return member_digests(Path(output["location"].removeprefix("file:")))
    return row_digests(spark.read.format(output["format"]).load(output["location"]))


copied_ids.copy_ids = read_tasks.copy_ids = copying
pipeline.make_plan, spark_engine.apply = planning, rewriting
SparkSession.sql, new_file._give_name = asking, naming
spark = start_session()
spark.sparkContext.setLogLevel("ERROR")
for wanted in json.loads(sys.argv[1]):
    folder = Path(tempfile.mkdtemp(prefix="killed-", dir=Path.cwd()))
    settings = Settings(
        images=images_of(wanted["settings"]),
        duplicate_ids=(DuplicateIds("./list.parquet"),),
        **wanted["settings"],
    )
    kills.clear()
    kills.update(wanted["kills"], folder=str(folder))
    id_join.BROADCAST_LIMIT_BYTES = wanted["broadcast_limit_bytes"]
    with session_settings(spark, {"spark.sql.adaptive.enabled": wanted["adaptive"]}):
        report = run(spark, settings)
    kills.clear()
    digest = hashlib.sha256("".join(digests_in(report.output)).encode()).hexdigest()
    killed = sorted(path.name for path in folder.iterdir())
    outcome = {"report": json.loads(report.to_json()), "rows": digest, "killed": killed}
    print(json.dumps(outcome), flush=True)
