"""Spark without Iceberg's jar, in a process of its own: the run says what is missing."""

import pytest

from tests.support.paths import BIN, ROOT
from tests.support.processes.job_process import SCRIPT, job_process
from tests.support.processes.runs import QUICK
from tests.support.spark.home import QUICK as HOME

pytestmark = pytest.mark.classic("it starts a process of its own")


@pytest.fixture
def home(tmp_path):
    """A home of Spark, without Iceberg's jar."""
    home = tmp_path / "spark"
    (home / "jars").mkdir(parents=True)
    for part in HOME.iterdir():
        if part.name != "jars":
            (home / part.name).symlink_to(part)
    for jar in (HOME / "jars").iterdir():
        if not jar.name.startswith("iceberg-"):
            (home / "jars" / jar.name).symlink_to(jar)
    return home


def test_a_missing_jar_is_told_with_its_coordinates(spark, home, listed, tmp_path):
    conf = ROOT / "conf/spark/iceberg.conf"
    submit = [BIN / "spark-submit", "--master", "local[2]", "--properties-file", conf, *QUICK]
    names = ("lake.db.images", "lake.db.images.branch_review", "cat.db.images")
    runs = [
        ["--images", name, "--duplicate-ids", str(listed), "--method", "in-place"] for name in names
    ]
    runs.append(["--images", str(tmp_path / "list"), *runs[0][2:4], "--output", "lake.db.unique"])
    with job_process([*submit, SCRIPT], tmp_path, SPARK_HOME=str(home)) as jobs:
        codes, reports = jobs.run(*runs)
        log = jobs.log.read_text()
    messages = [report["error"]["message"] for report in reports]
    assert codes == [2, 2, 3, 2], messages
    minor = ".".join(spark.version.split(".")[:2])
    package = f"--packages org.apache.iceberg:iceberg-spark-runtime-{minor}_2.13:1.11.0"
    for message in (*messages[:2], messages[3]):
        assert "Iceberg's runtime is missing" in message
        assert package in message
    assert "no catalog 'cat', but lake, spark_catalog" in messages[2]
    assert "Traceback" not in log
