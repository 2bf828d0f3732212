"""Listings of file systems that only Java reaches."""

import pytest

from dedup_lib.session import hadoop_storage
from dedup_lib.session.conf import session_settings
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.session.storage import FileInfo

pytestmark = pytest.mark.classic("it has no file systems of a JVM")
# As Hadoop prints the facts of a file.
FACTS = "; isDirectory=false; length=9; replication=9; blocksize=9; modification_time=9; "
NAMES = ["a.parquet", "k=x%2Fy ü/\U0001f600\n1.parquet", f"{FACTS}.parquet", "last"]


@pytest.fixture
def named(spark):
    """An iterator of Java's facts of a file of each name."""
    jvm = spark._jvm
    listed = jvm.java.util.ArrayList()
    for number, name in enumerate(NAMES, 1):
        path = jvm.org.apache.hadoop.fs.Path(f"hdfs://host/{name}")
        plain = jvm.org.apache.hadoop.fs.FileStatus(number, False, 1, 1, 1_700_000_000_000, path)
        listed.add(jvm.org.apache.hadoop.fs.LocatedFileStatus(plain, None))
    return jvm.org.apache.hadoop.util.functional.RemoteIterators.remoteIteratorFromIterable(listed)


def test_the_facts_of_files_are_read_from_what_java_prints(spark, named, monkeypatch):
    monkeypatch.setattr(hadoop_storage, "_FILES_AT_ONCE", 3)
    monkeypatch.setattr(hadoop_storage, "_ask", None)
    assert list(hadoop_storage._file_infos(spark._jvm, named)) == [
        FileInfo(f"hdfs://host/{name}", number, 1_700_000_000_000)
        for number, name in enumerate(NAMES, 1)
    ]


def test_facts_that_a_class_prints_wrong_are_asked_for(spark, tmp_path):
    """A file of viewfs prints that it has no bytes."""
    (tmp_path / "a.parquet").write_text("12345")
    with session_settings(spark, {"fs.viewfs.mounttable.listed.link./at": f"file:{tmp_path}"}):
        (found,) = HadoopStorage(spark).list_files("viewfs://listed/at")
    assert (found.path, found.size_bytes) == ("viewfs://listed/at/a.parquet", 5)
    assert found.modified_ms == (tmp_path / "a.parquet").stat().st_mtime_ns // 1_000_000


def test_an_empty_directory_has_no_files(spark, tmp_path):
    with session_settings(spark, {"fs.viewfs.mounttable.empty.link./at": f"file:{tmp_path}"}):
        assert HadoopStorage(spark).list_files("viewfs://empty/at") == []
