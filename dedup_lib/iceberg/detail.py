"""Find an Iceberg table by its name in the catalog: its branch, snapshot and properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import (
    SettingsError,
    StorageError,
    TableFormatError,
    TableNotFoundError,
    UnsupportedError,
)
from dedup_lib.iceberg.bad_tables import is_of_iceberg, why_unread
from dedup_lib.session.conf import SCAN_SETTINGS
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import cores, get_setting, is_connect
from dedup_lib.session.sql_names import name_parts, quoted, sql_name, sql_text
from dedup_lib.tables.pinned import PinnedTable

MAIN = "main"
_REF = re.compile(r"(branch|tag)_(.+)", re.DOTALL)
# Catalogs whose tables are Iceberg's only, and those that may also hold others.
_CATALOG = "org.apache.iceberg.spark.SparkCatalog"
_NOT_ICEBERG = ("org.apache.spark.sql.delta.",)
# As Spark weighs the files of other tables: opening one takes as long as reading so many bytes.
_FILE_WEIGHT = 4 * 1024**2
_SPLIT = "spark.sql.files.maxPartitionBytes"
_BATCH = "spark.sql.parquet.columnarReaderBatchSize"
# Settings of a session that redirect reads and writes of tables with `write.wap.enabled`.
_WAP_SETTINGS = ("spark.wap.branch", "spark.wap.id")


@dataclass(frozen=True)
class Detail:
    """An Iceberg table as it was when a run looked.

    Attributes:
        name: The table's name for SQL, in quotes, without a branch or tag.
        ref: The branch or tag that is read.
        snapshot_id: The ID of the snapshot that the ref names; None for a table without one.
        location: The directory, as the catalog spells it.
        properties: The table's properties, and `format-version`.
        ref_name: The name for SQL with the branch or tag; None for main.
    """

    name: str
    ref: str
    snapshot_id: int | None
    location: str
    properties: Mapping[str, str]
    ref_name: str | None = None

    @property
    def format_version(self) -> int:
        """The version of the table's format: 1, 2 or 3."""
        return int(self.properties.get("format-version", "2"))


def detail_of(table: PinnedTable) -> Detail:
    """Return what was found out about a pinned Iceberg table."""
    found: Detail = table.detail["iceberg"]
    return found


def is_iceberg_name(spark: SparkSession, name: str) -> bool:
    """Tell whether a name is that of an Iceberg table, or of one that would be Iceberg.

    *Cost:* nothing for catalogs of one format; one request for those that hold several.
    """
    catalog = get_setting(spark, f"spark.sql.catalog.{catalog_of(spark, name)}")
    if catalog is None or catalog.startswith(_NOT_ICEBERG):
        return False
    if catalog == _CATALOG:
        return True
    try:
        return _described(spark, sql_name(name)).get("Provider") == "iceberg"
    except SPARK_ERRORS as error:
        return is_of_iceberg(error)


def read_detail(spark: SparkSession, name: str) -> Detail:
    """Look a table up, past what the session remembers of it.

    Raises:
        TableNotFoundError: There is no such table, branch or tag.
        TableFormatError: It is not an Iceberg table.
        ColumnTypeError: It has a column that Spark can't read.
        UnsupportedError: Settings of the session would redirect reads or writes; or Iceberg's
            runtime is missing.
    """
    table, ref = sql_name(name), MAIN
    try:
        table, ref = split_ref(spark, name)
        table = full_name(spark, table)
        described = _described(spark, table)
        if described.get("Provider") != "iceberg":
            raise TableFormatError(f"table {name!r} is not an Iceberg table.")
        spark.sql(f"REFRESH TABLE {table}").collect()
        rows = spark.sql(f"SHOW TBLPROPERTIES {table}").collect()
        properties = {row["key"]: row["value"] for row in rows}
        snapshot_id = snapshot_of(spark, table, ref)
    except SPARK_ERRORS as error:
        raise why_unread(spark, name, table, error) from error
    if snapshot_id is None and ref != MAIN:
        raise TableNotFoundError(f"table {name!r} has no branch or tag {ref!r}.")
    if properties.get("write.wap.enabled", "").lower() == "true":
        _check_not_redirected(spark, name)
    ref_name = None if ref == MAIN else f"{table}.{quoted(name_parts(name)[-1])}"
    return Detail(table, ref, snapshot_id, described["Location"], properties, ref_name)


def snapshot_of(spark: SparkSession, table: str, ref: str) -> int | None:
    """Return the ID of the snapshot that a branch or tag names; None if there is no such ref."""
    refs = spark.sql(f"SELECT name, snapshot_id FROM {table}.refs")
    found = [row["snapshot_id"] for row in refs.collect() if row["name"] == ref]
    return int(found[0]) if found else None


def read_snapshot(
    spark: SparkSession, detail: Detail, options: Mapping[str, str] = MappingProxyType({})
) -> DataFrame:
    """Read the rows of a table's snapshot, lazily, under the table's current schema.

    A column is found by its field ID, whatever its name was then. (`VERSION AS OF` would give the
    names and types of that time.)
    """
    reader = spark.read.options(**options)
    if detail.snapshot_id is None:
        return reader.table(detail.name).where(F.lit(False))
    if detail.ref_name is not None and is_connect(spark):
        # There, one query reads one snapshot for each name: the name tells a tag from its table.
        return reader.table(detail.ref_name)
    return reader.option("snapshot-id", str(detail.snapshot_id)).table(detail.name)


