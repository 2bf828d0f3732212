"""Make the pairs for a review: each removed row and its keeper, with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pyspark.sql.types import StructField

from dedup_lib.executor.bounds import Bounds
from dedup_lib.executor.picture_reads import ReadColumns, RowPicture, RowPosition
from dedup_lib.executor.thumbnails import Thumbnail
from dedup_lib.review.columns import ShownColumns
from dedup_lib.review.data import Pair, Picture
from dedup_lib.review.sample import RemovedRow, RowLocation
from dedup_lib.session.session import Session
from dedup_lib.tables.columns import FileColumns
from dedup_lib.tables.id_types import ImageId
from dedup_lib.tables.image_table import ImageTable

# The pictures of rows, by ID and location of the row.
Pictures = Mapping[tuple[ImageId, RowLocation], Picture]
_NO_NAMES = "not read: the names of the table's columns in the files are unknown"
_NO_INDEX = "not read: the position of the row in its file is unknown"


@dataclass
class PictureReader:
    """Reads and draws rows of a table.

    Attributes:
        session: The session, with its file systems.
        images: The table.
        columns: The columns to show.
        file_bytes: The sizes of the files when the IDs were read.
        read_bytes: The number of bytes read from the files.
    """

    session: Session
    images: ImageTable
    columns: ShownColumns
    file_bytes: Mapping[str, int]
    read_bytes: int = 0

    def pictures(
        self,
        sample: Sequence[RemovedRow],
        keepers: Mapping[ImageId, RowLocation],
        why_none: str | None,
    ) -> Pictures:
        """Make the pictures of removed rows and of their keepers.

        Args:
            sample: The removed rows; pictures of the first rows are made first.
            keepers: The locations of the keepers.
            why_none: Why pictures can't be made; None if they can.
        """
        wanted: dict[tuple[ImageId, RowLocation], None] = {}
        for row in sample:
            wanted[row.image_id, row.location] = None
            if row.keeper_id is not None and row.keeper_id in keepers:
                wanted[row.keeper_id, keepers[row.keeper_id]] = None
        if why_none is None and self.known_names is None:
            why_none = _NO_NAMES
        if why_none is not None:
            none = RowPicture(Thumbnail(reason=why_none))
            return {key: self.picture(key, none) for key in wanted}
        positions = self.row_positions(list(wanted))
        shown = self.read_pictures(list(dict.fromkeys(positions.values())))
        missing = RowPicture(Thumbnail(reason=_NO_INDEX))
        return {
            key: self.picture(key, shown[positions[key]] if key in positions else missing)
            for key in wanted
        }

    @cached_property
    def known_names(self) -> FileColumns | None:
        """The names of the table's columns in its files; None if they are unknown."""
        return self.images.table_format.file_columns(self.session, self.images)

    @property
    def names(self) -> FileColumns:
        """The names of the columns in the files or, if they are unknown, in the table."""
        return self.known_names or FileColumns()

    @property
    def id_field(self) -> StructField:
        """The ID column, with its name in the files."""
        name = self.names.path([self.images.id_column])[0]
        return StructField(name, self.images.id_type)

    def row_positions(
        self, wanted: Sequence[tuple[ImageId, RowLocation]]
    ) -> dict[tuple[ImageId, RowLocation], RowPosition]:
        """Return the positions of rows; rows with an unknown position are left out."""
        unknown = [key for key in wanted if key[1].row_index is None]
        indexes = self.images.table_format.find_rows(
            self.session,
            sorted({self.path_of(location) for _, location in unknown}),
            self.id_field,
            {image_id for image_id, _ in unknown},
        )
        positions = {}
        for image_id, location in wanted:
            path, index = self.path_of(location), location.row_index
            index = indexes.get((path, image_id)) if index is None else index
            if index is not None:
                positions[image_id, location] = RowPosition(path, index, self.file_bytes.get(path))
        return positions

    def path_of(self, location: RowLocation) -> str:
        """Return the path of a row's file, spelled as in `FileInfo`."""
        return self.images.table_format.file_path_of(self.images, location.file_path)

    def picture(self, key: tuple[ImageId, RowLocation], shown: RowPicture) -> Picture:
        """Return what the page shows of a row."""
        path = self.path_of(key[1])
        return Picture(key[0], shown.thumbnail, shown.size_bytes, shown.texts, path)

    def read_pictures(self, positions: Sequence[RowPosition]) -> Mapping[RowPosition, RowPicture]:
        """Read rows and draw them; return the pictures by position."""
        if self.columns.image is None:
            return {}
        texts = {name: self.names.path([name]) for name in self.columns.texts}
        columns = ReadColumns(self.names.path(self.columns.image), texts)
        table_format = self.images.table_format
        pictures, self.read_bytes = table_format.draw_rows(
            self.session, self.images, positions, columns, Bounds()
        )
        return pictures


def pair_of(
    row: RemovedRow,
    keepers: Mapping[ImageId, RowLocation],
    pictures: Pictures,
    group_sizes: Mapping[ImageId, int],
) -> Pair:
    """Make the pair of a removed row and its keeper.

    Args:
        row: The removed row.
        keepers: The locations of the keepers that are in this table.
        pictures: The pictures of both.
        group_sizes: The number of images in each keeper's group, with the keeper.
    """
    keeper, group_size, no_keeper = None, None, Pair.no_keeper
    named = {reason["keeper_id"] for reason in row.reasons} - {None, row.image_id}
    if named:
        names = ", ".join(sorted(map(repr, named)))
        no_keeper = (
            f"It is listed as a duplicate of {names}: no image of this table is known to stay."
        )
    if row.keeper_id is not None:
        location = keepers.get(row.keeper_id)
        group_size = group_sizes.get(row.keeper_id)
        keeper = (
            Picture(row.keeper_id, Thumbnail(reason="no row of this table has this ID"))
            if location is None
            else pictures[row.keeper_id, location]
        )
    return Pair(
        removed=pictures[row.image_id, row.location],
        keeper=keeper,
        no_keeper=no_keeper,
        score=row.score,
        reasons=[_reason(reason) for reason in row.reasons],
        group_size=group_size,
    )


def _reason(reason: Mapping[str, object]) -> str:
    words = f"{reason['list_kind']} list {reason['list_location']}"
    if reason["keeper_id"] is not None:
        words += f", as a duplicate of {reason['keeper_id']!r}"
    return words
