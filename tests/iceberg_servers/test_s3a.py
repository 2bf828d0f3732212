"""Iceberg tables on S3 by Hadoop's S3A, in a catalog that is a database."""

import json

from tests.support.jars.s3_jars import s3_jars
from tests.support.jars.sqlite_jar import sqlite_jar
from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import QUICK, conf_flags, run
from tests.support.servers.s3_server import BUCKET, running_server

S3 = f"s3a://{BUCKET}"
KEPT = sorted({f"i{number}" for number in range(40)} - {"i3", "i17"})


def test_tables_on_s3a_in_place_and_rewritten(tmp_path):
    listed = ["--images", "lake.db.images", "--duplicate-ids", f"{S3}/list"]
    in_place = [*listed, "--method", "in-place", "--run-key", "one"]
    jobs = [
        ([*listed, "--output", "lake.db.unique"], "lake.db.unique"),
        ([*listed, "--output", f"{S3}/parquet"], f"{S3}/parquet"),
        ([*in_place, "--purge"], "lake.db.images"),
        ([*in_place, "--purge"], "lake.db.images"),
    ]
    jars = s3_jars()  # or skip
    with running_server(tmp_path) as server:
        settings = {
            **server.spark_settings(),
            "spark.driver.extraClassPath": str(sqlite_jar()),
            "spark.sql.catalog.lake.type": "jdbc",
            "spark.sql.catalog.lake.uri": f"jdbc:sqlite:{tmp_path}/catalog.db",
            "spark.sql.catalog.lake.warehouse": f"{S3}/warehouse",
        }
        conf = ROOT / "conf/spark/iceberg.conf"
        submit = [BIN / "spark-submit", "--master", "local[2]", "--properties-file", conf, *QUICK]
        submit += ["--jars", ",".join(map(str, jars)), *conf_flags(settings)]
        script = ROOT / "tests/iceberg_servers/job_on_s3a.py"
        command = [*submit, script, f"{S3}/list", json.dumps(jobs)]
        result = run(command, cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert result.returncode == 0, result.stderr[-5000:]
        found = [json.loads(line) for line in result.stdout.splitlines()]
        for code, ids, report in found:
            assert (code, report["error"], ids) == (0, None, KEPT)
        assert found[2][2]["purge"]["foreign_files"] == 0
        assert found[3][2]["repeated"]
        assert [name for name in server.objects() if ".dedup-" in name] == [
            ".parquet.dedup-manifest.json"
        ]
        assert server.unfinished_uploads() == []
