"""The DAGs as Airflow imports them, and what they ask Spark and Databricks for."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from types import SimpleNamespace

import pytest
import yaml

from tests.airflow.instance import SPARK_BIN
from tests.support.paths import ROOT

FOLDER = ROOT / "conf/airflow"
SPARK, DATABRICKS = "remove_duplicates_spark", "remove_duplicates_databricks"
TRY = "019aa6f0-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """The DAGs, imported with warnings as errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        from airflow.dag_processing.dagbag import DagBag

        yield DagBag(FOLDER, bundle_path=FOLDER, bundle_name="conf")


def context_of(dag, run="manual__2026-11-26T03:00:00+00:00", **params):
    ti = SimpleNamespace(id=TRY, stats_tags={}, xcom_push=lambda **_: None)
    return {"dag": dag, "run_id": run, "ti": ti, "params": {**dag.params.dump(), **params}}


def rendered(bag, dag_id, task_id="remove_duplicates", **changes):
    """A task with its templates filled in."""
    dag = bag.dags[dag_id]
    task = dag.get_task(task_id).prepare_for_execution()
    context = {**context_of(dag, **changes), "task": task, "var": {"value": {}}}
    task.render_template_fields(context)
    return task, context


def test_both_are_imported_without_an_error_or_a_warning(bag):
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert set(bag.dags) == {SPARK, DATABRICKS}


@pytest.mark.parametrize("dag_id", [SPARK, DATABRICKS])
def test_one_run_at_a_time_each_night_with_retries(bag, dag_id):
    dag = bag.dags[dag_id]
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == ("0 3 * * *", 1, False)
    for task in dag.tasks:
        assert task.retries == 2
        assert task.retry_delay >= timedelta(minutes=5)
        assert task.execution_timeout is not None


def test_a_dry_run_comes_first(bag):
    dry_run = bag.dags[SPARK].get_task("dry_run")
    assert dry_run.downstream_task_ids == {"remove_duplicates"}
    assert rendered(bag, SPARK, "dry_run")[0].application_args[0] == "--dry-run"
    assert "--dry-run" not in rendered(bag, SPARK)[0].application_args


def test_all_tries_of_a_run_have_one_key_and_the_next_run_has_another(bag):
    keys = {rendered(bag, SPARK, run=run)[0].application_args[-1] for run in "aab"}
    assert keys == {f"--run-key={SPARK}/a", f"--run-key={SPARK}/b"}


@pytest.mark.parametrize("task_id", ["dry_run", "remove_duplicates"])
def test_the_flags_are_those_of_a_valid_run(bag, task_id):
    task, _ = rendered(bag, SPARK, task_id, extra_arguments=["--eps=0.1"], duplicate_ids=["x", "y"])
    code = "import sys; from dedup_lib import cli; print(cli.parse(sys.argv[1:]))"
    result = subprocess.run(
        [SPARK_BIN / "python", "-c", code, *task.application_args],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "images='/data/images'" in result.stdout
    assert f"run_key='{SPARK}/manual__2026-11-26T03:00:00+00:00'" in result.stdout
    assert f"report='/data/reports/manual__2026-11-26T03-00-00+00-00.{task_id}.json'" in (
        result.stdout
    )


def test_the_place_of_the_job_is_a_variable(bag):
    dag = bag.dags[SPARK]
    task = dag.get_task("remove_duplicates").prepare_for_execution()
    task.render_template_fields(
        {**context_of(dag), "task": task, "var": {"value": {"remove_duplicates_home": "/srv"}}}
    )
    assert task.application == "/srv/jobs/remove_duplicates.py"
    assert task.properties_file == "/srv/conf/spark/cpu.conf"
    assert rendered(bag, SPARK)[0].application == "/opt/remove-duplicates/jobs/remove_duplicates.py"


@pytest.mark.parametrize(
    ("message", "action"),
    [
        *((f"Error code is: {code}.\nlog", "fail") for code in (2, 3, 4)),
        *((f"Error code is: {code}.\nlog", "default") for code in (1, 5, -9, 137)),
        ("Error code is: 0. Kubernetes spark exit code is: 4", "fail"),
        ("Error code is: 1. Kubernetes spark exit code is: 5", "default"),
    ],
)
def test_what_no_retry_mends_is_not_tried_again(bag, message, action):
    policy = bag.dags[SPARK].get_task("dry_run").retry_policy
    decision = policy.evaluate(exception=RuntimeError(message), try_number=1, max_tries=2)
    assert decision.action.value == action


class Databricks:
    """What the operator asks of Databricks."""

    def __init__(self, result):
        self.asked = []
        self.result = result

    def find_job_id_by_name(self, name):
        return {"remove-duplicates": 7}[name]

    def run_now(self, body):
        self.asked.append(body)
        return 22

    def get_run(self, run):
        state = {"life_cycle_state": "TERMINATED", "result_state": self.result, "state_message": ""}
        return {"run_id": run, "state": state, "tasks": []}

    def get_run_page_url(self, run):
        return f"run {run}"


class TaskState(dict):
    """What Airflow keeps of a task from one try to the next."""

    set = dict.__setitem__


def execute(bag, databricks, store=None, **params):
    task, context = rendered(bag, DATABRICKS, **params)
    task._get_hook = lambda **_: databricks
    task.execute(context | {"task_state_store": store})


def test_databricks_is_asked_for_one_run_of_the_deployed_job(bag):
    databricks = Databricks("SUCCESS")
    execute(bag, databricks, extra_parameters={"config": "/dry_run.toml"})
    (asked,) = databricks.asked
    assert asked["job_id"] == 7
    assert asked["idempotency_token"] == TRY
    given = asked["job_parameters"]
    assert given["run_key"] == f"{DATABRICKS}/manual__2026-11-26T03:00:00+00:00"
    assert given["config"] == "/dry_run.toml"
    jobs = yaml.safe_load((ROOT / "conf/databricks/resources/jobs.yml").read_text())
    known = jobs["resources"]["jobs"]["remove_duplicates"]["parameters"]
    assert given.keys() <= {item["name"] for item in known}
    assert all(isinstance(value, str) for value in given.values())


def test_a_try_after_one_that_lost_contact_finds_the_run(bag):
    databricks, store = Databricks("SUCCESS"), TaskState()
    for _ in range(2):
        execute(bag, databricks, store)
    assert len(databricks.asked) == 1


def test_a_run_that_failed_on_databricks_is_not_started_again_but_lost_contact_is(bag):
    from airflow.providers.databricks.exceptions import DatabricksApiError

    with pytest.raises(Exception, match="failed with terminal state") as failed:
        execute(bag, Databricks("FAILED"))
    policy = bag.dags[DATABRICKS].get_task("remove_duplicates").retry_policy
    assert policy.evaluate(failed.value, 1, 2).action.value == "fail"
    assert policy.evaluate(DatabricksApiError("503"), 1, 2).action.value == "default"
    assert policy.evaluate(ConnectionError("lost"), 1, 2).action.value == "default"
