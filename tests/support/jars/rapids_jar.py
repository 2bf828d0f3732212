"""The RAPIDS Accelerator's jar, fetched once into build/rapids.

`python -m tests.support.jars.rapids_jar` fetches it.

Spark's own resolver fetches it: 1 GB. The parent of its POM is not published, so the resolver is
told to do without POMs: the jar holds all that it needs. Its SHA-256 is compared with
rapids-jar.sha256.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.jars.spark_packages import fetch
from tests.support.paths import ROOT

TRIES = 3
_DIGEST, _NAME = Path(__file__).with_name("rapids-jar.sha256").read_text().split()
JAR = ROOT / "build/rapids" / _NAME
_RESOLVERS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""


def rapids_jar() -> Path:
    """The jar; skips where it can't be had, and fails where it is not the pinned one."""
    if (reason := why_no_jar()) is not None:
        say = pytest.fail if JAR.exists() else pytest.skip
        say(f"the RAPIDS Accelerator can't be had: {reason}")
    return JAR


def why_no_jar() -> str | None:
    """Fetch the jar, unless it is there; return why it can't be had."""
    for attempt in range(1, TRIES + 1):
        if (reason := _missing()) is None or JAR.exists() or shutil.which("java") is None:
            return reason
        print(f"fetching {JAR.name}, 1 GB (try {attempt} of {TRIES})", file=sys.stderr)
        _fetch()
    return _missing()


def _missing() -> str | None:
    if not JAR.exists():
        return f"{JAR.name} is not there"
    with JAR.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if found == _DIGEST else f"{JAR.name} has SHA-256 {found}, but {_DIGEST} is pinned"


def _fetch() -> None:
    JAR.parent.mkdir(parents=True, exist_ok=True)
    artifact, _, version = JAR.stem.rpartition("-")
    with tempfile.TemporaryDirectory(dir=JAR.parent) as folder:
        Path(folder, "resolvers.xml").write_text(_RESOLVERS)
        package = ("--packages", f"com.nvidia:{artifact}:{version}")
        resolvers = ("--conf", f"spark.jars.ivySettings={folder}/resolvers.xml")
        fetched = Path(folder, "ivy/jars", f"com.nvidia_{JAR.name}")
        if fetch(folder, *package, *resolvers, seconds=600) and fetched.exists():
            fetched.replace(JAR)


if __name__ == "__main__":
    if (missing := why_no_jar()) is not None:
        sys.exit(missing)
    print(JAR)
