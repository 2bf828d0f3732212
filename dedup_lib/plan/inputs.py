"""The inputs of a run: check the image table, and read the lists."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from dedup_lib.errors import ColumnTypeError, DedupError, MissingColumnError, SettingsError
from dedup_lib.lists.content import refuse_groups_and_pairs
from dedup_lib.lists.entries import check_entries, check_header
from dedup_lib.lists.protected import read_protect_list
from dedup_lib.lists.removal_list import RemovalList, read_removal_list, union
from dedup_lib.lists.scores import is_score
from dedup_lib.plan.kept_plan import KeptPlan, ids_from
from dedup_lib.plan.protected_rows import check_condition
from dedup_lib.redaction import redact
from dedup_lib.session.conf import tuned_for_rows
from dedup_lib.session.session import Session
from dedup_lib.settings import DuplicateIds, Settings
from dedup_lib.tables import pinned
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.id_types import TAKEN
from dedup_lib.tables.image_table import ImageTable, id_warning
from dedup_lib.tables.pinned import PinnedTable
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

    images: ImageTable
    lists: Sequence[RemovalList]
    protected: Sequence[RemovalList] = ()
    kept_plan: KeptPlan | None = None


def image_table(table: PinnedTable, settings: Settings) -> ImageTable:
    """Return a pinned table as the run's image table. Warn of IDs that are numbers of one run.

    Raises:
        MissingColumnError, ColumnTypeError: The ID column, a column that ranks images, or a column
            of --protect-where is missing or of another type.
        SettingsError: Spark does not understand --protect-where.
    """
    if settings.image_id_from != "key" and not table.table_format.takes_id_from:
        raise SettingsError(
            f"--image-id-from is for WebDataset shards, but image table {table.location!r} is "
            f"{table.table_format.title}: name its ID column by --image-id-column."
        )
    _check_id_column(table, settings.image_id_column)
    for rule in settings.keeper_rules:
        _check_keeper_column(table, rule.column)
    _warn_of_ids(table.location, settings.image_id_column)
    images = ImageTable.of(table, settings.image_id_column)
    if settings.protected_rows is not None:
        check_condition(images, settings.protected_rows)
    return images


class ListReader:
    """Reads the lists of a run, each of them once, also if their IDs are needed before the images.

    Args:
        session: The session, with its file systems.
        settings: The run's settings.
    """

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session, self._settings = session, settings
        # Lists that were read before the images, by list and type of the IDs.
        self._early: dict[tuple[DuplicateIds | str, str], RemovalList] = {}

    def complete(self, wanted: WantedIds | None) -> WantedIds | None:
        """Add to what is said about wanted IDs how to ask the lists, or the kept plan."""
        if wanted is None:
            return None
        if (plan := self._settings.apply_plan) is not None:
            return replace(wanted, planned_from=partial(ids_from, self._session, plan))
        return replace(wanted, listed_ids=self._read_ids)

    def read_lists(self, images: ImageTable) -> Iterator[RemovalList]:
        """Read the removal lists lazily, one after another.

        Raises:
            InputError: As for `read_removal_list`.
        """
        for item in self._settings.asked_lists:
            removal_list = self._read_list(item, images.id_type, lambda: images.table_ids)
            shape = removal_list.shape
            _log.info(
                "%r is read as: %s (%s), with the IDs in column %r",
                removal_list.location,
                shape.kind,
                shape.producer,
                shape.id_column,
            )
            if shape.id_column != images.id_column:
                _warn_of_ids(removal_list.location, shape.id_column)
            listed_rows = removal_list.listed_rows
            with tuned_for_rows(self._session.spark, images.num_rows, listed_rows):
                _check_rows(removal_list, images)
            yield removal_list

    def read_protected(self, images: ImageTable) -> Iterator[RemovalList]:
        """Read the lists of protected IDs lazily, one after another.

        Raises:
            InputError: As for `read_protect_list`.
        """
        for location in self._settings.protect_ids:
            protected = self._read_protect_list(location, images.id_type)
            check_header(protected, lambda: images.table_ids)
            yield protected

    def _read_ids(self) -> DataFrame | None:
        """Read the IDs of all lists; None if one can't be read, which the run refuses later."""
        text, early = StringType(), self._early
        try:
            for item in self._settings.asked_lists:
                early[item, text.simpleString()] = self._read_list(item, text)
            for location in self._settings.protect_ids:
                early[location, text.simpleString()] = self._read_protect_list(location, text)
        except DedupError:
            return None
        return union([*early.values()]) if early else None

    def _read_list(
        self,
        item: DuplicateIds,
        id_type: DataType,
        image_ids: Callable[[], DataFrame] | None = None,
    ) -> RemovalList:
        return self._early.pop((item, id_type.simpleString()), None) or read_removal_list(
            self._session,
            item,
            image_id_type=id_type,
            eps=self._settings.planned_eps,
            image_ids=image_ids,
        )

    def _read_protect_list(self, location: str, id_type: DataType) -> RemovalList:
        return self._early.pop((location, id_type.simpleString()), None) or read_protect_list(
            self._session,
            location,
            image_id_type=id_type,
            id_column=self._settings.duplicate_id_column,
        )


