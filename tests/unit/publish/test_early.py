"""What is told about paths before there is a session, and what is left to Spark."""

import json

import pytest

from dedup_lib import DuplicateIds, Settings, cli
from dedup_lib.errors import (
    JavaMissingError,
    OutputExistsError,
    OverlapError,
    TableNotFoundError,
    UsageError,
)
from dedup_lib.publish import early


@pytest.fixture(autouse=True)
def local(monkeypatch):
    monkeypatch.setattr(early, "is_surely_local", lambda: True)


@pytest.fixture
def look(tmp_path):
    """Look at a run whose inputs exist, and whose output does not, but for changes."""
    for name in ("images", "list"):
        (tmp_path / name).mkdir()

    def look(**changes):
        values = {"images": f"{tmp_path}/images", "output": f"{tmp_path}/out"} | changes
        lists = values.pop("lists", [f"{tmp_path}/list"])
        early.look(Settings(duplicate_ids=tuple(map(DuplicateIds, lists)), **values))

    return look


def test_a_run_that_may_succeed_is_left_to_spark(look):
    look()
    look(output=None, dry_run=True)


def test_an_input_that_is_missing_is_told(look, tmp_path):
    what = f"image table 'file:{tmp_path}/nope' does not exist"
    with pytest.raises(TableNotFoundError, match=what):
        look(images=f"{tmp_path}/x/../nope/")
    what = f"removal list 'file:{tmp_path}/nope' does not exist"
    with pytest.raises(TableNotFoundError, match=what):
        look(lists=[f"{tmp_path}/list", f"file://{tmp_path}/nope"])
    with pytest.raises(TableNotFoundError, match=r"list to protect .* does not exist"):
        look(protect_ids=(f"{tmp_path}/nope",))


def test_beside_locations_elsewhere_those_that_are_here_are_told(look, tmp_path):
    look(images="s3a://bucket/images")
    look(images="some.table")
    with pytest.raises(TableNotFoundError, match="removal list"):
        look(images="s3a://bucket/images", lists=["hdfs:/there", f"{tmp_path}/nope"])


def test_an_output_that_exists_is_told(look, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExistsError, match="--output-mode overwrite"):
        look()
    with pytest.raises(OutputExistsError, match=r"exists\. Choose another"):
        look(method="clone")


def test_an_output_that_may_exist_is_left_to_spark(look, tmp_path):
    (tmp_path / "out").mkdir()
    look(run_key="the same key again")
    look(output_mode="overwrite")
    look(since_last_run=True, output_format="delta")


@pytest.mark.parametrize("left", [".out.dedup-journal", ".out.dedup-0123456789ab"])
def test_what_a_killed_run_left_is_left_to_spark(look, tmp_path, left):
    """The next run may have to put the older output back."""
    (tmp_path / "out").mkdir()
    (tmp_path / left).mkdir()
    look()


def test_an_image_table_that_a_killed_replacement_moved_away_is_left_to_spark(look, tmp_path):
    (tmp_path / "images").rename(tmp_path / ".images.dedup-old-0123456789ab")
    look()


def test_a_finished_output_has_a_manifest_beside_it(look, tmp_path):
    (tmp_path / "out").mkdir()
    manifest = tmp_path / ".out.dedup-manifest.json"
    manifest.write_text(json.dumps({"outputs": [{"files": [], "note": {"unfinished": True}}]}))
    look()
    manifest.write_text(json.dumps({"outputs": [{"files": [], "note": {}}]}))
    with pytest.raises(OutputExistsError):
        look()


def test_overlaps_and_a_report_that_can_not_be_written_are_told(look, tmp_path):
    with pytest.raises(OverlapError, match=r"output .* lies inside image table"):
        look(output=f"{tmp_path}/images/out")
    (tmp_path / "report.json").write_text("no report")
    with pytest.raises(UsageError, match="is not a report"):
        look(report=f"{tmp_path}/report.json")


