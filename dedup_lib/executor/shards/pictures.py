"""Note where the image and the caption of a sample are in its shard, and read them from there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dedup_lib.executor.bounds import MemoryBudget
from dedup_lib.executor.parquet_values import FileSlice, UnreadValueError
from dedup_lib.executor.parquet_values.values import StoredValue
from dedup_lib.executor.picture_reads import (
    Drawing,
    Files,
    Found,
    RowPosition,
    read_text,
    reason_of,
    unread_picture,
)
from dedup_lib.executor.shards.samples import Sample, suffix_of

# Columns of the ID table: the offset and the size of a member's data, such as `512+3000`.
PICTURE_COLUMNS = ("__image__", "__caption__")
_IMAGE_SUFFIXES = frozenset(
    ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2", "ppm")
)
_CAPTION_SUFFIX = "txt"
_COMPRESSED = "compressed"
_NO_IMAGE = f"its sample has no member with the suffix {', '.join(sorted(_IMAGE_SUFFIXES))}"


def note_members(samples: Sequence[Sample], *, is_plain: bool) -> dict[str, list[str | None]]:
    """Return for each of the columns the text of each sample; None if it has no such member.

    The first member counts whose whole suffix is that of an image, or of a caption. In a compressed
    shard, which is not plain, no member can be read by its offset.
    """
    if not is_plain:
        return {column: [_COMPRESSED] * len(samples) for column in PICTURE_COLUMNS}
    suffixes: Sequence[Collection[str]] = (_IMAGE_SUFFIXES, (_CAPTION_SUFFIX,))
    return {
        column: [_note(sample, wanted) for sample in samples]
        for column, wanted in zip(PICTURE_COLUMNS, suffixes, strict=True)
    }


def _note(sample: Sample, suffixes: Collection[str]) -> str | None:
    for member in sample.members:
        if member.is_file and not member.is_sparse and suffix_of(member.name) in suffixes:
            return f"{member.data_start}+{member.data_bytes}"
    return None


@dataclass(frozen=True)
class NotedMembers:
    """Where the images and captions of some rows are: the texts of both columns, by row."""

    by_row: Mapping[RowPosition, tuple[str | None, str | None]]

    def reader(self, files: Files, drawing: Drawing, _: MemoryBudget) -> _Reading:
        """Return a reader of these members, as `RowSource` says."""
        return _Reading(self, files, drawing)


@dataclass(frozen=True)
class _Reading:
    """Reads rows of shards: all of a shard at a time. No header is read."""

    noted: NotedMembers
    files: Files
    drawing: Drawing

    def find(self, path: str, rows: Sequence[int]) -> tuple[Sequence[list[RowPosition]], str]:
        return [[RowPosition(path, row) for row in sorted(rows)]], ""

    def read(
        self, path: str, group: list[RowPosition], _: Sequence[int]
    ) -> dict[RowPosition, Found]:
        found: dict[RowPosition, Found] = {}
        try:
            with self.files.open(path) as file:
                for row in group:
                    found[row] = self._read(file, row)
        except Exception as error:  # a store may fail in any way
            return dict.fromkeys(group, unread_picture(reason_of(error))) | found
        return found

    def _read(self, file: FileSlice, row: RowPosition) -> Found:
        noted = self.noted.by_row[row]
        if _COMPRESSED in noted:
            return unread_picture("its shard is compressed")
        image, caption = (_value(file, one) for one in noted)
        texts = _read_caption(caption)
        if image is None:
            return replace(unread_picture(_NO_IMAGE), texts=texts)
        return self.drawing.read_and_draw(image, texts)


def _read_caption(caption: StoredValue | None) -> Mapping[str, str] | None:
    """Read a caption; return None if it can't be read, and no text without a caption."""
    if caption is None:
        return {}
    try:
        return {_CAPTION_SUFFIX: read_text(caption)}
    except UnreadValueError:
        return None


def _value(file: FileSlice, noted: str | None) -> StoredValue | None:
    if noted is None:
        return None
    offset, num_bytes = map(int, noted.split("+"))
    return StoredValue(num_bytes, file, offset)
