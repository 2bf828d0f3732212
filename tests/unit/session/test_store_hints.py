"""What is said of a store that refuses or does not answer."""

import pytest

from dedup_lib.session.hadoop_errors import store_hint

REASONS = {
    "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found": (
        "hadoop-aws:3.4.1"
    ),
    'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"': "s3a://",
    'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "gs"': "jar",
    "S3Exception: Forbidden (Service: S3, Status Code: 403, Request ID: null)": "credentials",
    "java.net.ConnectException: Connection refused": "does not answer",
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_refusal_says_how_to_mend_it(reason):
    assert REASONS[reason] in store_hint(reason)


@pytest.mark.parametrize("reason", ["java.io.FileNotFoundException: No such file: s3a://b/x", ""])
def test_where_nothing_is_known_nothing_is_said(reason):
    assert store_hint(reason) == ""
