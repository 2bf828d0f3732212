"""What Spark needs to reach S3, fetched once into build/s3-jars.

`python -m tests.support.jars.s3_jars` fetches it.

Spark's own resolver fetches them. S3A asks for a jar with all of Amazon's SDK, which weighs 545 MB;
the modules that it uses weigh 10, so these are named: of the version that Hadoop 3.4.2 takes, for
2.24.6, which Hadoop 3.4.1 takes, is not to be had whole. What Spark ships is left out. Each jar's
SHA-256 is compared with s3-jars.sha256.
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

TRIES = 4
JARS = ROOT / "build/s3-jars"
PINNED = dict(
    reversed(line.split())
    for line in Path(__file__).with_name("s3-jars.sha256").read_text().splitlines()
)
_SDK = "software.amazon.awssdk"
PACKAGES = [
    "org.apache.hadoop:hadoop-aws:3.4.1",
    "org.apache.spark:spark-hadoop-cloud_2.13:4.0.2",
    *(
        f"{_SDK}:{module}:2.29.52"
        for module in ("s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client")
    ),
]
EXCLUDED = [
    f"{_SDK}:bundle",
    "org.wildfly.openssl:wildfly-openssl",
    *(
        f"org.apache.hadoop:hadoop-{name}"
        for name in ("azure", "azure-datalake", "client-api", "client-runtime", "cloud-storage")
    ),
    "com.fasterxml.jackson.core:jackson-annotations",
    "com.fasterxml.jackson.core:jackson-core",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-cbor",
    "com.google.cloud.bigdataoss:gcs-connector",
    "com.google.guava:guava",
    "com.squareup.okhttp3:okhttp",
    "commons-codec:commons-codec",
    "commons-logging:commons-logging",
    "joda-time:joda-time",
    "org.apache.httpcomponents:httpclient",
    "org.apache.httpcomponents:httpcore",
    "org.eclipse.jetty:jetty-util",
    "org.eclipse.jetty:jetty-util-ajax",
    "org.scala-lang:scala-library",
    "org.slf4j:slf4j-api",
    *(
        f"io.netty:netty-{name}"
        for name in (
            *("all", "buffer", "codec", "codec-http", "codec-http2", "common", "handler"),
            *("resolver", "transport", "transport-classes-epoll", "transport-native-unix-common"),
        )
    ),
]


def s3_jars() -> list[Path]:
    """The jars; skips where they can't be had."""
    for attempt in range(1, TRIES + 1):
        if (reason := _missing()) is None:
            return [JARS / name for name in PINNED]
        if "s3-jars.sha256" in reason or shutil.which("java") is None:
            break
        print(f"fetching S3's jars (try {attempt} of {TRIES}): {reason}", file=sys.stderr)
        _fetch()
    if (reason := _missing()) is None:
        return [JARS / name for name in PINNED]
    pytest.skip(f"what Spark needs for S3 can't be had: {reason}")


def _missing() -> str | None:
    """Why the jars can't be used."""
    for name, digest in PINNED.items():
        if not (JARS / name).exists():
            return f"{name} is not there"
        if (found := hashlib.sha256((JARS / name).read_bytes()).hexdigest()) != digest:
            return f"{name} has SHA-256 {found}, but s3-jars.sha256 has {digest}"
    return None


def _fetch() -> None:
    JARS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS.parent) as folder:
        packages = ("--packages", ",".join(PACKAGES), "--exclude-packages", ",".join(EXCLUDED))
        if not fetch(folder, *packages, seconds=300):
            return
        JARS.mkdir(exist_ok=True)
        for name in PINNED:  # one by one: another process may be at the same
            Path(folder, "ivy/jars", name).replace(JARS / name)


if __name__ == "__main__":
    print("\n".join(str(jar) for jar in s3_jars()))
