"""The CSV files of duplicate finders that need more than a mapping of columns.

*Source:* fastdup 2.54 (`similarity.csv`, `connected_components.csv`, `outliers.csv`), cleanvision
0.3.7 (`issues.csv`).
"""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import NotAListError, UnreadableFileError
from dedup_lib.lists.text.csv_files import read_csv
from dedup_lib.lists.text.files import TextFiles
from dedup_lib.lists.text.rows import TextRows, measure

_PAIRS = {"from", "to", "distance"}
_COMPONENTS = {"__id", "component_id"}
_CLEANVISION = {"is_exact_duplicates_issue", "is_near_duplicates_issue"}
_NAMES = "atrain_features.dat.csv"
_POSITION = "^(0|[1-9][0-9]*)$"


def read_known_csv(files: TextFiles, rows: TextRows) -> TextRows:
    """Say what the columns of a known finder mean, and put names in the place of positions.

    Args:
        files: The files.
        rows: Their rows.

    Returns:
        The rows; unchanged if they are of no known finder, or the user says what they mean.

    Raises:
        NotAListError: It is a file of a finder that is not a list of duplicates.
        UnreadableFileError: Positions have no names.

    *Cost:* for fastdup's positions, a join with the names, and one more pass.
    """
    if files.wanted.asked.is_explained:
        return rows
    columns, name = rows.types.keys(), rows.path.rpartition("/")[2].lower()
    if columns & _CLEANVISION:
        raise NotAListError(
            f"{files.wanted.what} looks like cleanvision's issues: it lists every image of each "
            "set of duplicates. The sets are only in its pickle, which is never opened. Write them "
            "as CSV in Python: for sets = imagelab.info['near_duplicates']['sets'], "
            "pandas.DataFrame([(path, n) for n, s in enumerate(sets) for path in s], "
            "columns=['id', 'group']).to_csv('groups.csv', index=False)."
        )
    if columns >= _PAIRS and name.startswith("outliers."):
        raise NotAListError(
            f"{files.wanted.what} looks like fastdup's outliers: images that are like no other. "
            "Give its similarity.csv or connected_components.csv."
        )
    if columns >= _PAIRS and name.startswith("similarity."):
        told = {
            "id_column": "from",
            "partner_column": "to",
            "score_column": "distance",
            "score_means": "similarity",
        }
        rows = _with_names(files, rows, ("from", "to"))
        return replace(rows, told=told, producer="fastdup's pairs (its distance is a similarity)")
    if columns >= _COMPONENTS:
        told = {"id_column": "__id", "group_column": "component_id"}
        rows = _with_names(files, rows, ("__id",))
        return replace(rows, told=told, producer="fastdup's components, every image of each")
    return rows


def _with_names(files: TextFiles, rows: TextRows, columns: tuple[str, ...]) -> TextRows:
    """Replace positions by the names in the file that fastdup writes beside its results."""
    is_position = [F.count_if(~F.col(column).rlike(_POSITION)) == 0 for column in columns]
    if rows.num_rows == 0 or not all(rows.frame.agg(*is_position).collect()[0]):
        return rows
    location = f"{rows.path.rpartition('/')[0]}/{_NAMES}"
    storage = files.session.storage
    if not storage.exists(location):
        raise UnreadableFileError(
            f"{files.wanted.what} holds positions, not names, and fastdup's {_NAMES}, which names "
            "the image at each position, is not beside it. Put it there."
        )
    of_names = replace(files, files=storage.list_files(location))
    named = read_csv(of_names)
    if not named.types.keys() >= {"index", "filename"}:
        raise UnreadableFileError(f"{location!r} lacks the columns 'index' and 'filename'.")
    frame = rows.frame
    for column in columns:
        frame = _named(frame, named.frame, column)
    lacking = frame.agg(*(F.count_if(F.col(column).isNull()) for column in columns)).collect()[0]
    found = measure(frame, files.wanted.data_type, rows.path)
    if any(lacking) or found.num_rows != rows.num_rows:
        raise UnreadableFileError(
            f"{files.wanted.what}: not every position has one name in {location!r}: they are not "
            "of the same run of fastdup."
        )
    return replace(found, more_files=tuple(of_names.files))


def _named(frame: DataFrame, names: DataFrame, column: str) -> DataFrame:
    names = names.select(F.col("index").alias(column), F.col("filename").alias(f"name of {column}"))
    joined = frame.join(names, column, "left").drop(column)
    return joined.withColumnRenamed(f"name of {column}", column)
