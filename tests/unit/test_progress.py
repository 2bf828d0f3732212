"""The last line of a terminal."""

import io

from dedup_lib.terminal import Terminal
from tests.support.processes.terminals import screen


def test_a_line_that_passes_is_covered_by_the_next_one_and_by_what_stays():
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.show("apply / rewrite files: 9 s, 1 of 2 tasks")
    assert screen(stream.getvalue()) == ["apply / rewrite files: 9 s, 1 of 2 tasks"]
    terminal.show("verify: 0 s")
    assert screen(stream.getvalue()) == ["verify: 0 s"]
    terminal.write("done\n")
    assert screen(stream.getvalue()) == ["done", ""]
    terminal.show("publish: 0 s")
    assert screen(stream.getvalue()) == ["done", "publish: 0 s"]
    terminal.show("")
    assert screen(stream.getvalue()) == ["done", ""]


def test_what_others_write_meanwhile_stands_in_a_line_of_its_own():
    stream = io.StringIO()
    Terminal(stream).show("verify")
    stream.write("Spark says something\n")
    assert screen(stream.getvalue()) == ["Spark says something", ""]


def test_a_long_line_is_cut_for_a_wrapped_one_could_not_be_covered(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    Terminal(stream).show("plan / scan image IDs: 3 s")
    assert screen(stream.getvalue()) == ["plan / scan image I"]
