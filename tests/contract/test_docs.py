"""README and docs/: their commands, Python, flags, links and lengths."""

import re
import shlex
from pathlib import Path

import pytest

from dedup_lib import cli
from tests.support.documents import (
    DOCUMENTS,
    PAGES,
    README,
    anchors,
    blocks,
    code_spans,
    documents_text,
    links,
    links_to_nowhere,
)
from tests.support.paths import ROOT

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
_COMMAND = re.compile(
    r"^[ $]*(?:SPARK_REMOTE=\S+ )?\S*?"
    r"(?:spark-submit .*?remove_duplicates\.py|remove-duplicates) (.*)$",
    re.MULTILINE,
)


def commands() -> list[str]:
    """The job's commands in all code blocks, each as one line without the program."""
    joined = re.sub(r" *\\\n *", " ", "\n".join(blocks(documents_text())))
    return [found for found in _COMMAND.findall(joined) if found.startswith("--")]


def flag_rows() -> list[tuple[str, str, str]]:
    """Each row of the tables of flags: the flag, what follows it, and the default."""
    text = (ROOT / "docs/flags.md").read_text().replace("\\|", "/")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `--")]
    return [(*cells[1].strip(" `").partition(" ")[::2], cells[2].strip()) for cells in rows]


def test_there_are_commands_in_readme_and_pages():
    assert len(commands()) >= 12


@pytest.mark.parametrize("command", commands(), ids=lambda text: text[:60])
def test_every_command_is_understood(command):
    cli.parse(shlex.split(command, comments=True))


def test_the_python_runs(spark, tmp_path):
    from tests.support.tables.made import image_rows, write_list, write_parquet

    write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet")
    write_list(tmp_path / "duplicates/1.parquet", ["b"])
    names = {
        "spark": spark,
        "images": spark.read.parquet(f"{tmp_path}/images"),
        "duplicate_ids": spark.read.parquet(f"{tmp_path}/duplicates"),
    }
    for block in blocks(documents_text(), "python"):
        exec(block.replace('"/data/', f'"{tmp_path}/'), names)
    assert names["report"].counts["removed_rows"] == 1
    assert [row.image_id for row in names["unique"].collect()] == ["a"]
    assert [row.image_id for row in names["plan"].collect()] == ["b"]


def test_the_tables_of_flags_are_the_help():
    actions = [action for action in cli._parser()._actions if action.option_strings]
    by_flag = {action.option_strings[0]: action for action in actions}
    rows = flag_rows()
    assert [flag for flag, _, _ in rows] == list(by_flag)
    for flag, value, default in rows:
        action = by_flag[flag]
        assert value == ("/".join(action.choices) if action.choices else action.metavar or ""), flag
        in_help = re.search(r" \(default: ([\w.-]+)\)$", action.help)
        if in_help:
            assert default == f"`{in_help[1]}`", flag


def test_the_make_targets_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = documents_text()
    lines = [*code_spans(text), *"\n".join(blocks(text)).splitlines()]
    named = {line.split()[1] for line in lines if re.match(r"make [a-z-]+", line)}
    assert {"demo", "test", "bench"} <= named <= targets


def test_the_files_and_modules_are_there():
    words = " ".join([*code_spans(documents_text()), *blocks(documents_text())]).split()
    paths = {word for word in words if re.match(r"(conf|dedup_lib|docs|jobs|tests)/", word)}
    paths |= {word.replace(".", "/") + "*" for word in words if re.match(r"tests\.\w", word)}
    assert len(paths) > 10
    assert not [path for path in sorted(paths) if not list(ROOT.glob(path.rstrip("/")))]


@each_document
def test_every_link_leads_somewhere(path):
    assert not links_to_nowhere(path)


def test_a_link_to_nowhere_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.documents.ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# The `--flag KEY` and: more\n\n```\n# no heading\n```\n")
    good = "[a](there.md) ![b](there.md#the---flag-key-and-more) `[c](gone.md)` [d](#here)"
    bad = ["gone.md", "there.md#no-heading", "#gone", "../outside.md"]
    page = tmp_path / "page.md"
    page.write_text(f"## Here\n\n{good}\n" + "".join(f"[x]({link})\n" for link in bad))
    (tmp_path.parent / "outside.md").write_text("")
    assert links_to_nowhere(page) == bad


@each_document
def test_no_two_headings_of_a_document_have_one_anchor(path):
    found = anchors(path.read_text())
    assert len(set(found)) == len(found)


def test_readme_is_a_front_door_and_pages_are_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (README, *PAGES)}
    assert lengths.pop("README.md") <= 250
    assert not {name: length for name, length in lengths.items() if length >= 300}


@each_page
def test_each_page_is_in_the_index(page: Path):
    index = README.read_text().partition("\n## All pages\n")[2]
    assert f"docs/{page.name}" in links(index)


def test_the_tests_that_promises_name_are_there():
    page = (ROOT / "docs/promises.md").read_text()
    named = set(re.findall(r"`(test_g\w+)`", page))
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    assert named
    assert {name for name in named if f"def {name}(" not in "".join(files.values())} == set()
    assert set(re.findall(r"`(test_\w+\.py)`", page)) <= {path.name for path in files}
    of_shards = "".join(text for path, text in files.items() if path.parent.name == "shards")
    assert set(re.findall(r"def (test_g\d\w+)\(", of_shards)) <= named
