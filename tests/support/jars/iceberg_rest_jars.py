"""Iceberg's REST catalog and its client of S3, fetched once into build/iceberg-rest.

`python -m tests.support.jars.iceberg_rest_jars` fetches them: 74 MB.

The server is that of Iceberg's own tests, which needs Iceberg's jars as they are before they go
into the runtime for Spark. Everything else that it needs is among Spark's jars. Spark's own
resolver fetches them, without what they depend on. Each jar's SHA-256 is compared with
iceberg-rest-jars.sha256.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.jars.spark_packages import fetch
from tests.support.paths import ROOT

TRIES = 4
JARS = ROOT / "build/iceberg-rest"
PINNED = dict(
    reversed(line.split())
    for line in Path(__file__).with_name("iceberg-rest-jars.sha256").read_text().splitlines()
)
_VERSION = "1.11.0"
# Amazon's SDK, for S3FileIO.
AWS_BUNDLE = JARS / f"iceberg-aws-bundle-{_VERSION}.jar"
_TESTS = [f"org.apache.iceberg:iceberg-core:{_VERSION}"]
_PACKAGES = [
    *(
        f"org.apache.iceberg:iceberg-{name}:{_VERSION}"
        for name in ("api", "aws", "aws-bundle", "bundled-guava", "common", "core")
    ),
    "org.apache.httpcomponents.client5:httpclient5:5.6.1",
    "org.apache.httpcomponents.core5:httpcore5:5.4",
    "org.apache.httpcomponents.core5:httpcore5-h2:5.4",
    "com.github.ben-manes.caffeine:caffeine:2.9.3",
    "dev.failsafe:failsafe:3.3.2",
]
_RESOLVERS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false" {pattern}/></resolvers>
</ivysettings>
"""
_PATTERN = 'pattern="[organisation]/[module]/[revision]/[artifact]-[revision]{}.[ext]"'


def why_no_jars() -> str | None:
    """Fetch the jars, unless they are there; return why they can't be had."""
    for attempt in range(1, TRIES + 1):
        if (reason := _missing()) is None or "SHA-256" in reason or shutil.which("java") is None:
            return reason
        print(f"fetching Iceberg's jars, 74 MB (try {attempt} of {TRIES})", file=sys.stderr)
        _fetch(_PACKAGES, "")
        _fetch(_TESTS, "-tests")
    return _missing()


def _missing() -> str | None:
    for name, digest in PINNED.items():
        if not (JARS / name).exists():
            return f"{name} is not there"
        if (found := hashlib.sha256((JARS / name).read_bytes()).hexdigest()) != digest:
            return f"{name} has SHA-256 {found}, but {digest} is pinned"
    return None


def _fetch(packages: Sequence[str], classifier: str) -> None:
    """Fetch packages, or their jars of a classifier such as `-tests`."""
    JARS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS) as folder:
        resolvers = _RESOLVERS.format(pattern=_PATTERN.format(classifier))
        Path(folder, "resolvers.xml").write_text(resolvers)
        flags = ["--packages", ",".join(packages)]
        flags += ["--conf", f"spark.jars.ivySettings={folder}/resolvers.xml"]
        if not fetch(folder, *flags, seconds=300):
            return
        for package in packages:
            group, artifact, version = package.split(":")
            fetched = Path(folder, f"ivy/jars/{group}_{artifact}-{version}.jar")
            fetched.replace(JARS / f"{artifact}-{version}{classifier}.jar")


if __name__ == "__main__":
    if (missing := why_no_jars()) is not None:
        sys.exit(missing)
    print("\n".join(str(JARS / name) for name in PINNED))