def _check_rows(removal_list: RemovalList, images: ImageTable) -> None:
    if removal_list.beside is not None:
        refuse_groups_and_pairs(
            f"removal list {removal_list.location!r}",
            removal_list.beside,
            id_column=removal_list.shape.id_column,
            image_ids=lambda: images.table_ids,
            id_type=images.id_type,
            num_rows=removal_list.listed_rows,
        )
    check_entries(removal_list, lambda: images.table_ids)


def _warn_of_ids(location: str, column: str) -> None:
    if (warning := id_warning(column)) is not None:
        _log.warning("%r: %s", location, warning)


def check_kinds(lists: Sequence[RemovalList], settings: Settings) -> None:
    """Check that there is a list of the kind that a setting is for.

    Warn of several lists of plain IDs: nobody can tell whether a copy of each image stays.

    Raises:
        SettingsError: There is no such list.
    """
    kinds = {item.kind for item in lists}
    plain = [item.location for item in lists if item.kind == "remove"]
    if len(plain) > 1:
        _log.warning(
            "%d lists name IDs without the images that they duplicate (%s): each may keep an image "
            "that another removes, and whether a copy of each image stays can't be checked; give "
            "pairs or groups instead",
            len(plain),
            ", ".join(map(redact, plain)),
        )
    _check_scores(lists, settings)
    meanings = {item.shape.score_means for item in lists if item.shape.score_column is not None}
    if settings.planned_eps is not None and "similarity" not in meanings:
        raise SettingsError(
            "--eps is for pairs with similarities, but the lists have none (they are of the kind "
            f"{', '.join(sorted(kinds))}). Leave --eps out, or give the pairwise results."
        )
    if settings.max_distance is not None and "distance" not in meanings:
        raise SettingsError(
            "--max-distance is for pairs with distances, but the lists have none. Leave it out, or "
            "name their column with --score-column."
        )
    if settings.eps_values and any(item.shape.partner_column is not None for item in lists):
        raise SettingsError(
            "--eps-sweep is for pairs with keepers: which images of a --partner-column go depends "
            "on all pairs. Try each value by a dry run with --eps."
        )


def _check_scores(lists: Sequence[RemovalList], settings: Settings) -> None:
    """Refuse scores that the user names, or limits, that have no effect on a list."""
    for item, own, asked in zip(lists, settings.duplicate_ids, settings.asked_lists, strict=True):
        others = item.shape.other_columns
        is_own = own.score_column or own.score_means or own.max_distance is not None
        is_limited = asked.max_distance is not None and not asked.is_explained
        is_unread = asked.score_column in others or (is_limited and any(map(is_score, others)))
        if item.shape.score_column is None and (is_own or is_unread):
            raise SettingsError(
                f"removal list {item.location!r} is read as {item.kind} without scores, so a score "
                "column or a limit has no effect on it. Name the column of the other images: "
                "--keeper-column or --partner-column; or give it the kind remove in TOML."
            )


def _check_keeper_column(images: PinnedTable, column: str) -> None:
    if column not in images.frame.columns:
        what = f"image table {images.location!r}"
        fit = [one.name for one in images.frame.schema if isinstance(one.dataType, _RANKED_TYPES)]
        raise MissingColumnError.of(what, column, images.frame.columns, "--keeper", candidates=fit)
    images.table_format.check_compared_column(images, column)
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
            f"{what}: Spark can't read IDs from column {column!r}; they must be {TAKEN}. "
            f"{images.unreadable}"
        )
    pinned.id_type(images.frame, column, what=what, flag="--image-id-column")
    images.table_format.check_id_column(images, column)
