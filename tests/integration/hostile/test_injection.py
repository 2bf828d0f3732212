"""What a name, path or key says is never taken for SQL, nor for a setting of the machine."""

import ast
import contextlib
import uuid

import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext  # noqa: TID251  # its JVM, also that of Connect's server
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import functions as F

from dedup_lib.delta import delete, history
from dedup_lib.delta.detail import new_table_root
from dedup_lib.errors import DedupError, SettingsError, TableNotFoundError, UnsupportedError
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import name_parts, quoted, sql_name
from dedup_lib.tables.read import read_images
from dedup_lib.tables.registry import format_named
from tests.support.paths import ROOT
from tests.support.tables.made import image_rows, write_list, write_parquet

# The first closes a quoted name, the second a text, the third is read from the environment.
HOSTILE = "a`; DROP TABLE victim; --'\"/*${env:HOME}"
# A column called ${…} is refused where Spark reads Parquet: Hadoop would fill it in.
COLUMN = HOSTILE.replace("${", "$")
# The same of characters that Delta takes without column mapping.
PLAINER = "a`b'\"--/*c*/"
NAMES = [
    "a; DROP TABLE victim",
    "a;DROP",
    "victim;",
    "a`; DROP TABLE victim; --",
    "`a`; DROP TABLE victim",
    "`a``; DROP TABLE victim; --`",
    "victim--",
    "victim -- x",
    "victim'",
    'victim"',
    "victim`",
    "``",
    "victim\nx",
    "`victim`.`x`",
    "`victim.x`",
    "victim.",
    "${env:HOME}",
    "a.b.c.d",
    "victim\x00",
    "victim\u202e",
]


def table_names(spark):
    return sorted(row["tableName"] for row in spark.sql("SHOW TABLES").collect())


@pytest.fixture(scope="module")
def victim(spark):
    """A table that is there afterwards as it was before."""
    spark.sql("CREATE TABLE victim USING delta AS SELECT 'x' AS image_id")
    tables = table_names(spark)
    yield
    assert table_names(spark) == tables
    assert spark.table("victim").count() == 1
    assert len(spark.sql("DESCRIBE HISTORY victim").collect()) == 1
    spark.sql("DROP TABLE victim")


@pytest.fixture
def images(tmp_path):
    return write_parquet(image_rows(["a", "b", "c"]), tmp_path / "images/1.parquet").parent


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


@pytest.mark.parametrize("name", NAMES)
def test_g16_a_table_name_is_just_no_table_whatever_it_says(spark, victim, name):
    with pytest.raises((SettingsError, TableNotFoundError)):
        read_images(Session(spark, open_storage(spark)), name, "auto")
    with contextlib.suppress(SettingsError, AnalysisException):  # such as a schema that isn't
        session = Session(spark, open_storage(spark))
        assert not format_named("delta").find_target(session, name, "overwrite").exists
        assert new_table_root(Session(spark, open_storage(spark)), name).startswith("file:")


def test_g16_a_table_that_cant_be_made_is_not_made(remove, victim, images, listed):
    with pytest.raises((DedupError, AnalysisException)):
        remove(images, listed, "`a``; DROP TABLE victim; --`")


def test_g16_columns_paths_and_run_keys_are_taken_as_they_are_spelled(
    spark, remove, victim, tmp_path
):
    table = image_rows(["a", "b", "c"]).rename_columns([COLUMN, PLAINER, "width", "a.b", "a\nb"])
    place = tmp_path / HOSTILE.replace("/", "\n")
    images = write_parquet(table, place / "images/p=1/1.parquet").parent.parent
    lists = write_list(place / "list/1.parquet", ["b"], column=COLUMN).parent
    settings = {"image_id_column": COLUMN, "duplicate_id_column": COLUMN}
    remove(images, lists, place / "out", run_key=HOSTILE, **settings)
    assert pq.read_table(place / "out/p=1/1.parquet")[COLUMN].to_pylist() == ["a", "c"]
    delta = {"output_format": "delta", "engine": "spark", **settings}
    remove(images, lists, place / "delta", removed_output=str(place / "removed"), **delta)
    assert ids(spark, place / "delta") == ["a", "c"]
    more = write_list(place / "more.parquet", ["c"], column=COLUMN)
    for repeated in (False, True):
        done = remove(
            *(place / "delta", more, None),
            method="in-place",
            run_key=HOSTILE,
            enable_deletion_vectors=True,
            **settings,
        )
        assert done.repeated == repeated
    assert ids(spark, place / "delta") == ["a"]


