"""The job on a real cluster: Spark's standalone master and two workers, by spark-submit."""

import hashlib
import json

import pytest

from tests.support.clusters.standalone import ship, standalone_cluster
from tests.support.paths import ROOT
from tests.support.processes.runs import report_of, run
from tests.support.tables.made import (
    image_rows,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)

FLAGS = ("--images", "./images", "--duplicate-ids", "./list.parquet")
COUNTS = {"input_rows": 100, "kept_rows": 67, "removed_rows": 33, "null_id_rows": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standalone")
    for number in range(4):
        ids = [f"id-{n}" for n in range(number * 25, number * 25 + 25)]
        write_parquet(image_rows(ids), folder / f"images/{number}.parquet", row_group_size=10)
    write_list(folder / "list.parquet", [f"id-{n}" for n in range(1, 100, 3)])
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    (folder / "cluster").mkdir()
    with standalone_cluster(folder / "cluster", num_workers=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shipped(folder):
    return ship(folder / "shipped")


def parquet_digests(output):
    return {name: it for name, it in tree_digest(output).items() if name.endswith(".parquet")}


def all_rows(spark, output):
    digests = row_digests(spark.read.parquet(str(output)))
    return len(digests), hashlib.sha256("".join(digests).encode()).hexdigest()


@pytest.fixture
def locally(spark, remove, folder, tmp_path):
    """What a run by one engine on local[2] gives."""

    def locally(engine):
        remove(folder / "images", folder / "list.parquet", tmp_path / "out", engine=engine)
        return tmp_path / "out"

    return locally


def check_run(result, folder, engine):
    assert result.returncode == 0, result.stderr[-5000:]
    report = report_of(result)
    assert report == json.loads((folder / "report.json").read_text())
    assert (report["status"], report["engine"]) == ("succeeded", engine)
    assert report["counts"].items() >= COUNTS.items()


def test_executors_have_the_library_from_nowhere_else(shipped, folder):
    for module, code in (("pyarrow", 0), ("dedup_lib", 1)):
        found = run([shipped.python, "-c", f"import {module}"], cwd=folder, PYTHONPATH="")
        assert found.returncode == code, found.stderr


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_a_cluster_gives_the_rows_of_local_spark(spark, cluster, shipped, folder, locally, engine):
    flags = (*FLAGS, "--output", f"./{engine}", "--engine", engine, "--report", "report.json")
    result = shipped.submit(cluster.url, *flags, cwd=folder)
    check_run(result, folder, engine)
    assert str(shipped.library) in result.stderr  # Spark's log tells the place of each call
    local = locally(engine)
    assert all_rows(spark, folder / engine) == all_rows(spark, local)
    if engine == "arrow":
        assert parquet_digests(folder / engine) == parquet_digests(local)


def test_g9_a_worker_that_is_killed_in_the_rewrite_changes_no_row(
    spark, cluster, shipped, folder, tmp_path, locally
):
    flags = (*FLAGS, "--output", "./after-kill", "--report", "report.json")
    script = ROOT / "tests/support/clusters/worker_killing_job.py"
    result = shipped.submit(cluster.url, str(tmp_path), *flags, cwd=folder, script=script)
    assert (tmp_path / "rewrite").exists()
    cluster.wait_for_workers(1)
    check_run(result, folder, "arrow")
    assert all_rows(spark, folder / "after-kill") == all_rows(spark, locally("arrow"))


def test_a_disk_that_some_executors_don_t_share_is_named(cluster, folder, shipped, tmp_path):
    """Two workers; for one of them a directory of this machine is another one, and empty."""
    (folder / "made").mkdir()
    mount = f"mount -t tmpfs none '{folder}/made' && exec \"$@\""
    wrapper = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if run([*wrapper, "true"], cwd=tmp_path).returncode != 0:
        pytest.skip("no right to mount: run as root")
    alive = cluster.status()["aliveworkers"]
    cluster.start_worker(wrapper=wrapper)
    cluster.wait_for_workers(alive + 1)
    result = shipped.submit(cluster.url, *FLAGS, "--output", "./made/out", cwd=folder)
    assert result.returncode == 2, result.stderr[-5000:]
    assert "don't share with the driver" in report_of(result)["error"]["message"]
    assert names_in(folder / "made") == []
