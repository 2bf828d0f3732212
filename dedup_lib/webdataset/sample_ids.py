"""Read the IDs of samples from the headers of shards, by Python tasks on executors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from dedup_lib.errors import DedupError, UnsupportedError
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.shards import read_tasks
from dedup_lib.executor.shards.pictures import PICTURE_COLUMNS
from dedup_lib.executor.shards.read_tasks import ShardFacts, ShardSources
from dedup_lib.executor.shards.sample_ids import group_size
from dedup_lib.files.rewrite import error_of
from dedup_lib.session import file_tasks
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.id_table import CopiedIds, FileRows, IdFacts, IdTable, WantedIds

COLUMNS = ("image_id", "__key__", "__url__")
_SCHEMA = StructType([StructField(name, StringType()) for name in COLUMNS + PICTURE_COLUMNS])
_SHOWN = 5
_FACTS = (
    "array<struct<num_rows: bigint, num_nulls: bigint, id_bytes: bigint, num_others: bigint, "
    "num_torn: bigint, num_equal: bigint, has_links: boolean, has_end: boolean, kind: string, "
    "refused: string, suffixes: array<string>, unfit: string, unmarkable: string>>"
)
_log = logging.getLogger(__name__)


def read_ids(
    session: Session, location: str, shards: Sequence[FileInfo], wanted: WantedIds
) -> IdTable | None:
    """Read the IDs of all samples, and copy them to the run's directory.

    A dry run on a cluster has no directory. The copy is then on the disks of executors.

    Args:
        session: The session, with its file systems.
        location: The location of the image table.
        shards: The shards.
        wanted: Where the IDs are, and where to copy them.

    Raises:
        UnsupportedError: A Python task failed on an executor.
        InputChangedError: A shard was changed since it was listed.
        UnreadableFileError: A shard is broken; the message has its path and the byte.

    *Cost:* executors read the headers of all members, one shard after another in a task.
    """
    columns = [name for name in wanted.columns if name in COLUMNS]
    columns += PICTURE_COLUMNS if wanted.has_review else ()
    directory = file_tasks.common_directory(shards)
    parts = [
        file_tasks.below(directory, part) for part in _divide(shards, group_size(wanted.id_from))
    ]
    options, id_from = dict(session.storage.pyarrow_options), wanted.id_from
    action, is_for_table = wanted.action, not wanted.output_has_shards
    target = wanted.make_directory()

    def sources(part: list[SourceFile]) -> ShardSources:
        return ShardSources(directory, part, id_from, columns, action, is_for_table)

    def copy_part(number: int, part: list[SourceFile]) -> list[ShardFacts]:
        return read_tasks.copy_ids(sources(part), str(target), f"{number:05d}", options)

    def list_part(_: int, part: list[SourceFile]) -> Any:
        return read_tasks.list_ids(sources(part), options)

    facts = IdFacts(columns=tuple(columns), has_all=wanted.has_all)
    if target is None:
        found, rows = _list(session, parts, list_part, facts, location)
    else:
        found = _ask(session, parts, copy_part, location)
    _warn(shards, found)
    unmarkable = (
        f"shard {file.path!r}: {one.unmarkable}"
        for file, one in zip(shards, found, strict=True)
        if one.unmarkable is not None
    )
    facts = replace(
        facts,
        files=tuple(map(FileRows.of, shards, found)),
        refused=next((one.unfit for one in found if one.unfit is not None), None),
        suffixes=tuple(sorted({suffix for one in found for suffix in one.suffixes})),
        unmarkable=next(unmarkable, None),
        with_links=frozenset(
            file.path for file, one in zip(shards, found, strict=True) if one.has_links
        ),
    )
    if target is None:
        return IdTable(rows, facts)
    return CopiedIds(target, len(parts), facts).opened(session.spark, _SCHEMA)


def _divide(shards: Sequence[FileInfo], each: int) -> list[list[FileInfo]]:
    """Divide shards into parts for a task each; those that NeMo Curator read together stay so."""
    groups = [list(shards[start : start + each]) for start in range(0, len(shards), each)]
    by_first = {}
    for group in groups:
        size = sum(file.size_bytes for file in group)
        by_first[replace(group[0], size_bytes=size)] = group
    parts = file_tasks.divide(list(by_first))
    return [[file for first in part for file in by_first[first]] for part in parts]


def count_samples(
    session: Session, shards: Sequence[FileInfo], *, only_marked: bool = False
) -> int:
    """Count the samples of written shards by their headers, or those marked as duplicates.

    Raises:
        UnreadableFileError: A shard is broken.
    """
    directory = file_tasks.common_directory(shards)
    parts = [file_tasks.below(directory, part) for part in file_tasks.divide(shards)]
    options = dict(session.storage.pyarrow_options)

    def count_part(_: int, part: list[SourceFile]) -> list[ShardFacts]:
        return read_tasks.count_samples(directory, part, options, only_marked=only_marked)

    return sum(one.num_rows for one in _ask(session, parts, count_part, directory))


def _ask(
    session: Session,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], list[ShardFacts]],
    location: str,
) -> list[ShardFacts]:
    """Call a function with the shards of each part; raise the first refusal."""

    def failed(reason: str) -> DedupError:
        return _failed(location, reason)

    answers = file_tasks.for_each_part(session, parts, function, _FACTS, what_if_failed=failed)
    return _checked(answers)


def _list(
    session: Session,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], Any],
    facts: IdFacts,
    location: str,
) -> tuple[list[ShardFacts], DataFrame]:
    """Call a function that lists samples; return what it found, and the rows of an ID table."""
    fields = [*(f"{name}: string" for name in [*facts.value_names, "file_path"])]
    returns = (
        f"struct<found: {_FACTS}, rows: array<struct<{', '.join(fields)}, row_index: bigint>>>"
    )
    try:
        answers = file_tasks.answers_on_disk(session, parts, function, returns)
        found = answers.orderBy("number").select("answer.found").collect()
    except SPARK_ERRORS as failure:
        raise _failed(location, find_task_failure(failure)) from failure
    rows = answers.select(F.explode("answer.rows").alias("row")).select("row.*")
    return _checked([row["found"] for row in found]), rows


def _failed(location: str, reason: str) -> DedupError:
    return UnsupportedError(
        f"shards of {location!r} could not be read by Python tasks on executors, which need "
        f"pyarrow, and access to the store (--storage-option): {reason}"
    )


def _checked(answers: Sequence[Any]) -> list[ShardFacts]:
    found = [ShardFacts(*row) for answer in answers for row in answer]
    for one in found:
        if one.refused is not None:
            raise error_of(one.kind, f"{one.refused.rstrip('.')}. Nothing was published.")
    return found


def _warn(shards: Sequence[FileInfo], found: Sequence[ShardFacts]) -> None:
    facts: list[tuple[Callable[[ShardFacts], bool | int], str]] = [
        (
            lambda one: not one.has_end,
            "have no zero blocks at their end; a shard that was cut looks the same",
        ),
        (
            lambda one: one.num_torn,
            "have a key whose members lie apart; all members of a removed key go",
        ),
        (lambda one: one.num_equal, "have two members of one name, which some readers refuse"),
        (lambda one: one.num_others, "have members that belong to no sample; they stay"),
    ]
    for is_so, fact in facts:
        paths = [file.path for file, one in zip(shards, found, strict=True) if is_so(one)]
        if paths:
            _log.warning("%d shards %s: %s", len(paths), fact, paths[:_SHOWN])
