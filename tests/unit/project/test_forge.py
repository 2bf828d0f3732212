"""What a forge and its visitors find: workflows, commit hooks, and how to contribute."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
CONTRIBUTING = (ROOT / ".github/CONTRIBUTING.md").read_text()
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)


def recipe(target: str) -> list[str]:
    """Return the commands of a target, with the environment's folder filled in."""
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in lines.splitlines()]


LINTERS = [line for line in recipe("check") if ".github" in line]


def steps(workflow: Path) -> list[dict]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def made(workflow: Path) -> list[str]:
    """Return the targets that a workflow makes; each command must be make's."""
    found = []
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                (target,) = re.fullmatch(r'make (?:"\$TARGET"|([a-z-]+))', step["run"]).groups()
                found += [target] if target else job["strategy"]["matrix"]["target"]
    return found


def test_the_workflows_make_targets_that_exist():
    by_name = {path.stem: made(path) for path in WORKFLOWS}
    assert by_name["checks"] == ["check", "test"]
    assert "matrix" in by_name["nightly"]
    assert all(TARGETS.issuperset(targets) for targets in by_name.values())


@each_workflow
def test_g17_actions_are_pinned_by_hash_and_say_their_version(workflow):
    lines = re.findall(r"uses: *(.*)", workflow.read_text())
    assert len(lines) == sum("uses" in step for step in steps(workflow)) > 0
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_g17_no_file_for_the_forge_has_an_address_in_it():
    for path in (*WORKFLOWS, ROOT / ".github/CONTRIBUTING.md", ROOT / ".pre-commit-config.yaml"):
        assert not re.search(r"://|/(home|root)/", path.read_text()), path.name


@each_workflow
def test_g17_a_workflow_may_read_the_project_and_nothing_else(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in content["jobs"].values())


def test_g17_an_action_has_one_hash():
    found = [step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step]
    pins = {tuple(uses.split("@")) for uses in found}
    assert len({name for name, _ in pins}) == len(pins)


def complaints(folder: Path) -> str:
    """Run what `make check` runs on workflows in a folder, up to the first that fails."""
    for line in sorted(LINTERS, key=lambda line: "zizmor" not in line):  # the quick one first
        command = line.replace(".venv/bin", str(Path(sys.executable).parent))
        result = subprocess.run(
            command, shell=True, cwd=folder, check=False, capture_output=True, text=True
        )
        if result.returncode:
            return result.stdout + result.stderr
    return ""


def copy_of_the_project(folder: Path) -> Path:
    shutil.copytree(ROOT / ".github", folder / ".github")
    shutil.copy(ROOT / ".pre-commit-config.yaml", folder)
    return folder


def test_the_linters_of_workflows_find_nothing(tmp_path):
    assert len(LINTERS) == 3
    assert complaints(copy_of_the_project(tmp_path)) == ""


# What is written, what stands there instead, and what a linter says of it.
BROKEN = {
    "pinned by a tag": (r"@[0-9a-f]{40} # (v\d)\S*", r"@\1", "[unpinned-uses]"),
    "default rights": (r"\npermissions: \{\}\n", "\n", "[excessive-permissions]"),
    "token kept": (r"persist-credentials: false", "fetch-depth: 1", "[artipacked]"),
    "any number of runs": (r"\nconcurrency:\n(  .*\n)+", "\n", "[concurrency-limits]"),
    "injection": (r"make .*", "echo ${{ github.event.issue.title }}", "[template-injection]"),
    "not YAML": (r"runs-on: .*", "runs-on: [}", "checks.yml"),
    "unknown key": (r"timeout-minutes: \d+", "timeout-minuts: 90", "timeout-minuts"),
    "no timeout": (r"    timeout-minutes: .*\n", "", "'timeout-minutes' is a required property"),
}


@pytest.mark.parametrize(("written", "instead", "complaint"), BROKEN.values(), ids=BROKEN)
def test_the_linters_of_workflows_can_fail(tmp_path, written, instead, complaint):
    path = copy_of_the_project(tmp_path) / ".github/workflows/checks.yml"
    text, count = re.subn(written, instead, path.read_text())
    assert count
    path.write_text(text)
    assert complaint in complaints(tmp_path)


def test_the_hooks_before_a_commit_are_what_make_check_runs():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    commands = []
    for hook in repo["hooks"]:
        assert hook["language"] == "system"
        names = "" if hook.get("pass_filenames") is False else " .github/workflows/*.yml"
        commands.append(hook["entry"] + names)
    assert commands == recipe("check")


def test_what_contributors_are_told_to_make_exists():
    named = set(re.findall(r"\bmake ([a-z-]+)", CONTRIBUTING))
    assert {"setup", "check", "test"} <= named <= TARGETS


def test_the_files_that_contributors_are_told_of_exist():
    files = re.findall(r"`([\w./-]+\.(?:md|py|toml|yml))`", CONTRIBUTING)
    assert len(files) >= 5
    assert all((ROOT / name).is_file() for name in files)


def test_contributing_is_one_page():
    assert len(CONTRIBUTING.splitlines()) <= 80


def test_contributing_names_each_tool_that_make_check_runs():
    tools = {line.split()[0].rpartition("/")[2] for line in recipe("check")}
    named = {"lint-imports": "import-linter"}
    for tool in tools:
        assert f"| {named.get(tool, tool)} |" in CONTRIBUTING
