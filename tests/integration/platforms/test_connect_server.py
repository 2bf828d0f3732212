"""The job as a client of Spark Connect's server, which is another process."""

import json
import sys

import pyarrow as pa
import pytest

from tests.support.clusters.standalone import python_without_library
from tests.support.processes.job_process import SCRIPT, job_process
from tests.support.processes.runs import FLAGS, KEPT, console, ids, report_of, small_inputs
from tests.support.servers.connect_server import connect_server
from tests.support.tables.made import delta_table, names_in, row_digests, write_list, write_parquet

pytestmark = pytest.mark.classic("it starts a server of its own")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_inputs(tmp_path_factory.mktemp("connect"))


@pytest.fixture(scope="module")
def url(folder):
    """A server whose Python lacks this library."""
    python = python_without_library(folder / "python")
    with connect_server(folder, PYSPARK_PYTHON=str(python)) as url:
        yield url


@pytest.fixture(scope="module")
def remote(folder, url):
    """Runs the job in the folder of the server: exit code and report; one client for all."""
    with job_process([sys.executable, SCRIPT], folder, SPARK_REMOTE=url) as jobs:

        def remote(*flags):
            (code,), (report,) = jobs.run(flags)
            return code, report

        yield remote


def flags(output, *more):
    return (*FLAGS[:-1], output, *more)


def test_g14_rows_are_those_of_a_classic_run_to_the_byte(
    spark, remove, url, remote, folder, tmp_path
):
    remove(folder / "in/images", folder / "in/list", tmp_path / "classic")
    expected = row_digests(spark.read.parquet(str(tmp_path / "classic")))
    more = ["--report", "console.json"]
    result = console(*flags("./console", *more), cwd=folder, SPARK_REMOTE=url)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (folder / "console.json").read_text() == result.stdout
    reports = {"console": report_of(result)}
    for name, *more in (
        ["spark", "--engine", "spark", "--removed-output", "./removed"],
        ["delta", "--output-format", "delta"],
    ):
        code, reports[name] = remote(*flags(f"./{name}", *more, "--report", f"{name}.json"))
        assert code == 0, reports[name]["error"]
        assert json.loads((folder / f"{name}.json").read_text()) == reports[name]
    for name, report in reports.items():
        assert report["counts"]["removed_rows"] == 2
        assert report["engine"] == ("arrow" if name == "console" else "spark")
        kind = "delta" if name == "delta" else "parquet"
        found = spark.read.format(kind).load(str(folder / name))
        assert row_digests(found) == expected
    assert ids(spark, folder / "removed") == ["b", "d"]
    assert not [name for name in names_in(folder) if ".dedup-" in name]


def test_what_connect_cannot_do_is_exit_2_and_leaves_all_as_it_was(spark, remote, folder):
    assert remote(*flags("./there"))[0] == 0
    code, report = remote(*flags("./there", "--output-mode", "overwrite"))
    assert code == 2
    assert "can't be replaced over Spark Connect" in report["error"]["message"]
    assert ids(spark, folder / "there") == KEPT


def test_a_delta_table_is_cloned_and_a_run_key_known(spark, remote, folder):
    again = flags("./table", "--output-format", "delta", "--run-key", "k")
    assert remote(*again)[0] == 0
    assert remote(*again)[1]["repeated"]
    assert remote(*flags("./clone", "--method", "clone"))[0] == 0
    assert ids(spark, folder / "clone", "delta") == KEPT


def test_a_delta_table_is_replaced_and_another_loses_rows_in_place(spark, remote, folder):
    images = spark.read.parquet(str(folder / "in/images"))
    delta_table(images.limit(1), folder / "old")
    code, report = remote(*flags("./old", "--output-format", "delta", "--output-mode", "overwrite"))
    assert code == 0, report["error"]
    assert ids(spark, folder / "old", "delta") == KEPT
    table = delta_table(images, folder / "in/delta", enableDeletionVectors="true")
    code, report = remote("--images", "in/delta", *FLAGS[2:4], "--method", "in-place")
    assert code == 0, report["error"]
    assert report["counts"]["removed_rows"] == 2
    assert ids(spark, table, "delta") == KEPT


def test_a_review_has_pictures_which_the_server_draws(remote, folder):
    pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    pytest.importorskip("PIL", reason="Pillow isn't installed")
    from tests.support.review.made_review import encoded

    pictures = [encoded((number, 90, 200), (60 + number, 40)) for number in range(30)]
    rows = pa.table({"image_id": [f"i{number}" for number in range(30)], "image": pictures})
    for part in range(3):
        some = rows.slice(10 * part, 10)
        write_parquet(
            some, folder / f"pictures/{part}.parquet", compression=("none", "zstd")[part % 2]
        )
    write_list(folder / "pictures-list.parquet", [f"i{number}" for number in range(0, 30, 2)])
    flags = ["--images", "./pictures", "--duplicate-ids", "./pictures-list.parquet", "--dry-run"]
    code, report = remote(*flags, "--review", "page.html")
    assert code == 0, report["error"]
    review = report["review"]
    assert (review["pairs"], review["pictures"], review["reason"]) == (15, 15, None)
    assert 0 < review["read_bytes"] < 3 * 70_000
    assert (folder / "page.html").read_text().count("data:image/webp") == 15
