"""Read the documents of duplicate finders: one JSON value, or one list of Python, in a file.

*Source:* imagededup 0.3.3 (`find_duplicates`, `find_duplicates_to_remove`), difPy 4.2.1
(`…_results.json`, `…_lower_quality.txt`), czkawka 12 (`-C`, `-p`).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dedup_lib.errors import AmbiguousListError, NotAListError, UnreadableFileError
from dedup_lib.lists.text.files import TextFiles
from dedup_lib.lists.text.rows import TextRows, measure, text_rows

_DIFPY = re.compile(r"(difPy_[^/]*|[^/]*_results)\.json(\.gz)?")
# With NumPy 2, difPy writes np.str_('…') instead of '…'.
_PYTHON_LIST = re.compile(rb"\[(['\"\]]|np\.str_\()")
_IDS = {"id", "partner", "keeper"}
_PARTNERS = {"partner_column": "partner"}
Rows = list[list[str | None]]


@dataclass(frozen=True)
class Document:
    """The rows of a document.

    Attributes:
        producer: The program that writes such documents, in words.
        columns: The names of the columns; the first one holds the image IDs.
        rows: The values.
        told: What the columns mean: fields of `DuplicateIds`.
        are_numbers: Whether the IDs are numbers. Otherwise they are text.
    """

    producer: str
    columns: Sequence[str]
    rows: Rows
    told: Mapping[str, str]
    are_numbers: bool = False


def read_json(files: TextFiles) -> TextRows | None:
    """Read a file that is one JSON value; return None if it is JSON Lines.

    Raises:
        UnreadableFileError: The file is not JSON, or is too large.
        NotAListError: The value has another form than those that are known.
        AmbiguousListError: It has scores, and the user does not say what they mean.
    """
    if len(files.files) > 1 or _starts_like_lines(files):
        return None
    text = _text(files, "is one JSON document")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise UnreadableFileError(f"{_named(files)} is not JSON: it is nested too deep.") from error
    except json.JSONDecodeError as error:
        where = f"{_named(files)}: line {error.lineno} is not JSON: {error.msg}"
        raise UnreadableFileError(f"{where}. Restore the file.") from error
    document = document_of(value, files.paths[0])
    if document is None:
        raise NotAListError(
            f"{_named(files)} is JSON, but neither JSON Lines (an object in each line), nor an "
            "array of IDs, nor written by imagededup, difPy or czkawka. Write JSON Lines, CSV or "
            "Parquet."
        )
    return _read(files, document)


def read_lower_quality(files: TextFiles) -> TextRows | None:
    """Read difPy's list in one line; return None if the file has an ID in each line.

    Raises:
        UnreadableFileError: The file is no such list, or is too large.
    """
    if len(files.files) > 1 or not _PYTHON_LIST.match(files.head(files.files[0]).lstrip()):
        return None
    try:
        value = _python_texts(_text(files, "is one list in one line").strip())
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise UnreadableFileError(f"{_named(files)} is not a list of texts: {error}.") from error
    document = _ids(value, "difPy's images of lower quality")
    if document is None:
        raise UnreadableFileError(f"{_named(files)} is not a list of texts.")
    return _read(files, document)


def _python_texts(source: str) -> list[Any]:
    """Read a list of texts, as Python spells them; what is not a text is None."""
    match ast.parse(source, mode="eval").body:
        case ast.List(elts=elements):
            return [_python_text(element) for element in elements]
    return [None]


def _python_text(element: ast.expr) -> Any:
    match element:
        case ast.Call(func=ast.Attribute(attr="str_"), args=[argument], keywords=[]):
            return _python_text(argument)
        case ast.Constant(value=str(text)):
            return text
    return None


def document_of(value: Any, path: str) -> Document | None:
    """Return the rows of a document by its form; None if the form is unknown.

    Args:
        value: The value, as Python's `json` reads it.
        path: The path of the file: difPy's results are told by its name.
    """
    if isinstance(value, list):
        return _ids(value, "IDs in a JSON array, as imagededup's to remove") or _czkawka(value)
    if not isinstance(value, dict) or not value:
        return None
    if all(isinstance(each, dict) for each in value.values()):  # by folders
        value = {name: found for folder in value.values() for name, found in folder.items()}
    is_difpy = _DIFPY.fullmatch(path.rpartition("/")[2]) is not None
    return _pairs(value, is_difpy=is_difpy)


def _ids(value: Any, producer: str) -> Document | None:
    of = {type(each) for each in value} if isinstance(value, list) else {type(value)}
    if not of <= {str} and of != {int}:
        return None
    rows: Rows = [[str(each)] for each in value]
    return Document(producer, ("id",), rows, {}, are_numbers=of == {int})


def _pairs(value: Mapping[str, Any], *, is_difpy: bool) -> Document | None:
    if not all(isinstance(others, list) for others in value.values()):
        return None
    # An image without another one is also a row: a list to keep or to protect may name it.
    found = [(name, other) for name, others in value.items() for other in others or [None]]
    producer = "difPy's results" if is_difpy else "imagededup's duplicates"
    partners = [_partner(other) for _, other in found]
    if not is_difpy and not {*partners} - {None} <= value.keys():  # imagededup names every image
        return None
    if all(other is None or isinstance(other, str) for _, other in found):
        rows: Rows = [[*pair] for pair in found]
        return None if is_difpy else Document(producer, ("id", "partner"), rows, _PARTNERS)
    if not all(other is None or _is_scored(other) for _, other in found):
        return None
    rows = [
        [name, partner, None if other is None else repr(other[1])]
        for (name, other), partner in zip(found, partners, strict=True)
    ]
    score = "mse" if is_difpy else "score"
    told = _PARTNERS | {"score_column": score} | ({"score_means": "distance"} if is_difpy else {})
    return Document(producer, ("id", "partner", score), rows, told)


def _partner(other: Any) -> str | None:
    """Return the name of the other image; empty if it has another form."""
    if other is None:
        return None
    name = other[0] if isinstance(other, list) and other else other
    return name if isinstance(name, str) else ""


def _is_scored(other: Any) -> bool:
    match other:
        case [str(), int() | float() as score]:
            return not isinstance(score, bool)
    return False


def _czkawka(value: list[Any]) -> Document | None:
    with_references = [_of_reference(group) for group in value]
    if all(with_references):
        pairs: Rows = [[*pair] for group in with_references for pair in group or ()]
        told = {"keeper_column": "keeper"}
        return Document("czkawka's images like those of a reference", ("id", "keeper"), pairs, told)
    groups = [_paths(group) for group in value]
    if not all(groups):
        return None
    rows: Rows = [[path, str(n)] for n, group in enumerate(groups) for path in group or ()]
    return Document("czkawka's similar images", ("id", "group"), rows, {"group_column": "group"})


def _of_reference(group: Any) -> list[tuple[str, str | None]] | None:
    match group:
        case [{"path": str(keeper)}, list(others)] if paths := _paths(others):
            return [(keeper, None), *((path, keeper) for path in paths)]
    return None


def _paths(group: Any) -> list[str] | None:
    """Return the paths of a group of czkawka; None if it is no such group."""
    if not isinstance(group, list):
        return None
    paths = [each.get("path") for each in group if isinstance(each, dict)]
    texts = [path for path in paths if isinstance(path, str)]
    return texts if len(texts) == len(group) else None


def _read(files: TextFiles, document: Document) -> TextRows:
    asked = files.wanted.asked
    told: dict[str, str | None] = dict(document.told)
    if asked.is_explained:
        told = {}
    elif "score_column" in told and "score_means" not in told and asked.score_means is None:
        raise AmbiguousListError(
            f"{_named(files)} has a score for each pair, as imagededup writes them: those of "
            "hashes are distances (0 is the same), those of its CNN are similarities (1 is the "
            "same). Say which: --score-means distance with --max-distance, or --score-means "
            "similarity with --eps."
        )
    frame = text_rows(files.session.spark, document.columns, document.rows)
    rows = measure(frame, files.wanted.data_type, files.paths[0])
    told["id_column"] = asked.id_column if asked.id_column in document.columns else "id"
    numbers = rows.holds["id"] - {"string"} if document.are_numbers else frozenset({"string"})
    holds = {**rows.holds, **dict.fromkeys(_IDS & rows.holds.keys(), numbers)}
    return replace(rows, holds=holds, told=told, producer=document.producer)


def _starts_like_lines(files: TextFiles) -> bool:
    """Tell whether the first line is a whole object of simple values, or others follow it."""
    lines = [line for line in files.head(files.files[0]).splitlines() if line.strip()]
    try:
        first = json.loads(lines[0].decode("utf-8-sig")) if lines else None
    except (ValueError, RecursionError):
        return False
    is_simple = not any(isinstance(value, list | dict) for value in _values(first))
    return isinstance(first, dict) and (len(lines) > 1 or is_simple)


def _values(value: Any) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else ())


def _text(files: TextFiles, why: str) -> str:
    try:
        return files.content(files.files[0], why).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{_named(files)} is not text in UTF-8: {error.reason}."
        ) from error


def _named(files: TextFiles) -> str:
    return files.named(files.files[0])
