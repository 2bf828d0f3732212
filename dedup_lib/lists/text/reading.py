"""Read a list from files of text: by its format, and by what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dedup_lib.errors import UnreadableFileError
from dedup_lib.lists.files import TextFormat
from dedup_lib.lists.text.csv_files import read_csv, read_ids
from dedup_lib.lists.text.documents import read_json, read_lower_quality
from dedup_lib.lists.text.fastdup import read_known_csv
from dedup_lib.lists.text.files import TextFiles
from dedup_lib.lists.text.json_lines import read_json_lines
from dedup_lib.lists.text.rows import TextRows, entries_of
from dedup_lib.lists.wanted import ReadList


def read_text(files: TextFiles) -> ReadList:
    """Read a list's files, recognise its kind, and select its entries.

    Raises:
        UnreadableFileError: A file does not have its format, or has the name of a hidden file.
        MissingColumnError, ColumnTypeError: A column is missing, or a value has another type.
        AmbiguousListError, NotAListError: The kind is ambiguous, or it is not a list.

    *Cost:* one or two passes; if something may be wrong, one more, line by line. The driver reads
    documents of JSON as a whole.
    """
    for file in files.files:
        if file.path.rpartition("/")[2].startswith(("_", ".")):
            raise UnreadableFileError(
                f"{files.named(file)}: Spark reads no text from a file whose name begins with '_' "
                "or '.': give it another name."
            )
    return entries_of(_READERS[files.form](files), files.wanted)


def _read_csv(files: TextFiles) -> TextRows:
    return read_known_csv(files, read_csv(files))


def _read_json(files: TextFiles) -> TextRows:
    return read_json(files) or read_json_lines(files)


def _read_txt(files: TextFiles) -> TextRows:
    return read_lower_quality(files) or read_ids(files)


_READERS: Mapping[TextFormat, Callable[[TextFiles], TextRows]] = {
    "csv": _read_csv,
    "jsonl": read_json_lines,
    "json": _read_json,
    "txt": _read_txt,
}
