"""The facts that a run notes about a directory of Parquet files."""

import hashlib

from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.directory import fingerprint


def test_a_fingerprint_stays_as_earlier_versions_noted_it():
    files = [
        FileInfo("file:/images/ü 1.parquet", 10, 1_700_000_000_000),
        FileInfo("s3a://b/2", 0, 5),
    ]
    lines = "file:/images/ü 1.parquet\t10\t1700000000000\ns3a://b/2\t0\t5\n"
    assert fingerprint(files) == hashlib.sha256(lines.encode()).hexdigest()
