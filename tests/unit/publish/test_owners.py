"""Whether the process that something belongs to lives."""

import json
import os
import subprocess
import sys

import pytest

from dedup_lib.publish import owners
from dedup_lib.publish.owners import (
    died_here,
    is_owner_name,
    named_died_here,
    named_without_result,
    note_ended,
    note_without_result,
    owner_name,
    owner_text,
)


def owner(**values):
    return json.dumps({**json.loads(owner_text("a run")), "process": "another", **values})


@pytest.fixture
def child():
    """A process that runs until its input ends."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process


def test_a_process_lives_until_it_ends_though_its_parent_does_not_notice(child):
    assert not died_here(owner(pid=child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert died_here(owner(pid=child.pid))
    child.wait()
    assert died_here(owner(pid=child.pid))


def test_this_process_lives_and_one_before_it_with_its_number_does_not():
    assert not died_here(owner_text("a run"))
    assert died_here(owner(pid=os.getpid()))


@pytest.mark.parametrize("values", [{"host": "elsewhere"}, {"machine": ["another"]}])
def test_of_what_is_not_of_this_machine_nothing_is_known(child, values):
    child.kill()
    child.wait()
    assert not died_here(owner(pid=child.pid, **values))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null"])
def test_of_what_names_no_owner_nothing_is_known(text):
    assert not died_here(text)


def test_a_name_tells_the_same_of_its_process(child):
    own = owner_name("0123456789ab")
    assert is_owner_name(own)
    assert not named_died_here(own)
    _, attempt, pid, process, machine = own.split("-")
    assert named_died_here(f"dedup-{attempt}-{pid}-another-{machine}")
    running = f"dedup-{attempt}-{child.pid}-{process}-{machine}"
    assert not named_died_here(running)
    child.kill()
    child.wait()
    assert named_died_here(running)
    assert not named_died_here(f"dedup-{attempt}-{child.pid}-{process}-elsewhere")


def test_an_attempt_that_has_ended_leaves_what_the_next_of_its_process_may_replace(monkeypatch):
    monkeypatch.setattr(owners, "_ENDED", set())
    own, next_one = owner_name("0123456789ab"), owner_name("ba9876543210")
    note_ended("0123456789ab")
    assert named_died_here(own)
    assert not named_died_here(next_one)
    assert not named_died_here(f"{own.rpartition('-')[0]}-elsewhere")


def test_an_attempt_without_a_result_is_known_to_its_own_process_only(monkeypatch):
    monkeypatch.setattr(owners, "_WITHOUT_RESULT", set())
    own = owner_name("0123456789ab")
    note_ended("0123456789ab")
    assert not named_without_result(own)
    note_without_result("0123456789ab")
    assert named_without_result(own)
    assert not named_without_result(f"{own.rpartition('-')[0]}-elsewhere")
    assert not named_without_result(owner_name("ba9876543210"))


@pytest.mark.parametrize("name", ["main", "dedup-7f3a", "dedup-0123456789ab-1"])
def test_any_other_name_has_no_owner(name):
    assert not is_owner_name(name)
    assert not named_died_here(name)
