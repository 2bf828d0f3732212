"""The table format of WebDataset shards: tar files whose members with one key are a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dedup_lib.errors import (
    AmbiguousListError,
    DedupError,
    OutputExistsError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.executor.shards.compressed import SHARD_SUFFIXES
from dedup_lib.executor.shards.metadata_files import metadata_path
from dedup_lib.executor.shards.sample_ids import is_by_position, is_in_metadata
from dedup_lib.files.format import FilesFormat, check_same
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo
from dedup_lib.settings.traits import find_format
from dedup_lib.tables.directory import fingerprint, is_marker
from dedup_lib.tables.foreign import check_read
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import Staged
from dedup_lib.webdataset.curator_groups import with_listed_groups
from dedup_lib.webdataset.pack_engine import PackEngine
from dedup_lib.webdataset.pictures import find_members
from dedup_lib.webdataset.sample_ids import COLUMNS, count_samples, read_ids
from dedup_lib.webdataset.shard_engine import ShardEngine, check_links
from dedup_lib.webdataset.shards import check_positions, find_shards, warn_of_others
from dedup_lib.webdataset.unpack_engine import UnpackEngine

if TYPE_CHECKING:
    from dedup_lib.executor.bounds import Bounds
    from dedup_lib.executor.picture_reads import ReadColumns, RowPicture, RowPosition
    from dedup_lib.methods.run_context import RunContext
    from dedup_lib.plan.plan import Plan

_LOOKED_AT = 3
_ONLY_SHARDS = (
    "these are WebDataset shards, and files beside them hold only facts about the images. Spark "
    "can't read shards: use --method rewrite, without --engine spark."
)


class WebDatasetFormat(FilesFormat):
    """A directory of tar shards, or one shard; each sample is a row: its members share a key.

    The columns are `image_id`, `__key__` and `__url__`, all strings. They are read once, into the
    ID table. The members are not columns.
    """

    traits = find_format("webdataset")
    file_engine = ShardEngine()
    has_image_column = False
    takes_id_from = True

    def is_at(self, session: Session, location: str) -> bool:
        """Look at the name alone: a directory is told when its files are listed."""
        is_shard = location.lower().endswith(SHARD_SUFFIXES)
        return is_shard and not session.storage.is_directory(location)

    def pin(
        self, session: Session, location: str, wanted_ids: WantedIds | None = None
    ) -> PinnedTable:
        """List the shards, and read the IDs of their samples from the headers."""
        check_read(session.storage, location, "image table")
        found = find_shards(session.storage, location)
        warn_of_others(found.others)
        id_table = None
        if wanted_ids is not None:
            if wanted_ids.columns[0] != COLUMNS[0]:
                raise UnsupportedError(
                    "--image-id-from says where the IDs of shards are: leave --image-id-column out."
                )
            if is_by_position(wanted_ids.id_from):
                check_positions(session.storage, location, found.shards)
                wanted_ids = with_listed_groups(location, found.shards, wanted_ids)
            id_table = read_ids(session, location, found.shards, wanted_ids)
        id_from = "" if wanted_ids is None else wanted_ids.id_from
        with_ids = found.metadata if is_in_metadata(id_from) else ()
        never = F.raise_error(F.lit(f"the samples of {location!r} are read by their headers alone"))
        frame = session.spark.range(1).select(
            *(never.cast("string").alias(name, metadata={"from": id_from}) for name in COLUMNS)
        )
        return PinnedTable(
            location=location,
            root=location,
            format=self.name,
            version=None,
            fingerprint=fingerprint([*found.shards, *with_ids]),
            frame=frame,
            partition_columns=(),
            files=tuple(found.shards),
            file_schemas=(),
            schema_examples=(),
            unreadable=f"image table {location!r} holds {found.shards[0].path!r}: {_ONLY_SHARDS}",
            empty_files=(),
            has_row_index=True,
            detail={},
            id_table=id_table,
            beside=tuple(found.metadata),
        )

    def check_unchanged(self, session: Session, table: PinnedTable) -> None:
        """List the shards again, and their metadata files, and compare."""
        super().check_unchanged(session, table)
        if table.beside:
            check_same(find_shards(session.storage, table.root).metadata, table.beside)

    def engine_to(self, written: TableFormat) -> Any:
        """Return the engine that writes shards again, or one that makes Parquet files of them."""
        if written.traits.has_parquet_files:
            return UnpackEngine()
        return super().engine_to(written)

    def engine_from(self, read: TableFormat) -> PackEngine:
        """Return the engine that makes shards of tables; it also says which tables it can't."""
        return PackEngine(read.file_engine)

    def check_replaceable(self, session: Session, location: str) -> None:
        """Check that a directory holds shards and their metadata, by names and some headers."""
        if not session.storage.is_directory(location):
            raise OutputExistsError(
                f"output {location!r} is a file, not a directory: it is not replaced."
            )
        files = [file for file in session.storage.list_files(location) if not is_marker(file)]
        shards = [file for file in files if file.path.lower().endswith(SHARD_SUFFIXES)]
        fit = {file.path for file in shards} | {metadata_path(file.path) for file in shards}
        if (other := next((file for file in files if file.path not in fit), None)) is not None:
            raise OutputExistsError(
                f"output {location!r} holds {other.path!r}, which is no shard, nor the Parquet "
                "file of one: it is not replaced. Choose another location."
            )
        try:
            if shards:
                count_samples(session, shards[:_LOOKED_AT])
        except DedupError as error:
            raise OutputExistsError(
                f"output {location!r} holds no readable shards, so it is not replaced: {error}"
            ) from error

    def check_plan(self, run: RunContext, plan: Plan) -> None:
        """Refuse a list of positions that does not fit the shards, and links without targets."""
        num_unmatched = plan.reported_counts()["list_unmatched_ids"]
        if is_by_position(self.id_origin(plan.images)) and num_unmatched:
            raise AmbiguousListError(
                f"{num_unmatched} listed IDs name no image of the shards in "
                f"{plan.images.location!r}: "
                "NeMo Curator's numbers hold for the shards that it read, in the same groups "
                "(--image-id-from curator, or curator:N for group_…_xN). On others they name other "
                "images."
            )
        check_links(run, plan)

    def id_origin(self, table: ImageTable) -> str:
        """Return where the IDs are in the samples."""
        return str(table.frame.schema[COLUMNS[0]].metadata["from"])

    def draw_rows(
        self,
        session: Session,
        table: PinnedTable,
        rows: Sequence[RowPosition],
        columns: ReadColumns,
        bounds: Bounds,
    ) -> tuple[Mapping[RowPosition, RowPicture], int]:
        """Read members by their offsets, which are in the ID table. No header is read."""
        from dedup_lib.tables import row_pictures  # noqa: PLC0415  # only a review needs it

        return row_pictures.draw_rows(session, rows, find_members(session, table, rows), bounds)

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count the samples by the headers of the written shards.

        A shard is read once more only if no task has read it after it was written, or it has
        another size now.
        """
        with _broken_output():
            shards = find_shards(session.storage, staged.location).shards
            known, unread = _divide_counted(staged, shards)
            return known + (count_samples(session, unread) if unread else 0)

    def count_marked(self, session: Session, staged: Staged) -> int:
        """Count the samples whose mark in the written shards says that they are duplicates."""
        with _broken_output():
            shards = find_shards(session.storage, staged.location).shards
            return count_samples(session, shards, only_marked=True)


@contextmanager
def _broken_output() -> Iterator[None]:
    try:
        yield
    except DedupError as error:
        raise VerificationError(f"the staged output is broken: {error}") from error


def _divide_counted(staged: Staged, shards: Sequence[FileInfo]) -> tuple[int, list[FileInfo]]:
    """Return the samples of shards that are counted already, and the other shards."""
    num_samples, unread = 0, []
    for shard in shards:
        counted = staged.counted.get("/".join(relative_parts(staged.location, shard)))
        if counted is None or counted.size_bytes != shard.size_bytes:
            unread.append(shard)
        else:
            num_samples += counted.num_rows
    return num_samples, unread
