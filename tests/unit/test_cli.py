"""What callers other than a shell see of the console script's function."""

from types import SimpleNamespace

import pytest

from dedup_lib import cli
from dedup_lib.session import start


def test_a_failure_is_an_exit_that_says_why(capsys):
    with pytest.raises(SystemExit) as failed:
        cli.main(["--duplicate-ids", "lists/"])
    assert failed.value.code == 2
    assert str(failed.value) == "SettingsError: no image table given: --images is required."
    assert '"status": "failed"' in capsys.readouterr().out


def test_success_is_no_exit(monkeypatch):
    monkeypatch.setattr(cli, "run_command", lambda *_: 0)
    assert cli.main([]) is None


def test_on_databricks_the_session_is_taken_as_it_is(monkeypatch):
    """Serverless has no Java, and lets no one set what a session of our own would be given."""
    there = object()
    builder = SimpleNamespace(getOrCreate=lambda: there)
    sessions = SimpleNamespace(getActiveSession=lambda: None, builder=builder)
    monkeypatch.setattr(start, "SparkSession", sessions)
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "client.5.0")
    monkeypatch.setenv("PATH", "")
    assert start.start_session() is there