def test_g16_a_clone_takes_paths_and_columns_as_they_are_spelled(
    spark, remove, victim, tmp_path, listed
):
    rows = image_rows(["a", "b", "c"])
    rows = rows.rename_columns([PLAINER, *rows.column_names[1:]])
    settings = {"image_id_column": PLAINER, "method": "clone"}
    output = tmp_path / "it's`a;(${env:HOME})" / "{source}"
    for name, partition in (("it's`a; --(", ""), ("it's(1)", "p=1")):
        write_parquet(rows, tmp_path / name / partition / "1.parquet")
        remove(tmp_path / name, listed, output / name, **settings)
        assert ids(spark, output / name) == ["a", "c"]
    write_parquet(rows, tmp_path / "${env:HOME}/1.parquet")
    with pytest.raises(UnsupportedError, match="would read the path as a pattern"):
        remove(tmp_path / "${env:HOME}", listed, output / "x", **settings)


def ids(spark, path):
    frame = spark.read.format("delta").load(str(path))
    return sorted(row[0] for row in frame.select(F.col(quoted(frame.columns[0]))).collect())


def test_g16_what_a_foreign_delta_log_says_is_not_run(spark, monkeypatch):
    """A hostile table's history and properties: texts that would call a function of Java's."""
    key = f"pwned-{uuid.uuid4().hex}"
    call = f"reflect('java.lang.System', 'setProperty', '{key}', '1')"
    restore = {"version": None, "timestamp": f"2026-01-01' AS instant, {call} AS x --"}
    with pytest.raises(PySparkException):
        history._restored(spark, {}, {"operationParameters": restore})
    retention = f"interval 1 week AS time, {call}) --"
    detail = {"properties": {"delta.deletedFileRetentionDuration": retention}}
    monkeypatch.setattr(delete, "delta_detail", lambda *_: detail)
    assert delete.vacuum_time(spark, "/t") is None
    assert SparkContext._jvm.java.lang.System.getProperty(key) is None


@pytest.mark.parametrize(
    ("name", "parts", "spelled"),
    [
        ("a.b", ["a", "b"], "`a`.`b`"),
        ("`a.b`.c", ["a.b", "c"], "`a.b`.`c`"),
        ("`a``b`", ["a`b"], "`a``b`"),
        ("a;b--", ["a;b--"], "`a;b--`"),
    ],
)
def test_g16_every_part_of_a_table_name_is_quoted(name, parts, spelled):
    assert name_parts(name) == parts
    assert sql_name(name) == spelled


# What statements are put together of: names that were quoted, numbers, and names of our own making.
SQL_PARTS = {
    "sql_name(location)", "sql_name(self.target.location)", "sql_name(staged.location)",
    "sql_name(output)",
    "quoted(image_id_column)", "quoted(name)", "quoted(staged.location)", "quoted_schema", "table",
    "column", "name", "view", "version", "limit", "source",
    "DELETION_VECTORS", "staged.version or 0",
    # Of Iceberg: names and texts that are spelled for SQL already, and constants.
    "detail.name", "self.detail.name", "branch.written", "spelled", "doubled", "columns", "hint",
    "DELETE_MODE", "MERGE_ON_READ", "MADE_BY",
}  # fmt: skip


def test_g16_sql_is_put_together_of_quoted_names_alone():
    found = set()
    for path in (ROOT / "dedup_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"sql", "expr"}:
                parts = [part for part in ast.walk(node) if isinstance(part, ast.FormattedValue)]
                found |= {ast.unparse(part.value) for part in parts}
    assert found <= SQL_PARTS
