"""The bundle for Databricks: what its jobs run, and that Databricks' own types take them."""

import copy
import importlib.metadata
import re

import pytest
import yaml

from dedup_lib import cli
from dedup_lib.settings import Settings
from dedup_lib.settings.toml_file import load_toml
from tests.support.documents import documents_text
from tests.support.paths import ROOT

FOLDER = ROOT / "conf/databricks"
BUNDLE = yaml.safe_load((FOLDER / "databricks.yml").read_text())
RESOURCES = [yaml.safe_load(path.read_text()) for path in FOLDER.glob("resources/*.yml")]
JOBS = {name: job for found in RESOURCES for name, job in found["resources"]["jobs"].items()}
TEXTS = "".join(path.read_text() for path in sorted(FOLDER.rglob("*.yml")))
NOT_INSTALLED = "databricks-bundles isn't installed"
each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def task_of(job):
    (task,) = job["tasks"]
    return task


def resolved(text, job, folder):
    """A parameter's text as the job's task gets it, with the values that are the defaults."""
    values = {f"job.parameters.{item['name']}": item["default"] for item in job["parameters"]}
    values |= {"job.id": "11", "job.run_id": "22"}
    values |= {f"var.{name}": item.get("default") for name, item in BUNDLE["variables"].items()}
    values["workspace.file_path"] = str(folder)
    for _ in range(3):
        text = re.sub(r"\$\{([\w.]+)\}|\{\{([\w.]+)\}\}", lambda m: values[m[1] or m[2]], text)
    return text


def settings_of(job, folder=FOLDER):
    wheel = task_of(job)["python_wheel_task"]
    return cli.parse([resolved(text, job, folder) for text in wheel["parameters"]])


@each_job
def test_every_parameter_is_a_flag_and_the_defaults_are_a_valid_run(job):
    given = task_of(job)["python_wheel_task"]["parameters"]
    named = re.findall(r"\{\{job\.parameters\.(\w+)\}\}", " ".join(given))
    assert sorted(named) == sorted(item["name"] for item in job["parameters"])
    for name in named:
        assert f"--{name.replace('_', '-')}={{{{job.parameters.{name}}}}}" in given
    settings = settings_of(job)
    assert isinstance(settings, Settings)
    assert settings.images == "main.images.raw"
    assert settings.report == "/Volumes/main/images/dedup/reports/22.json"


def test_a_new_table_a_new_table_by_gpu_and_in_place():
    assert {name: settings_of(job).method for name, job in JOBS.items()} == {
        "remove_duplicates": "rewrite",
        "remove_duplicates_gpu": "rewrite",
        "remove_duplicates_in_place": "in-place",
    }
    assert settings_of(JOBS["remove_duplicates"]).output == "main.images.unique"


@each_job
def test_retries_and_repairs_of_a_run_have_one_run_key(job):
    """{{task.run_id}} is another each time, and a date is that of many runs."""
    assert settings_of(job).run_key == "databricks-11-22"
    task = task_of(job)
    assert task["max_retries"] == 2
    assert task["min_retry_interval_millis"] >= 60_000
    assert task["retry_on_timeout"] is False
    assert task["timeout_seconds"] > 0
    assert task.get("disable_auto_optimization", False) is ("environment_key" in task)


@each_job
def test_one_run_at_a_time_and_the_next_one_waits(job):
    assert job["max_concurrent_runs"] == 1
    assert job["queue"] == {"enabled": True}


@each_job
def test_the_entry_point_is_the_wheels(job):
    wheel = task_of(job)["python_wheel_task"]
    points = importlib.metadata.distribution(wheel["package_name"]).entry_points
    assert wheel["entry_point"] in {point.name for point in points}


@each_job
def test_it_runs_on_serverless_or_on_gpus_with_the_wheel(job):
    task = task_of(job)
    if "environment_key" in task:
        (environment,) = job["environments"]
        assert environment["environment_key"] == task["environment_key"]
        assert environment["spec"]["dependencies"] == ["../../../dist/dedup_lib-*.whl"]
        return
    (cluster,) = job["job_clusters"]
    assert cluster["job_cluster_key"] == task["job_cluster_key"]
    assert cluster["new_cluster"]["spark_version"] == "17.3.x-gpu-ml-scala2.13"
    assert cluster["new_cluster"]["data_security_mode"] == "SINGLE_USER"
    assert task["libraries"] == [{"whl": "../../../dist/dedup_lib-*.whl"}]