def reader_options(
    spark: SparkSession, detail: Detail, settings: Mapping[str, str] = SCAN_SETTINGS
) -> dict[str, str]:
    """Return options that do what settings do for other tables; Iceberg does not know these.

    By itself it makes a task for every 128 MB of files, or even every 16 MB.

    Args:
        spark: The session.
        detail: The table.
        settings: How many bytes of files a task reads at most, and perhaps how many rows a batch
            has. A small table still gets a task for each core.

    *Cost:* a scan of the snapshot's manifests. (Its summary does not tell the size: `add_files`
    counts no bytes.)
    """
    if detail.snapshot_id is None:
        return {}
    weights = metadata_table(spark, detail, "data_files").select(
        F.coalesce(F.sum(F.col("file_size_in_bytes") + _FILE_WEIGHT), F.lit(0))
    )
    weight = int(weights.collect()[0][0])
    split = max(min(int(settings[_SPLIT]), -(-weight // cores(spark))), _FILE_WEIGHT)
    options = {"split-size": str(split), "file-open-cost": str(_FILE_WEIGHT)}
    return options | ({"batch-size": settings[_BATCH]} if _BATCH in settings else {})


def metadata_table(spark: SparkSession, detail: Detail, name: str) -> DataFrame:
    """Read one of a table's metadata tables, such as `files`, at its snapshot."""
    reader = spark.read
    if detail.snapshot_id is not None:
        reader = reader.option("snapshot-id", str(detail.snapshot_id))
    return reader.table(f"{detail.name}.{quoted(name)}")


def root_of(session: Session, location: str) -> str:
    """Return the canonical URI of a table's directory; in a store, at least as Iceberg spells it.

    Iceberg may reach a store that Hadoop does not know, by a FileIO of its own.
    """
    try:
        return session.storage.canonical(location)
    except StorageError:
        if "://" not in location:
            raise
        return location.rstrip("/")


def names_ref(spark: SparkSession, name: str) -> bool:
    """Tell whether a name is that of a branch or tag of a table."""
    return split_ref(spark, name)[1] != MAIN


def full_name(spark: SparkSession, name: str) -> str:
    """Spell a table's name for SQL with its catalog and schema, as procedures need them."""
    parts = name_parts(name)
    if len(parts) == 1:
        schema = spark.catalog.currentDatabase()
        parts = [*(name_parts(schema) if schema else ()), *parts]
    if not _has_catalog(spark, parts):
        parts.insert(0, spark.catalog.currentCatalog())
    return ".".join(map(quoted, parts))


def catalog_of(spark: SparkSession, name: str) -> str:
    """Return the catalog of a table's name."""
    parts = name_parts(name)
    return parts[0] if _has_catalog(spark, parts) else spark.catalog.currentCatalog()


def spell_call(
    table: str, procedure: str, options: Mapping[str, str] | None = None, **arguments: object
) -> str:
    """Spell the call of one of a catalog's procedures for a table.

    Args:
        table: The table's name for SQL, with its catalog.
        procedure: The procedure's name.
        options: Its map of options, if it takes one.
        arguments: Its other arguments.
    """
    given = {"table": table, **arguments}
    spelled = [f"{key} => {_literal(value)}" for key, value in given.items()]
    if options is not None:
        pairs = ", ".join(_literal(text) for pair in options.items() for text in pair)
        spelled.append(f"options => map({pairs})")
    return f"CALL {quoted(name_parts(table)[0])}.system.{procedure}({', '.join(spelled)})"


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else sql_text(str(value))


def _has_catalog(spark: SparkSession, parts: list[str]) -> bool:
    return len(parts) > 1 and get_setting(spark, f"spark.sql.catalog.{parts[0]}") is not None


def split_ref(spark: SparkSession, name: str) -> tuple[str, str]:
    """Return a table's name for SQL, and its branch or tag."""
    *parents, last = name_parts(name)
    match = _REF.fullmatch(last)
    if match is None or not parents:
        return sql_name(name), MAIN
    table = ".".join(map(quoted, parents))
    try:  # a table may have such a name; Iceberg then reads that table
        is_table = name_parts(_described(spark, sql_name(name))["Name"])[-1] == last
    except (*SPARK_ERRORS, KeyError, SettingsError):
        is_table = not spark.catalog.tableExists(full_name(spark, table))
    return (sql_name(name), MAIN) if is_table else (table, match[2])


def _described(spark: SparkSession, table: str) -> dict[str, str]:
    rows = spark.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()
    facts = ("Name", "Provider", "Location", "Type")
    return {row["col_name"]: row["data_type"] for row in rows if row["col_name"] in facts}


def _check_not_redirected(spark: SparkSession, name: str) -> None:
    for key in _WAP_SETTINGS:
        if get_setting(spark, key) is not None:
            raise UnsupportedError(
                f"the session sets {key}, which redirects reads and writes of {name!r} (it has "
                "write.wap.enabled): leave the setting out for this run."
            )
