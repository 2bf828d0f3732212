"""Which directories are a table that its own metadata alone can read right."""

from fnmatch import fnmatchcase

import pytest
from pyspark.errors import AnalysisException

from dedup_lib.delta.detail import delta_detail
from dedup_lib.errors import OutputExistsError, TableFormatError
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.foreign import check_files, check_read, check_written, kind_of

UUID = "01a22465-ada2-7094-8301-fd611d6cf292"
TABLES = {
    "Delta table": [["_delta_log", "1.parquet"]],
    "Iceberg table": [
        ["data", "metadata", f"metadata/00002-{UUID}.metadata.json"],
        ["metadata", "metadata/v1.metadata.json"],
        ["metadata/v3.gz.metadata.json"],
        ["metadata/v3.metadata.json.gz"],
        ["metadata/version-hint.text"],
    ],
    "Hudi table": [
        [".hoodie", "p=1"],
        [".hoodie_partition_metadata", "1.parquet"],
        [".hoodie_partition_metadata.parquet"],
    ],
    "Paimon table": [
        ["snapshot", "manifest", "schema", "bucket-0", "bucket-1"],
        ["snapshot", "manifest", "bucket-postpone"],
        ["snapshot", "manifest", "schema", "p=1", "schema/schema-0"],
    ],
    "Lance table": [
        ["data", "_versions", "_versions/1.manifest"],
        ["_versions", "_transactions"],
        ["_versions", "_deletions"],
    ],
    "DuckLake table": [[f"ducklake-{UUID}.parquet"], [f"ducklake-{UUID}-delete.parquet"]],
    "Spark streaming output": [["_spark_metadata", "part-0.parquet"]],
}
NO_TABLES = [
    [],
    ["1.parquet", "p=1", "_SUCCESS", "_metadata", "_remove_duplicates.json"],
    ["data", "metadata"],
    ["metadata", "metadata/info.json", "metadata/metadata.json", "metadata/version-hint.txt"],
    ["data", "images.metadata.json"],
    ["snapshot", "manifest"],
    ["snapshot", "manifest", "schema", "data"],
    ["snapshot", "bucket-0", "schema", "schema/schema-0"],
    ["_versions", "data"],
    ["_versions", "_versions/notes.txt"],
    ["data", "_transactions", "_deletions"],
    ["ducklake-1.parquet", f"ducklake-{UUID}.csv", f"my-ducklake-{UUID}.parquet"],
    [f"ducklake-{UUID}0.parquet", f"ducklake-{UUID.upper()}.parquet", f"{UUID}.parquet"],
    ["hoodie", ".hoodies", "_spark_metadata.json", "my_delta_log"],
]


@pytest.mark.parametrize(
    ("name", "entries"), [(name, entries) for name, found in TABLES.items() for entries in found]
)
def test_a_table_is_known_by_what_is_in_its_directory(name, entries):
    kind, mark = kind_of(entries)
    assert kind.name == name
    assert mark in entries


@pytest.mark.parametrize("entries", NO_TABLES, ids=str)
def test_a_directory_with_something_alike_is_not_such_a_table(entries):
    assert kind_of(entries) is None


def test_a_delta_table_with_metadata_for_others_is_a_delta_table():
    kind, _ = kind_of(["_delta_log", ".hoodie", "metadata", "metadata/v1.metadata.json"])
    assert kind.name == "Delta table"


class Tree:
    """A storage of these directories, some of which may not be listed."""

    def __init__(self, *paths, unlisted=()):
        self.paths, self.unlisted, self.listings = paths, unlisted, []

    def find_names(self, directories, patterns):
        self.listings.append(list(directories))
        return [self._names(directory, patterns) for directory in directories]

    def _names(self, directory, patterns):
        if directory in self.paths:
            return [directory.rpartition("/")[2]]
        start = directory.rstrip("/") + "/"
        below = {path.removeprefix(start) for path in self.paths if path.startswith(start)}
        names = set() if directory in self.unlisted else {path.partition("/")[0] for path in below}
        return [name for name in names if any(fnmatchcase(name, like) for like in patterns)]


ICEBERG = Tree("file:/w/t/metadata/v1.metadata.json", "file:/w/t/data/p=1/x.parquet")


@pytest.mark.parametrize("below", ["data", "data/p=1", "data/p=1/x.parquet", "metadata", "new/er"])
def test_what_lies_in_a_table_is_refused_with_the_name_of_the_table(below):
    with pytest.raises(TableFormatError) as caught:
        check_read(ICEBERG, f"file:/w/t/{below}", "image table")
    assert str(caught.value) == (
        f"image table 'file:/w/t/{below}' lies in the Iceberg table 'file:/w/t' (known by its "
        "'metadata/v1.metadata.json'). Only its metadata says which rows are valid: its files also "
        "hold rows that were deleted, replaced or never committed. Give the table by its name "
        "in an Iceberg catalog, such as catalog.schema.table."
    )


def test_the_table_itself_is_refused_as_what_it_is():
    with pytest.raises(TableFormatError, match="removal list 'file:/w/t' is an Iceberg table"):
        check_read(ICEBERG, "file:/w/t", "removal list")
    with pytest.raises(OutputExistsError) as caught:
        check_written(ICEBERG, "file:/w/t", "output")
    assert str(caught.value) == (
        "output 'file:/w/t' is an Iceberg table (known by its 'metadata/v1.metadata.json'). "
        "Writing there could destroy it, and its clean-up could delete the new files. "
        "Choose a location outside of it."
    )