@pytest.mark.parametrize(
    "setting",
    [
        {"metrics_output": "./metrics"},
        {"lineage_config": "lineage.yml"},
        {"report": "file:/tmp/report.json"},
        {"review": "hdfs:/review.html"},
    ],
)
def test_a_failure_that_only_spark_can_send_on_is_left_to_it(look, tmp_path, setting):
    look(images=f"{tmp_path}/nope", **setting)


def test_a_link_is_followed_after_dots_as_hadoop_does(look, tmp_path):
    """`cur/..` is the directory of `cur`, not that of what it links to."""
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "cur").symlink_to(tmp_path / "far/away")
    look(images=f"{tmp_path}/cur/../images")


@pytest.mark.parametrize("output", ["/", "//data/out", "a" * 300 + "/out"])
def test_odd_outputs_are_left_to_spark(look, output):
    look(images="s3a://bucket/images", output=output)


def failed(capsys, *arguments):
    """Run the command, which must fail before there is a session; return its report."""
    assert cli.run_command(arguments) > 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def no_session(monkeypatch):
    def start():
        raise AssertionError("a session was started")

    monkeypatch.setattr(cli, "start_session", start)


def test_a_failure_that_is_told_early_is_saved(look, tmp_path, capsys, no_session):
    (tmp_path / "job.toml").write_text(
        f'images = "{tmp_path}/nope"\nreport = "{tmp_path}/r.json"\n'
    )
    lists = ("--duplicate-ids", f"{tmp_path}/list", "--output", f"{tmp_path}/out")
    told = failed(capsys, "--config", f"{tmp_path}/job.toml", *lists)
    assert told["error"]["class"] == "TableNotFoundError"
    assert json.loads((tmp_path / "r.json").read_text()) == told


@pytest.mark.parametrize("report", ["list/1.jsonl", "images/report.json"])
def test_a_report_that_would_replace_an_input_is_not_written(
    look, tmp_path, capsys, no_session, report
):
    (tmp_path / "list/1.jsonl").write_text('{"id": "a"}')
    before = sorted(tmp_path.rglob("*"))
    inputs = ("--images", f"{tmp_path}/images", "--duplicate-ids", f"{tmp_path}/list")
    outputs = ("--output", f"{tmp_path}/out", "--report", f"{tmp_path}/{report}")
    assert failed(capsys, *inputs, *outputs)["error"]["class"] == "OverlapError"
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "list/1.jsonl").read_text() == '{"id": "a"}'


@pytest.mark.parametrize("mistake", [["--bogus"], []])
def test_a_list_in_json_lines_is_no_report(local, tmp_path, capsys, monkeypatch, mistake):
    """Neither after a mistake in the flags, nor where Spark can't be started."""

    def start():
        raise JavaMissingError("no Java")

    monkeypatch.setattr(cli, "start_session", start)
    monkeypatch.setattr(early, "is_surely_local", lambda: False)
    (tmp_path / "images").mkdir()
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"id": "a"}')
    inputs = ("--images", f"{tmp_path}/images", "--duplicate-ids", str(listed))
    outputs = ("--output", f"{tmp_path}/out", "--report", str(listed))
    failed(capsys, *inputs, *outputs, *mistake)
    assert listed.read_text() == '{"id": "a"}'


def test_a_report_that_can_not_be_written_hides_no_error(look, tmp_path, capsys, no_session):
    folder = tmp_path / "read-only"
    folder.mkdir()
    inputs = ("--images", f"{tmp_path}/nope", "--duplicate-ids", f"{tmp_path}/list")
    report = ("--report", f"{folder}/{'r' * 250}.json")
    told = failed(capsys, *inputs, "--output", f"{tmp_path}/out", *report)
    assert told["error"]["class"] == "TableNotFoundError"


def test_a_report_whose_place_is_uncertain_is_left_to_spark(look, tmp_path):
    look(images="s3a://bucket/images", lists=[f"{tmp_path}/nope"], report=f"{tmp_path}/r.json")


def test_in_doubt_spark_decides(look, tmp_path, monkeypatch):
    """As with another default file system."""
    monkeypatch.setattr(early, "is_surely_local", lambda: False)
    look(images=f"{tmp_path}/nope")
