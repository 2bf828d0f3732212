"""Runs that are killed: a reader sees the old or the new, and a retry does what is left to do."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from dedup_lib import cli
from dedup_lib import run as run_here
from tests.support.faults.cases import CASES, check_done, left_behind
from tests.support.processes.job_process import SCRIPT, job_process
from tests.support.processes.runs import (
    FLAGS,
    SPARK_SUBMIT,
    conf_flags,
    console,
    ids,
    report_of,
    small_inputs,
    stopped_run,
    stopped_runs,
)
from tests.support.spark.settings import INTERPRETED
from tests.support.tables.made import (
    image_rows,
    names_in,
    tree_digest,
    write_list,
    write_parquet,
)

pytestmark = pytest.mark.classic("it starts processes of its own")

# Where each case is stopped, first, second and third, and what readers see after that.
STOPS = {
    "parquet error": [("plan", "nothing"), ("apply", "nothing"), ("verify", "nothing")],
    "parquet overwrite": [("check", "old"), ("apply", "old"), ("renamed", "nothing")],
    "parquet overwrite, spark": [("apply", "old"), ("publish", "new")],
    "shards": [("plan", "nothing"), ("apply", "nothing"), ("verify", "nothing")],
    "shards overwrite": [("check", "old"), ("renamed", "nothing"), ("publish", "new")],
    "delta rewrite": [("apply", "nothing"), ("verify", "nothing")],
    "delta overwrite": [("check", "old"), ("committed", "new")],
    "clone": [("deleted", "nothing"), ("verify", "nothing")],
    "in place": [("check", "old"), ("deleted", "new")],
}
# What is killed, each time: the jobs of all cases share a process, for starting one takes long.
HOWS = ("group", "java", "python")


class Killed:
    """A case whose runs were killed one after another: each over what the one before left."""

    def __init__(self, spark, name, folder):
        self.spark, self.case, self.folder = spark, CASES[name], folder
        self.case.lay_out(spark, folder)
        self.inputs = self.case.inputs_digest(folder)
        self.arguments = self.case.arguments(folder)
        self.seen = []  # after each stop

    def look(self):
        self.seen.append(self.case.seen(self.spark, self.folder))

    def retry(self):
        """Run to the end in this process, which has nothing of the killed one's."""
        return run_here(self.spark, cli.parse(self.arguments))


@pytest.fixture(scope="module")
def killed(spark, tmp_path_factory):
    """Each case after its last stop, by its name."""
    root = tmp_path_factory.mktemp("killed")
    cases = {name: Killed(spark, name, root / str(number)) for number, name in enumerate(STOPS)}
    for number, how in enumerate(HOWS):
        due = [name for name, stops in STOPS.items() if number < len(stops)]
        jobs = [(STOPS[name][number][0], cases[name].arguments) for name in due]
        stopped_runs(how, jobs, cwd=root)
        for name in due:
            cases[name].look()
    return cases


@pytest.mark.parametrize("name", STOPS)
def test_g6_g7_a_killed_run_leaves_the_old_or_the_new_and_the_retry_converges(killed, name):
    it, due = killed[name], [seen for _, seen in STOPS[name]]
    assert it.seen == due
    report = it.retry()
    assert report.repeated == (due[-1] == "new")
    check_done(it.spark, it.case, it.folder, it.inputs)
    if name == "in place":
        assert report.counts["removed_rows"] == 7
        history = it.spark.sql(f"DESCRIBE HISTORY delta.`{it.folder}/in/table`").collect()
        assert [row["operation"] for row in history] == ["DELETE", "WRITE"]


def test_g7_a_clone_into_the_catalog_that_is_killed_leaves_nothing_to_the_retry(tmp_path):
    folder = small_inputs(tmp_path)
    flags = (*FLAGS[:4], "--output", "unique", "--method", "clone")
    stopped_run("verify", "group", *flags, cwd=folder)
    killed = set(names_in(folder / "spark-warehouse"))
    result = console(*flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    names = set(names_in(folder / "spark-warehouse"))
    assert len(killed) == 2  # the plan, and the staged clone
    assert not killed & names
    assert {name.partition(".dedup")[0] for name in names} == {"unique", ".unique"}


def test_g6_a_run_that_is_terminated_puts_back_what_was_tidies_up_and_reports(spark, tmp_path):
    case = CASES["parquet overwrite"]
    case.lay_out(spark, tmp_path)
    result = stopped_run("renamed", "SIGTERM", *case.arguments(Path()), cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert report_of(result)["status"] == "failed"
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("old", [])


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Runs the job in a process that may write no large file."""
    limited = ["bash", "-c", 'ulimit -f 1000; exec "$@"', "-", *SPARK_SUBMIT]
    command = [*limited, *conf_flags(INTERPRETED), SCRIPT]
    with job_process(command, tmp_path_factory.mktemp("limited")) as jobs:
        yield jobs.run


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g6_a_process_that_may_write_no_large_file_leaves_the_old_output(
    spark, limited, tmp_path, engine
):
    """As a full disk does, and without the rights that it takes to mount one."""
    rows = image_rows(["a", "b", "c"])
    images = pa.array([os.urandom(1_000_000) for _ in range(3)])
    write_parquet(rows.set_column(1, "image", images), tmp_path / "in/images/1.parquet")
    write_list(tmp_path / "in/list/1.parquet", ["b"])
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    before = tree_digest(tmp_path)
    flags = ("--images", f"{tmp_path}/in/images", "--duplicate-ids", f"{tmp_path}/in/list/")
    flags = (*flags, "--output", f"{tmp_path}/out", "--output-mode", "overwrite")
    flags = (*flags, "--engine", engine)
    codes, reports = limited(flags)
    assert reports[0]["error"]["class"] == "DiskFullError"
    assert codes == [5]
    assert tree_digest(tmp_path) == before
    run_here(spark, cli.parse(flags))
    assert ids(spark, tmp_path / "out") == ["a", "c"]