@pytest.mark.parametrize("beside", ["file:/w/other", "file:/w", "file:/w/t2/data", "s3a://w/t"])
def test_what_lies_beside_a_table_or_holds_it_is_not_refused(beside):
    check_read(ICEBERG, beside, "image table")
    check_written(ICEBERG, beside, "output")


def test_a_delta_table_is_refused_only_from_within():
    storage = Tree("file:/d/_delta_log/0.json", "file:/d/metadata/v1.metadata.json")
    check_written(storage, "file:/d", "output")
    with pytest.raises(OutputExistsError, match="lies in the Delta table 'file:/d'"):
        check_written(storage, "file:/d/p=1", "output")
    with pytest.raises(TableFormatError, match="Give the table itself"):
        check_read(storage, "file:/d/p=1", "image table")


def test_the_innermost_table_is_named():
    storage = Tree("file:/a/_spark_metadata/0", "file:/a/b/.hoodie/hoodie.properties")
    with pytest.raises(TableFormatError, match="lies in the Hudi table 'file:/a/b'"):
        check_read(storage, "file:/a/b/c", "image table")
    with pytest.raises(TableFormatError, match="'file:/a/c' lies in the Spark streaming output"):
        check_read(storage, "file:/a/c", "image table")


def test_parents_that_may_not_be_listed_are_passed_over():
    unlisted = ("s3a://b/", "s3a://b/w")
    storage = Tree("s3a://b/w/t/.hoodie/x", "s3a://b/w/u/1.parquet", unlisted=unlisted)
    check_read(storage, "s3a://b/w/u", "image table")
    with pytest.raises(TableFormatError, match="Hudi table 's3a://b/w/t'"):
        check_read(storage, "s3a://b/w/t/p=1", "image table")


def test_a_table_of_which_only_the_way_is_known_is_found():
    storage = Tree("s3a://b/t/_spark_metadata/0", unlisted=("s3a://b/t", "s3a://b/"))
    with pytest.raises(TableFormatError, match="lies in the Spark streaming output 's3a://b/t'"):
        check_read(storage, "s3a://b/t/_spark_metadata", "image table")


def test_a_file_of_ducklake_is_not_called_a_table_itself():
    file = f"file:/lake/t/ducklake-{UUID}.parquet"
    with pytest.raises(TableFormatError, match="lies in the DuckLake table 'file:/lake/t'"):
        check_read(Tree(file), file, "image table")


def test_one_listing_a_directory_and_one_of_what_may_hold_marks():
    storage = Tree("file:/a/metadata/info.json", "file:/a/b/1.parquet")
    check_read(storage, "file:/a/b", "image table")
    assert storage.listings == [["file:/a/b", "file:/a", "file:/"], ["file:/a/metadata"]]


def infos(*paths):
    return [FileInfo(path, 1, 1) for path in paths]


def test_files_in_partitions_tell_of_a_table_by_their_names():
    check_files(infos("file:/t/p=1/part-0.parquet"), "file:/t", "image table 'file:/t'")
    for name in (f"ducklake-{UUID}.parquet", ".hoodie_partition_metadata"):
        files = infos("file:/t/p=1/part-0.parquet", f"file:/t/p=2/{name}")
        with pytest.raises(TableFormatError, match=rf"'file:/t' holds 'file:/t/p=2/{name}' of a"):
            check_files(files, "file:/t", "image table 'file:/t'")


@pytest.mark.parametrize(
    ("name", "entries"), [(name, entries) for name, found in TABLES.items() for entries in found]
)
@pytest.mark.parametrize("root", ["file:/w", "s3a://b/"])
def test_a_table_below_a_directory_is_known_by_its_files(name, entries, root):
    """A listing has only files: a directory is in it by what it holds."""
    top = f"{root.rstrip('/')}/lake/t"
    inner = {entry.partition("/")[0] for entry in entries if "/" in entry}
    files = infos(*(f"{top}/{one}{'' if '.' in one[1:] else '/x'}" for one in set(entries) - inner))
    with pytest.raises(TableFormatError, match=rf"that holds '{top}/.*' of an? {name}\. Only its"):
        check_files([*infos(f"{top}/1.parquet"), *files], root, "image table that")


@pytest.mark.parametrize("entries", NO_TABLES, ids=str)
def test_files_below_a_directory_may_have_like_names(entries):
    inner = {entry.partition("/")[0] for entry in entries if "/" in entry}
    check_files(
        infos(*(f"file:/w/t/{one}/x" for one in set(entries) - inner)), "file:/w", "image table"
    )


def test_only_what_is_below_a_directory_counts():
    files = infos("file:/t/.hoodie/x/data/1.parquet", "file:/t/.hoodie/x/metadata/info.json")
    check_files(files, "file:/t/.hoodie/x", "image table")
    check_files(infos(f"file:/t/ducklake-{UUID}.parquet"), f"file:/t/ducklake-{UUID}.parquet", "x")
    check_files(infos("file:/t/metadata/v1.metadata.json"), "file:/t/metadata", "x")


class OtherCatalog:
    """A session that answers as Delta does of a table in a catalog of Iceberg's."""

    def sql(self, _):
        raise Refusal


class Refusal(AnalysisException):
    def __init__(self):
        super().__init__("Please provide the path or table identifier for DESCRIBE DETAIL.")

    def getCondition(self):  # noqa: N802  # pyspark's
        return "DELTA_OPERATION_MISSING_PATH"


def test_a_table_of_another_catalog_is_not_said_to_be_missing():
    message = "table 'ice.n.t' is not a Delta table, but one of another format, such as Iceberg"
    with pytest.raises(TableFormatError, match=message):
        delta_detail(OtherCatalog(), "ice.n.t")
