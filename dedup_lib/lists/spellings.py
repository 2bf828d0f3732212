"""Other spellings of an image ID: programs change case, suffixes, directories, schemes and more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_INVISIBLE = "\0\u200b\u200e\u200f\u2060\ufeff"  # characters without width
# A drive of Windows is no scheme.
_SCHEME = r"^([A-Za-z][A-Za-z0-9+.-]+:(?=/))?(\.?/)*"
SUFFIX = r"\.[A-Za-z][A-Za-z0-9]{0,4}\z"


def _without_blanks(image_id: Column) -> Column:
    return F.btrim(image_id, F.lit(_BLANKS + _INVISIBLE))


def _without_scheme(image_id: Column) -> Column:
    """Spell file:/x, file:///x and /x alike, and s3a://x and s3://x."""
    slashed = F.regexp_replace(F.translate(image_id, "\\", "/"), "/{2,}", "/")
    return F.regexp_replace(slashed, _SCHEME, "")


def _decoded(image_id: Column) -> Column:
    # As a part of a URL, + would be a blank.
    decoded = F.try_url_decode(F.replace(image_id, F.lit("+"), F.lit("%2B")))
    return F.coalesce(decoded, image_id)


def _as_path(image_id: Column) -> Column:
    return _without_scheme(_decoded(image_id))


def _without_suffix(image_id: Column) -> Column:
    return F.regexp_replace(image_id, SUFFIX, "")


def _without_directories(image_id: Column) -> Column:
    return F.substring_index(F.translate(image_id, "\\", "/"), "/", -1)


def _as_number(image_id: Column) -> Column:
    """Undo what CSV readers and pandas do: 007 becomes 7, or 7 becomes 7.0."""
    whole = F.regexp_replace(image_id, r"^([0-9]+)\.0+\z", "$1")
    return F.regexp_replace(whole, r"^0+([0-9A-Za-z])", "$1")


def name_of(image_id: Column) -> Column:
    """Return the name of a file: an ID without directories, suffix and case."""
    return _without_suffix(F.lower(_without_directories(image_id)))


def _without_all(image_id: Column) -> Column:
    name = _without_suffix(_without_directories(_decoded(_without_blanks(image_id))))
    return _as_number(F.lower(name))


# How to spell IDs alike, by rule.
FORMS: Mapping[str, Callable[[Column], Column]] = {
    "blanks": _without_blanks,
    "case": F.lower,
    "numbers": _as_number,
    "schemes": _without_scheme,
    "encoding": _decoded,
    "paths": _as_path,
    "suffix": _without_suffix,
    "directories": _without_directories,
    "together": _without_all,
}
# When IDs match by each rule, in words; `suffix` tells more.
CONDITIONS = {
    "blanks": "without blanks and invisible characters around them",
    "case": "if upper and lower case were the same",
    "numbers": "without leading zeros and '.0' at the end",
    "schemes": "if schemes (such as 'file:') and slashes in front made no difference",
    "encoding": "if '%20' and the like were decoded",
    "paths": "if schemes and slashes in front made no difference, and '%20' and the like were "
    "decoded",
    "directories": "without directories",
    "together": "without directories, suffixes, percent-encoding, blanks around them, case and "
    "leading zeros together, more than without any one of these",
}
