"""The files that a run writes for its user: what they replace, and what they leave alone."""

import errno
import json
import os

import pytest

from dedup_lib.errors import DiskFullError, UsageError
from dedup_lib.report import Report, report_file
from dedup_lib.session import local_files
from dedup_lib.session.one_file import file_uri
from tests.support.tables.made import names_in


def test_an_older_report_is_replaced_and_its_directory_is_made(tmp_path):
    location = str(tmp_path / "deep/er/report.json")
    for _ in range(2):
        report_file(location).check(None)
        Report().save(location, None)
        assert json.loads((tmp_path / "deep/er/report.json").read_text())["status"] == "failed"
    assert names_in(tmp_path / "deep/er") == ["report.json"]


def test_an_empty_file_is_replaced(tmp_path):
    (tmp_path / "report.json").touch()
    Report().save(str(tmp_path / "report.json"), None)
    assert (tmp_path / "report.json").read_text().startswith("{")


def test_a_report_that_was_formatted_is_replaced(tmp_path):
    written = json.dumps(json.loads(Report().to_json()), indent=2)
    (tmp_path / "report.json").write_text(written)
    Report().save(str(tmp_path / "report.json"), None)
    assert (tmp_path / "report.json").read_text() != written


@pytest.mark.parametrize("content", [b"PAR1\x15\x04", b"image_id\na\n", b"[1]", b'{"id": "a"}'])
def test_another_file_is_not_replaced(tmp_path, content):
    target = tmp_path / "images.parquet"
    target.write_bytes(content)
    for act in (report_file(str(target)).check, lambda _: Report().save(str(target), None)):
        with pytest.raises(UsageError, match=r"^--report '.*' exists and is not a report: it is"):
            act(None)
    assert target.read_bytes() == content


def test_a_directory_is_not_replaced(tmp_path):
    with pytest.raises(UsageError, match="exists and is not a report"):
        report_file(str(tmp_path)).check(None)


def test_a_file_where_a_directory_should_be_is_named_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^--report '.*' can't be written: '.*file' is not a dir"):
        report_file(str(tmp_path / "file/report.json")).check(None)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, DiskFullError), (errno.EDQUOT, DiskFullError), (errno.EACCES, UsageError)],
)
def test_a_full_disk_has_an_error_of_its_own(tmp_path, monkeypatch, number, error):
    def fail(path, text):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local_files, "replace_text", fail)
    with pytest.raises(error, match="--report") as caught:
        Report().save(str(tmp_path / "report.json"), None)
    assert type(caught.value) is error


def test_without_a_session_a_uri_is_not_written_and_the_log_says_so(caplog):
    Report().save("s3a://key:s3cret@bucket/report.json", None)
    assert "the report is not written to s3a://" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_path_is_a_file_on_the_driver(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_uri("report.json") == f"file:{tmp_path}/report.json"
    assert file_uri("s3a://bucket/report.json") == "s3a://bucket/report.json"
