"""What is built, installed and downloaded is the same every time, and looked at."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.paths import ROOT

LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob("tests/**/*.lock")])
PINS = sorted([ROOT / "conf/spark/jars.sha256", *ROOT.glob("tests/matrix/*.sha256")])
BUILT_FROM = ("dedup_lib", "jobs", "conf", "docs", "pyproject.toml", "README.md", "SECURITY.md",
    "CHANGELOG.md", "LICENSE", ".gitignore")  # fmt: skip


def module(path, monkeypatch):
    monkeypatch.syspath_prepend(str((ROOT / path).parent))
    spec = importlib.util.spec_from_file_location(f"tested_{(ROOT / path).stem}", ROOT / path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def build(folder, *, umask, age_seconds, **environment):
    """Build wheel and sdist of a copy of the project: the digests, by name."""
    folder.mkdir()
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & ~umask)
        os.utime(path, (1_700_000_000 + age_seconds,) * 2)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", "built"],
        cwd=folder,
        env={**os.environ, **environment},
        umask=umask,
        check=True,
        capture_output=True,
    )
    built = (folder / "built").iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built}


def test_g17_two_builds_are_the_same_files_to_the_byte(tmp_path):
    """At other times, places and modes, with another time zone, language and order of hashes."""
    one = build(tmp_path / "one", umask=0o022, age_seconds=0, TZ="UTC", PYTHONHASHSEED="1")
    other = build(
        tmp_path / "another place",
        umask=0o077,
        age_seconds=12_345_678,
        TZ="Asia/Kathmandu",
        LC_ALL="C",
        PYTHONHASHSEED="2",
    )
    assert sorted(name.rpartition(".")[2] for name in one) == ["gz", "whl"]
    assert one == other


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_g17_every_locked_package_has_one_version_and_hashes_and_no_address(lock):
    requirements = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert requirements
    for text in requirements:
        assert re.match(r"[\w.-]+==[\w.+!]+( ;.*)? \\\n", text), text[:100]
        assert re.fullmatch(r"(.*\n)((    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)", text), text[:100]
    assert not re.search(r"://|^-|@", lock.read_text(), re.MULTILINE)


def test_g17_nothing_is_installed_without_hashes():
    for name in ("Makefile", "tests/benchmarks/curator_environment.py"):
        installs = [
            line
            for line in (ROOT / name).read_text().splitlines()
            if "pip install" in line or '"pip", "install"' in line
        ]
        assert installs
        for line in installs:
            assert "--require-hashes" in line or "--editable ." in line or "*options" in line
    assert '"--require-hashes"' in (ROOT / "tests/benchmarks/curator_environment.py").read_text()


def test_g17_a_jar_that_is_not_the_pinned_one_is_not_installed(monkeypatch, tmp_path):
    prepare_spark = module("conf/spark/prepare_spark.py", monkeypatch)
    jars = tmp_path / "jars"
    for folder in (jars, tmp_path / "ivy/jars"):
        folder.mkdir(parents=True)
    fetched = tmp_path / "ivy/jars/org.apache.iceberg_x.jar"
    fetched.write_bytes(b"as pinned")
    pinned = {"x.jar": hashlib.sha256(b"as pinned").hexdigest()}
    prepare_spark.install(tmp_path, pinned, jars)
    monkeypatch.setattr(prepare_spark, "JARS", jars)
    assert prepare_spark.is_complete(pinned)
    fetched.write_bytes(b"changed")
    with pytest.raises(SystemExit, match="is pinned"):
        prepare_spark.install(tmp_path, pinned, jars)
    assert (jars / "x.jar").read_bytes() == b"as pinned"
    (jars / "x.jar").write_bytes(b"changed")
    assert not prepare_spark.is_complete(pinned)


def test_g17_all_jars_that_are_downloaded_are_pinned(monkeypatch):
    prepare_spark = module("conf/spark/prepare_spark.py", monkeypatch)
    for pins in PINS:
        jars = prepare_spark.read_pins(pins)
        packages = [one.split(":") for one in prepare_spark.packages_of(jars).split(",")]
        assert {f"{artifact}-{version}.jar" for _, artifact, version in packages} <= set(jars)
        (version,) = [version for group, _, version in packages if group == "io.delta"]
        assert f"delta-storage-{version}.jar" in jars
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in jars.values())


KNOWN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "version": "1", "skip_reason": "not found"}
VULNERABLE = {"name": "c", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("found", "says", "code", "message"),
    [
        ([KNOWN], "", 0, "0 known vulnerabilities"),
        ([KNOWN, UNKNOWN], "", 0, "it knows nothing of b"),
        ([KNOWN, VULNERABLE], "", 1, "c 1 has CVE-1, fixed in 2"),
        ([UNKNOWN], "", 0, "SKIPPED, for no advisory database can be reached: pypi knows none"),
        (None, "x\nConnectionError: Max retries", 0, "SKIPPED, for no advisory database"),
        (None, "hashes do not match", "hashes do not match", ""),
    ],
    ids=["clean", "partly known", "vulnerable", "a mirror", "no network", "another failure"],
)
def test_g17_an_audit_fails_for_what_it_finds_and_says_when_it_could_not_look(
    monkeypatch, capsys, found, says, code, message
):
    audit = module(".ci/audit.py", monkeypatch)

    def run(command, **_):
        if found is not None:
            Path(command[command.index("--output") + 1]).write_text(
                json.dumps({"dependencies": found})
            )
        return SimpleNamespace(stderr=says)

    monkeypatch.setattr(audit.subprocess, "run", run)
    if isinstance(code, str):
        with pytest.raises(SystemExit, match=code):
            audit.main()
        return
    assert audit.main() == code
    assert message in capsys.readouterr().out


def test_g17_what_an_audit_found_counts_though_the_network_fails_afterwards(monkeypatch, capsys):
    audit = module(".ci/audit.py", monkeypatch)
    answers = iter([[KNOWN], [VULNERABLE]])

    def dependencies(*_):
        for answer in answers:
            return answer
        raise audit.UnreachableError("gone")

    monkeypatch.setattr(audit, "dependencies", dependencies)
    assert audit.main() == 1
    assert "SKIPPED" in capsys.readouterr().out


def test_g17_the_bill_of_materials_names_all_that_is_pinned(monkeypatch):
    pinned = module(".ci/pinned.py", monkeypatch)
    assert pinned.lock_files() == sorted(LOCKS, key=lambda path: path.stat().st_size)
    packages = pinned.packages()
    for lock in LOCKS:
        for name, version in re.findall(r"^(\S+)==(\S+)", lock.read_text(), re.MULTILINE):
            assert str(lock.relative_to(ROOT)) in packages[name, version]
    jars = {line.split()[1] for path in PINS for line in path.read_text().splitlines()}
    assert sorted(f"{name}-{version}.jar" for name, version, _ in pinned.jars()) == sorted(jars)
    pytest.importorskip("cyclonedx", reason="make audit installs it")
    bom = module(".ci/sbom.py", monkeypatch).bill_of_materials()
    assert len(bom.components) == len(packages) + len(pinned.jars())
    assert not any(component.external_references for component in bom.components)


def test_g17_ci_runs_the_audit():
    assert "make audit\n" in (ROOT / ".ci/run").read_text()
