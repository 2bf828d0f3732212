"""The Iceberg table that a run writes to: examine it, make it, prepare it, drop it unfinished."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import (
    ConflictError,
    OutputExistsError,
    SettingsError,
    TableFormatError,
    TableNotFoundError,
    UnsupportedError,
)
from dedup_lib.iceberg import branch as branches
from dedup_lib.iceberg.bad_tables import check_extensions
from dedup_lib.iceberg.detail import (
    MAIN,
    Detail,
    full_name,
    names_ref,
    read_detail,
    root_of,
    snapshot_of,
    split_ref,
)
from dedup_lib.iceberg.history import read_snapshots
from dedup_lib.iceberg.layout import codec_of, layout_of, memory_properties
from dedup_lib.iceberg.output_schema import check_same_columns
from dedup_lib.locations import is_path
from dedup_lib.publish.owners import named_died_here, named_without_result, owner_name
from dedup_lib.session.failures import SPARK_ERRORS, exists_already, first_line
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import name_parts, quoted, sql_text
from dedup_lib.settings import OutputMode
from dedup_lib.tables.history import UNFINISHED
from dedup_lib.tables.target import UNKNOWN_SCHEME, Attempt, Origin, Target

_NAME = "iceberg"
_log = logging.getLogger(__name__)
# The property of a table that a run makes: its owner, until the table is published.
MADE_BY = "dedup-made-by"
# The branch of a table that a dead run left, by which one run claims it.
_CLAIM = "dedup-claim"


def find_target(
    session: Session,
    location: str,
    mode: OutputMode,
    *,
    may_replace: bool,
    may_append: bool,
    is_unfinished: bool,
) -> Target:
    """Look a table up that a run wants to write; a table that a dead run left counts as none.

    Raises:
        SettingsError: The location is a path, or names a branch.
        OutputExistsError: There is a table that the run may not replace.
        ConflictError: Another run is making the table.
        UnsupportedError: The session lacks Iceberg's extensions.
    """
    if is_path(location):
        raise SettingsError(
            f"output {location!r} is a path, but only a catalog can tell which state of an Iceberg "
            "table is the newest: give a table name (catalog.schema.table)."
        )
    check_extensions(session.spark)
    if names_ref(session.spark, location):
        return _find_branch(session, location, mode, may_replace=may_replace)
    try:
        detail = read_detail(session.spark, location)
    except TableNotFoundError:
        return Target(location, _NAME, mode, "commit", None, exists=False, may_replace=may_replace)
    except TableFormatError as error:
        raise OutputExistsError(
            f"output {location!r} exists and is not an Iceberg table that can be replaced: {error}"
        ) from error
    root = root_of(session, detail.location)
    is_left = is_unfinished or _is_unpublished(session.spark, detail)
    target = Target(
        location,
        _NAME,
        mode,
        "commit",
        root,
        exists=not is_left,
        may_replace=may_replace,
        version=None if is_left else detail.snapshot_id,
    )
    if is_left:
        if not is_unfinished:
            _check_was_left(detail, location)
    elif mode == "error" and not may_append:
        raise target.exists_error()
    return target


def root_of_new(session: Session, name: str) -> str:
    """Return the canonical URI of the directory that the catalog would give a new table.

    If the catalog does not reveal it, return a URI made from the name, which no file can have.
    """
    if names_ref(session.spark, name):
        return "/".join([f"{UNKNOWN_SCHEME}:", *name_parts(full_name(session.spark, name))])
    *schema, table = name_parts(full_name(session.spark, name))
    spelled = ".".join(map(quoted, schema))
    try:
        rows = session.spark.sql(f"DESCRIBE NAMESPACE {spelled}").collect()
    except SPARK_ERRORS as error:
        raise UnsupportedError(
            f"output {name!r}: its catalog does not know the schema {spelled}. Make it first "
            f"(CREATE SCHEMA {spelled}): {first_line(error)}"
        ) from error
    found = {row[0]: row[1] for row in rows}.get("Location")
    if not found:
        return "/".join([f"{UNKNOWN_SCHEME}:", *schema, table])
    return f"{root_of(session, found).rstrip('/')}/{table}"


def _find_branch(session: Session, location: str, mode: OutputMode, *, may_replace: bool) -> Target:
    """Look up a branch of a table, for a method that makes branches: it replaces nothing."""
    if may_replace:
        raise SettingsError(
            f"output {location!r} is a branch or tag: give the name of a table, or use --method "
            "clone."
        )
    table, ref = split_ref(session.spark, location)
    root = root_of(session, read_detail(session.spark, table).location)
    exists = snapshot_of(session.spark, table, ref) is not None
    target = Target(location, _NAME, mode, "commit", root, exists, may_replace=False)
    if exists:
        raise target.exists_error()
    return target


def create(
    spark: SparkSession,
    target: Target,
    attempt: Attempt,
    schema: StructType,
    origin: Origin,
) -> None:
    """Make a table without rows. Until its `main` has a snapshot, its owner is known."""
    table = full_name(spark, target.location)
    if target.root is not None:  # a run that died left it
        _drop_left(spark, target.location)
    layout = layout_of(spark, origin.images)
    codec = codec_of(origin.settings)
    properties = {
        **layout.properties,
        **memory_properties(schema, origin.settings),
        **({} if codec is None else {"write.parquet.compression-codec": codec}),
        "write.delete.mode": "merge-on-read",
        "format-version": str(layout.format_version),
        MADE_BY: owner_name(attempt.attempt_id),
    }
    try:
        spark.catalog.createTable(table, source="iceberg", schema=schema, **properties)
    except SPARK_ERRORS as error:
        if exists_already(error):
            raise target.exists_error() from error
        raise
    try:
        # Spark notes each property twice.
        doubled = ", ".join(sql_text(f"option.{key}") for key in properties)
        spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES IF EXISTS ({doubled})").collect()
        for statement in layout.statements(table):
            spark.sql(statement).collect()
    except BaseException:
        drop_own(spark, target.location, attempt)
        raise


def prepare(spark: SparkSession, target: Target, schema: StructType, origin: Origin) -> None:
    """Prepare a table whose rows are replaced; it keeps its properties, partitions and order."""
    table = full_name(spark, target.location)
    detail = read_detail(spark, target.location)
    check_same_columns(spark.table(table).schema, schema, target.location)
    branches.drop_left_behind(spark, table)
    bounds = memory_properties(schema, origin.settings)
    missing = {key: value for key, value in bounds.items() if key not in detail.properties}
    if missing:
        spelled = ", ".join(f"{sql_text(key)} = {sql_text(of)}" for key, of in missing.items())
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({spelled})").collect()


def _is_unpublished(spark: SparkSession, detail: Detail) -> bool:
    """Tell whether a run made a table and has not published its rows; nobody else wrote there."""
    return detail.snapshot_id is None and _has_no_other_refs(spark, detail)


def _has_no_other_refs(spark: SparkSession, detail: Detail) -> bool:
    """Tell whether a table is still noted as its maker's, and has no branches but the maker's."""
    if MADE_BY not in detail.properties:
        return False
    refs = spark.sql(f"SELECT name FROM {detail.name}.refs").collect()
    return {detail.properties[MADE_BY], _CLAIM, MAIN} >= {row["name"] for row in refs}


def note_of_record(spark: SparkSession, location: str) -> Mapping[str, Any]:
    """Return the note of the run whose record a table is, until `forget_owner`; otherwise none.

    If somebody else has written to the table since, it has none.
    """
    try:
        detail = read_detail(spark, location)
    except (TableNotFoundError, TableFormatError):
        return {}
    if detail.ref != MAIN or not _has_no_other_refs(spark, detail):
        return {}
    head = read_snapshots(spark, detail.name).by_id.get(detail.snapshot_id or 0)
    return {} if head is None else head.note


def _check_was_left(detail: Detail, location: str) -> None:
    if named_died_here(detail.properties[MADE_BY]):
        return
    raise ConflictError(
        f"another run is making table {location!r}, or a run on another machine died while it did. "
        f"If none is running: DROP TABLE {detail.name}, which has no rows. Then run again."
    )


def forget_owner(spark: SparkSession, table: str) -> None:
    """Take the note of its owner from a published table. It does no harm there.

    A record that keeps it passes for unfinished: a later run refuses to replace it.
    """
    try:
        spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES IF EXISTS ('{MADE_BY}')").collect()
    except SPARK_ERRORS as error:
        _log.warning("property %s of %s stays: %s", MADE_BY, table, first_line(error))


def drop_own(spark: SparkSession, location: str, attempt: Attempt) -> None:
    """Drop the table that an attempt made, and did not publish."""
    own = owner_name(attempt.attempt_id)
    _drop_unfinished(spark, location, lambda owner: owner == own)


def _drop_left(spark: SparkSession, location: str) -> None:
    """Drop the table that a dead run left. Only the run that makes the branch may do it.

    Otherwise one run could drop the table that another one has just made in its place.
    """
    table = full_name(spark, location)
    claim = branches.Branch(location, table, _CLAIM, None)
    try:
        branches.create(spark, claim, None)
    except OutputExistsError as error:
        raise ConflictError(
            f"another run replaces table {location!r}, which a killed run left without rows. Run "
            f"again. If no other run is at work: DROP TABLE {table}."
        ) from error
    if not _drop_unfinished(spark, location, named_died_here):
        branches.drop(spark, table, _CLAIM)


def _drop_unfinished(spark: SparkSession, location: str, may_go: Callable[[str], bool]) -> bool:
    """Drop a table that a run made, and did not publish, if its owner may go.

    Returns:
        Whether it was dropped.
    """
    detail = read_detail(spark, location)
    owner = detail.properties.get(MADE_BY, "")
    is_own_record = named_without_result(owner) and UNFINISHED in note_of_record(spark, location)
    if not (is_own_record or (_is_unpublished(spark, detail) and may_go(owner))):
        return False
    spark.sql(f"DROP TABLE {detail.name} PURGE").collect()
    return True
