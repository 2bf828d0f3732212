"""Pin the inputs of a run: the image table and the removal lists."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql.types import (
    BooleanType,
    DateType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from dedup_lib.errors import ColumnTypeError, MissingColumnError, SettingsError
from dedup_lib.lists.protected import read_protect_list
from dedup_lib.lists.removal_list import RemovalList, read_removal_list
from dedup_lib.plan.kept_plan import KeptPlan, read_kept_plan
from dedup_lib.report import Report
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables import pinned
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.read import read_images
from dedup_lib.tables.schema import column_names

# Types of columns that can rank images: not binary, since planning never reads image bytes, and
# not nested.
_RANKED_TYPES = (
    BooleanType,
    DateType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The pinned inputs: the image table, removal lists, and lists of protected IDs.

    With --apply-plan there is a kept plan instead of lists.
    """

    images: PinnedTable
    lists: Sequence[RemovalList]
    protected: Sequence[RemovalList] = ()
    kept_plan: KeptPlan | None = None


def read_inputs(session: Session, settings: Settings, report: Report) -> Inputs:
    """Pin the image table and the lists, and note each in the report at once."""
    images = read_images(session, settings.images, settings.images_format)
    report.inputs["images"] = images.described()
    _check_id_column(images, settings.image_id_column)
    lists = []
    for index, item in enumerate(settings.duplicate_ids):
        removal_list = read_removal_list(
            session,
            item,
            image_id_type=images.frame.schema[settings.image_id_column].dataType,
            default_column=settings.duplicate_id_column,
            default_kind=settings.list_kind,
            eps=settings.planned_eps,
        )
        lists.append(removal_list)
        report.inputs["duplicate_ids"][index] = removal_list.described()
        shape = removal_list.shape
        _log.info("%r is read as: %s (%s)", removal_list.location, shape.kind, shape.producer)
    _check_kinds(images, lists, settings)
    protected = _read_protected(session, images, settings, report)
    return Inputs(images, lists, protected, _read_plan(session, images, settings, report))


def _read_plan(
    session: Session, images: PinnedTable, settings: Settings, report: Report
) -> KeptPlan | None:
    if settings.apply_plan is None:
        return None
    kept = read_kept_plan(
        session,
        settings.apply_plan,
        images=images,
        image_id_column=settings.image_id_column,
    )
    report.inputs["plan"] = kept.described()
    return kept


def _read_protected(
    session: Session, images: PinnedTable, settings: Settings, report: Report
) -> list[RemovalList]:
    lists = []
    for index, location in enumerate(settings.protect_ids):
        protected = read_protect_list(
            session,
            location,
            image_id_type=images.frame.schema[settings.image_id_column].dataType,
            id_column=settings.duplicate_id_column,
        )
        lists.append(protected)
        report.inputs["protect_ids"][index] = {**protected.described(), "kind": "protect"}
    return lists


def _check_kinds(images: PinnedTable, lists: Sequence[RemovalList], settings: Settings) -> None:
    """Check that the settings for one kind of list have such a list."""
    kinds = {item.kind for item in lists}
    if settings.planned_eps is not None and "pairwise" not in kinds:
        raise SettingsError(
            "--eps is for pairwise lists, but the lists are of the kind "
            f"{', '.join(sorted(kinds))}. Leave --eps out, or give the pairwise results."
        )
    column = settings.keeper_rule.column
    if column is not None and column not in images.frame.columns:
        what = f"image table {images.location!r}"
        raise MissingColumnError.of(what, column, images.frame.columns, "--keeper")
    if column is not None:
        _check_keeper_column(images, column)


def _check_keeper_column(images: PinnedTable, column: str) -> None:
    found = images.frame.schema[column].dataType
    if not isinstance(found, _RANKED_TYPES):
        raise ColumnTypeError(
            f"image table {images.location!r}: --keeper can't compare column {column!r}, which is "
            f"{found.simpleString()}: it must be a number, string, date, time or boolean."
        )


def _check_id_column(images: PinnedTable, column: str) -> None:
    what = f"image table {images.location!r}"
    in_files = set().union(*(column_names(schema) for schema in images.file_schemas))
    if images.unreadable is not None and column in in_files - set(images.frame.columns):
        raise ColumnTypeError(
            f"{what}: Spark can't read IDs from column {column!r}; they must be "
            f"{', '.join(pinned.ID_TYPES[:-1])} or {pinned.ID_TYPES[-1]}. {images.unreadable}"
        )
    pinned.id_type(images.frame, column, what=what, flag="--image-id-column")
    images.table_format.check_id_column(images, column)
