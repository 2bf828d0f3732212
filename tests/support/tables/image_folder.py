"""A table format of our own, by the seam alone: a folder of PNG files, one image each."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from pyspark.sql import functions as F

from dedup_lib.errors import InputChangedError, UnsupportedError
from dedup_lib.executor.picture_reads import RowPicture
from dedup_lib.executor.thumbnails import make_thumbnail
from dedup_lib.locations import decode_path, local_path
from dedup_lib.publish.promote import rename_into_place
from dedup_lib.settings import FormatTraits
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.manifest import read_manifest
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import Staged


def _pictures(session, location):
    files = session.storage.list_files(location)
    return tuple(file for file in files if file.path.endswith(".png"))


class CopyEngine:
    """Copy the files that stay, on the driver."""

    name = "copy"

    def why_unusable(self, session, images, partial, settings):
        if settings.action == "annotate":
            return UnsupportedError("a PNG file has no room for columns: leave --action annotate.")
        return None

    def write(self, run, plan, output, attempt):
        named = {decode_path(row["file_path"]) for row in plan.rows.select("file_path").collect()}
        keeps = run.settings.action == "remove"
        folder = Path(local_path(attempt.staged))
        folder.mkdir(parents=True)
        for file in plan.images.files:
            if (file.path not in named) == keeps:
                shutil.copy(local_path(file.path), folder)
        return Staged(output, attempt.staged, None)


class ImageFolder(TableFormat):
    """A folder of PNG files; an image's ID is the name of its file."""

    traits = FormatTraits(
        name="folder",
        title="image folder",
        methods=frozenset({"rewrite"}),
        engines=frozenset({"copy"}),
    )
    sign = "PNG file"
    file_engine = CopyEngine()

    def is_at(self, session, location):
        return session.storage.is_directory(location) and bool(_pictures(session, location))

    def pin(self, session, location, wanted_ids=None):
        files = _pictures(session, location)
        read = session.spark.read.format("binaryFile").option("pathGlobFilter", "*.png")
        frame = read.load(location).select(
            F.regexp_extract("path", r"([^/]+)\.png$", 1).alias("image_id"),
            F.col("content").alias("image"),
        )
        return PinnedTable(
            location=location,
            root=location,
            format=self.name,
            version=None,
            fingerprint=hashlib.sha256(repr(files).encode()).hexdigest(),
            frame=frame,
            partition_columns=(),
            files=files,
            file_schemas=(),
            schema_examples=(),
            unreadable=None,
            empty_files=(),
            has_row_index=False,
            detail={},
        )

    def check_unchanged(self, session, table):
        if _pictures(session, table.root) != table.files:
            raise InputChangedError("a picture was changed during the run.")

    def check_all_read(self, table, counted):
        if {decode_path(file.file_path) for file in counted} != {file.path for file in table.files}:
            raise InputChangedError("a picture came or went while the run was planning.")

    def column_sizes(self, session, files):
        return ()

    def find_rows(self, session, paths, id_field, ids):
        named = {path: path.rpartition("/")[2].removesuffix(".png") for path in paths}
        return {(path, image_id): 0 for path, image_id in named.items() if image_id in ids}

    def draw_rows(self, session, table, rows, columns, bounds):
        encoded = {row: Path(local_path(row.file_path)).read_bytes() for row in rows}
        drawn = {row: RowPicture(make_thumbnail(it), len(it)) for row, it in encoded.items()}
        return drawn, sum(map(len, encoded.values()))

    def publishing(self, session, location, *, exists):
        return "rename"

    def count_rows(self, session, staged):
        return len(_pictures(session, staged.location))

    def promote(self, session, staged, attempt, note):
        rename_into_place(session, staged, attempt, note)

    def find_run(self, session, location, key, value):
        note = read_manifest(session.storage, location)
        return EarlierRun(location, note) if note.get(key) == value else None
