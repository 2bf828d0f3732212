"""--lineage-config: what OpenLineage is told of a run, by its own client, into a file."""

import json

import pytest

from dedup_lib.errors import NoMatchesError, OutputExistsError, SettingsError
from tests.support.paths import ROOT
from tests.support.processes.runs import FLAGS, small_inputs, spark_submit
from tests.support.tables.made import delta_table, names_in, write_list

pytest.importorskip("openlineage.client", reason="openlineage-python is not installed")
MADE = {"arrow": {}, "spark": {"engine": "spark"}, "clone": {"method": "clone"}}


@pytest.fixture
def config(tmp_path):
    """The example that comes along, with its own file for the events."""
    text = (ROOT / "conf/openlineage/file.yml").read_text()
    path = tmp_path / "lineage.yml"
    path.write_text(text.replace("openlineage-events.jsonl", str(tmp_path / "events.jsonl")))
    return str(path)


def events_in(folder, name="events.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def names(datasets):
    return {(dataset["namespace"], dataset["name"]) for dataset in datasets}


@pytest.mark.parametrize("way", MADE)
def test_a_run_tells_what_it_read_and_what_it_made(images, listed, remove, tmp_path, config, way):
    settings = {"removed_output": str(tmp_path / "removed"), "lineage_config": config}
    report = remove(images, listed, tmp_path / "out", **settings, **MADE[way])
    started, completed = events_in(tmp_path)
    assert (started["eventType"], completed["eventType"]) == ("START", "COMPLETE")
    assert started["run"]["runId"] == completed["run"]["runId"]
    for event in (started, completed):
        assert (event["job"]["namespace"], event["job"]["name"]) == ("default", "remove-duplicates")
        assert names(event["inputs"]) == {("file", str(images)), ("file", str(listed))}
        made = {("file", str(tmp_path / name)) for name in ("out", "removed")}
        assert names(event["outputs"]) == made
    output = completed["outputs"][0]
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (3, report.bytes["output"])
    if way == "clone":
        assert output["facets"]["version"]["datasetVersion"] == str(report.output["version"])


def test_in_place_the_image_table_is_what_is_made(spark, images, listed, remove, tmp_path, config):
    properties = {"enableDeletionVectors": "true"}
    table = delta_table(spark.read.parquet(str(images)), tmp_path / "table", **properties)
    remove(table, listed, None, method="in-place", lineage_config=config)
    completed = events_in(tmp_path)[-1]
    assert ("file", str(table)) in names(completed["inputs"])
    assert names(completed["outputs"]) == {("file", str(table))}
    assert completed["outputs"][0]["facets"]["version"]["datasetVersion"] == "1"


def test_a_dry_run_makes_no_output(images, listed, remove, tmp_path, config):
    remove(images, listed, tmp_path / "out", dry_run=True, lineage_config=config)
    assert [event["outputs"] for event in events_in(tmp_path)] == [[], []]


def test_a_run_that_fails_says_why(images, remove, tmp_path, config):
    wrong = write_list(tmp_path / "wrong.parquet", ["elsewhere"])
    with pytest.raises(NoMatchesError):
        remove(images, wrong, tmp_path / "out", lineage_config=config)
    failed = events_in(tmp_path)[-1]
    assert failed["eventType"] == "FAIL"
    message = failed["run"]["facets"]["errorMessage"]["message"]
    assert message.startswith("NoMatchesError: none of the 1 list entries")


def test_g16_no_secret_of_a_location_is_told(images, remove, tmp_path, config):
    location = "s3a://key:hunter2@bucket/list?sig=topsecret"
    with pytest.raises(Exception, match="list"):
        remove(images, location, tmp_path / "out", lineage_config=config)
    text = (tmp_path / "events.jsonl").read_text()
    assert "FAIL" in text
    assert "hunter2" not in text
    assert "topsecret" not in text


def test_lineage_that_can_t_be_told_stops_no_run(images, listed, remove, tmp_path, config, caplog):
    (tmp_path / "events.jsonl").mkdir()
    remove(images, listed, tmp_path / "out", lineage_config=config)
    assert "OpenLineage's event COMPLETE could not be sent" in caplog.text
    with pytest.raises(OutputExistsError):
        remove(images, listed, tmp_path / "out", lineage_config=config)


@pytest.mark.parametrize("text", [None, "", "job: {}", "transport: {type: pigeon}", "a: b: c"])
def test_a_configuration_that_is_none_is_refused_before_any_work(
    images, listed, remove, tmp_path, text
):
    path = tmp_path / "lineage.yml"
    if text is not None:
        path.write_text(text)
    before = names_in(tmp_path)
    with pytest.raises(SettingsError, match="--lineage-config"):
        remove(images, listed, tmp_path / "out", lineage_config=str(path))
    assert names_in(tmp_path) == before


@pytest.mark.classic("it starts a process of its own")
def test_spark_submit_tells_it_too_with_the_example_that_comes_along(tmp_path):
    small_inputs(tmp_path)
    config = ROOT / "conf/openlineage/file.yml"
    result = spark_submit(*FLAGS, "--lineage-config", str(config), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    completed = events_in(tmp_path, "openlineage-events.jsonl")[-1]
    assert names(completed["outputs"]) == {("file", str(tmp_path / "out"))}