def test_a_deployment_for_development_and_one_for_production_as_a_service_principal():
    targets = BUNDLE["targets"]
    assert {name: target["mode"] for name, target in targets.items()} == {
        "dev": "development",
        "prod": "production",
    }
    assert targets["dev"]["default"] is True
    assert targets["prod"]["run_as"] == {"service_principal_name": "${var.service_principal}"}
    assert "default" not in BUNDLE["variables"]["service_principal"]  # none is an error
    assert "/Shared/" not in targets["prod"]["workspace"]["root_path"]


def test_a_deployment_starts_nothing_by_itself():
    schedules = [job["schedule"]["pause_status"] for job in JOBS.values() if "schedule" in job]
    assert schedules == ["${var.new_table_schedule}", "${var.in_place_schedule}"]
    for name in ("new_table_schedule", "in_place_schedule"):
        assert BUNDLE["variables"][name]["default"] == "PAUSED"


def test_the_variables_are_those_that_are_used():
    assert set(re.findall(r"\$\{var\.(\w+)\}", TEXTS)) == set(BUNDLE["variables"])


def test_the_settings_files_hold_settings(tmp_path):
    for path in FOLDER.glob("*.toml"):
        load_toml(str(path))
        offered = re.sub(r"^# (?=\w+ = )", "", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(offered)
    settings = settings_of(JOBS["remove_duplicates"], tmp_path)
    assert (settings.eps, settings.removed_output) == (0.05, "main.images.removed")
    assert load_toml(str(FOLDER / "dry_run.toml")) == {"dry_run": True}
    assert load_toml(str(FOLDER / "only_new.toml")) == {"since_last_run": True}


def test_the_wheel_is_built_as_the_docs_say():
    artifact = BUNDLE["artifacts"]["dedup_lib"]
    assert (FOLDER / artifact["path"]).resolve() == ROOT
    assert "pip wheel . --no-deps" in artifact["build"]
    assert "pip wheel . --no-deps" in documents_text()


def test_grants_are_the_least_that_a_job_needs():
    lines = (FOLDER / "grants.sql").read_text().splitlines()
    granted = [line for line in lines if line.startswith("GRANT ")]
    form = r"GRANT ([A-Z ]+) ON (CATALOG|SCHEMA|TABLE|VOLUME) (main[\w.]*) TO `SERVICE-PRINCIPAL`;"
    found = [re.fullmatch(form, line) for line in granted]
    assert [(match[1], match[3]) for match in found] == [
        ("USE CATALOG", "main"),
        ("USE SCHEMA", "main.images"),
        ("SELECT", "main.images.raw"),
        ("READ VOLUME", "main.images.dedup"),
        ("WRITE VOLUME", "main.images.dedup"),
        ("CREATE TABLE", "main.images"),
    ]
    offered = [line for line in lines if line.startswith("--   GRANT ")]
    assert all(" ON TABLE " in line and "MODIFY" in line for line in offered)


@pytest.fixture
def databricks_job():
    """Databricks' own type of a job, which refuses what it does not know."""
    return pytest.importorskip("databricks.bundles.jobs", reason=NOT_INSTALLED).Job


@each_job
def test_databricks_takes_the_jobs(databricks_job, job):
    taken = databricks_job.from_dict(job).as_dict()
    assert taken["tasks"][0]["python_wheel_task"] == task_of(job)["python_wheel_task"]
    for key, value in job.items():
        if key in ("name", "max_concurrent_runs", "queue", "schedule", "parameters"):
            assert taken[key] == value


def test_databricks_refuses_what_it_does_not_know(databricks_job):
    job = JOBS["remove_duplicates_gpu"]
    for path in ([], ["tasks", 0], ["job_clusters", 0, "new_cluster"], ["queue"]):
        changed = place = copy.deepcopy(job)
        for step in path:
            place = place[step]
        place["max_retrys"] = 1
        with pytest.raises(ValueError, match="max_retrys"):
            databricks_job.from_dict(changed)


def test_databricks_takes_who_production_runs_as():
    jobs = pytest.importorskip("databricks.bundles.jobs", reason=NOT_INSTALLED)
    prod = BUNDLE["targets"]["prod"]
    assert jobs.JobRunAs.from_dict(prod["run_as"]).as_dict() == prod["run_as"]
    for item in prod["permissions"]:
        assert jobs.JobPermission.from_dict(item).as_dict() == item
