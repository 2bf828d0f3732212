"""Read CSV with a header, and text with an ID in each line, by Spark's own readers.

Nothing is guessed: an ID has the type of the image table's IDs, or the list is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import functions as F

from dedup_lib.errors import UnreadableFileError
from dedup_lib.lists.shape import DEFAULT_ID_COLUMN, ROW_LABELS
from dedup_lib.lists.text.files import BAD, HEAD_BYTES, TextFiles
from dedup_lib.lists.text.lines import BadLineError, csv_rows
from dedup_lib.lists.text.rows import TextRows, measure, text_rows
from dedup_lib.session.conf import FILE_READER_OPTIONS
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.sql_names import quoted
from dedup_lib.session.storage import FileInfo

_CSV_OPTIONS = FILE_READER_OPTIONS | {
    "header": "true",
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": BAD,
    "columnPruning": "false",  # otherwise rows with too many or too few values are not told
    "escape": '"',
    "unescapedQuoteHandling": "RAISE_ERROR",
    "nullValue": "\ufffenull",  # without quotes; "" in quotes is an empty text
}


def read_csv(files: TextFiles) -> TextRows:
    """Read CSV files with a header. Their columns are text.

    Raises:
        UnreadableFileError: A file is not CSV in UTF-8, has a row with more or fewer values than
            the header, or has another header.

    *Nulls:* nothing between two commas is NULL; `""` is an empty text.
    *Cost:* two passes; one more over each file, line by line, if something is wrong.
    """
    columns = _common_header(files)
    without = F.replace("value", F.lit('"'), F.lit(""))
    odd_quotes = (F.length("value") - F.length(without)) % 2 == 1
    is_bad, has_breaks = files.texts.agg(
        F.count_if(~F.is_valid_utf8("value")) > 0, F.count_if(odd_quotes) > 0
    ).collect()[0]
    if is_bad or has_breaks:
        files.find({})
    # Line breaks within values: Spark would read such a file by one task, and change them.
    if has_breaks:
        return _read_on_driver(files, columns)
    schema = ", ".join(f"{quoted(name)} string" for name in (*columns, BAD))
    reader = files.session.spark.read.schema(schema).options(**_CSV_OPTIONS)
    frame = reader.csv(files.paths).select(*map(quoted, (*columns, BAD)))
    try:
        rows = measure(frame, files.wanted.data_type, files.paths[0])
    except SPARK_ERRORS:
        files.find({})
        raise
    return replace(files.checked(rows), has_header=True)


def read_ids(files: TextFiles) -> TextRows:
    """Read text with an ID in each line. Empty lines are skipped.

    Raises:
        UnreadableFileError: A file is not text in UTF-8.

    *Cost:* one pass; one more over each file, line by line, if something is wrong.
    """
    for file in files.files:
        files.head(file)
    bad = F.when(~F.is_valid_utf8("value"), F.lit("bad")).alias(BAD)
    ids = files.texts.where("value != ''").select(F.col("value").alias(DEFAULT_ID_COLUMN), bad)
    rows = files.checked(measure(ids, files.wanted.data_type, files.paths[0]))
    return replace(rows, told={"id_column": DEFAULT_ID_COLUMN})


def _read_on_driver(files: TextFiles, columns: Sequence[str]) -> TextRows:
    """Read files whose values hold line breaks. `find` has checked them."""
    rows = []
    for file in files.files:
        data = files.content(file, "has lines with an odd number of quotes")
        found = (row for _, row in csv_rows(data.split(b"\n")))
        next(found, None)
        rows += [[value if value or len(row) == 1 else None for value in row] for row in found]
    frame = text_rows(files.session.spark, columns, rows)
    return replace(
        measure(frame, files.wanted.data_type, files.paths[0]), find=files.find, has_header=True
    )


def _common_header(files: TextFiles) -> list[str]:
    """Return the names in the header, which all files share. Files without bytes have none."""
    headers = {file.path: _header(files, file) for file in files.files}
    (path, header), *others = [item for item in headers.items() if item[1]] or [("", [])]
    for other, found in others:
        if found != header:
            raise UnreadableFileError(
                f"{files.wanted.what}: file {path!r} has the columns {', '.join(header)}, but "
                f"{other!r} has {', '.join(found)}. Give them as separate lists."
            )
    return header or [DEFAULT_ID_COLUMN]


def _header(files: TextFiles, file: FileInfo) -> list[str]:
    head = files.head(file)
    lines = head.splitlines()
    if len(lines) == 1 and len(head) == HEAD_BYTES:
        raise UnreadableFileError(
            f"{files.named(file)} is not CSV: its first line has over {HEAD_BYTES} bytes."
        )
    try:
        _, header = next(csv_rows(line for line in lines if line.strip()), (0, []))
    except BadLineError as error:
        raise UnreadableFileError(f"{files.named(file)}: {error.reason}.") from error
    if len(header) == 1 and (other := re.search(r"[;\t|]", header[0])) is not None:
        raise UnreadableFileError(
            f"{files.named(file)} seems to be separated by {other[0]!r}: write it with commas."
        )
    # pandas writes row labels first, without a name.
    header = [name or (ROW_LABELS if index == 0 else "") for index, name in enumerate(header)]
    if "" in header or len({name.lower() for name in header}) < len(header):
        raise UnreadableFileError(
            f"{files.named(file)}: in its header ({', '.join(map(repr, header))}) a name is empty, "
            "or there twice (upper and lower case are the same). Give each column its own name."
        )
    return header
