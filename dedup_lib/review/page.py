"""Render the review page: one HTML file that shows a run's plan, and loads no other file.

All text is escaped. The content security policy has the hashes of the page's script and style, so
the browser runs only this script, and fetches nothing.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import importlib.util
import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, get_args

from dedup_lib.errors import UnsupportedError
from dedup_lib.executor.thumbnails import Thumbnail
from dedup_lib.redaction import redact
from dedup_lib.review.data import Review, Sign, least_certain_first
from dedup_lib.review.figures import group_rows, histogram, losses
from dedup_lib.session.one_file import OneFile
from dedup_lib.tables.id_types import ImageId

if TYPE_CHECKING:
    from jinja2 import Environment

_NEEDED = {"jinja2": "Jinja2", "PIL": "Pillow"}
# This text in its first lines identifies a review page.
MARK = '<meta name="generator" content="remove-duplicates: review">'
_MOST_TEXT_CHARACTERS = 600
_POLICY = (
    "default-src 'none'; img-src data:; script-src '{script}'; style-src '{style}'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def review_file(location: str) -> OneFile:
    """Return a review page as a file, which replaces only an older review page."""
    return OneFile("review", location, lambda head: MARK.encode() in head)


def check_installed() -> None:
    """Check that the packages for a review are installed.

    Raises:
        UnsupportedError: A package is missing; the message has the command that installs it.
    """
    missing = [name for module, name in _NEEDED.items() if not importlib.util.find_spec(module)]
    if missing:
        raise UnsupportedError(
            f"--review needs {' and '.join(missing)}, not installed where the job starts: "
            f"pip install {' '.join(missing)}."
        )


def render(review: Review) -> str:
    """Return the page, as the text of one HTML file.

    *Cost:* memory for at most two copies of the text, which is a third longer than its pictures.
    """
    template = _environment().get_template("page.html.j2")
    script, style = _file("page.js"), _file("page.css")
    return template.render(
        review=review,
        pairs=least_certain_first(review.pairs),
        histogram=histogram(review.scores) if review.scores else None,
        group_rows=group_rows(review.group_sizes or {}),
        losses=losses(review.parts),
        signs=_counted_signs(review),
        mark=_trusted(MARK),
        script=_trusted(script),
        style=_trusted(style),
        policy=_POLICY.format(script=_digest(script), style=_digest(style)),
    )


def _counted_signs(review: Review) -> dict[str, int]:
    """Count the pairs with each sign, in the order in which `Sign` lists them."""
    counts = Counter(sign for pair in review.pairs for sign in pair.signs)
    return {sign: counts[sign] for sign in get_args(Sign) if counts[sign]}


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": _count,
        "data_uri": _data_uri,
        "id_json": _id_json,
        "location": _location,
        "size": _size,
        "percent": _percent,
        "score": _score,
        "text": _text,
        "visible": _visible,
    }
    return environment


@cache
def _file(name: str) -> str:
    """Read a file of the page; this also works in a zip."""
    found = importlib.resources.files("dedup_lib.review").joinpath("templates").joinpath(name)
    return found.read_text(encoding="utf-8")


def _trusted(text: str) -> str:
    """Declare a file of the page as text that must not be escaped."""
    from markupsafe import Markup

    if "</script" in text.lower() or "</style" in text.lower():
        raise ValueError("a script or a style can't contain its end tag")
    return Markup(text)  # noqa: S704  # it is never a user's text


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _id_json(image_id: ImageId) -> str:
    """Return an ID as JSON in ASCII; the page passes this text on unchanged.

    As numbers, a script would round large IDs; as strings, it would confuse 1 with '1'.
    """
    return json.dumps(image_id)


def _visible(value: object) -> str:
    """Replace invisible characters, and those that change the text direction, by visible text."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )


def _location(text: str) -> str:
    return _visible(redact(text))


def _text(value: str | None) -> str:
    """Format the value of a column. Long values are cut, so equal texts may have other ends."""
    if value is None:
        return "NULL"
    rest = len(value) - _MOST_TEXT_CHARACTERS
    more = f"… ({rest:,} characters more)" if rest > 0 else ""
    return _visible(value[:_MOST_TEXT_CHARACTERS]) + more


def _data_uri(thumbnail: Thumbnail) -> str:
    return f"data:image/webp;base64,{base64.b64encode(thumbnail.webp or b'').decode()}"


def _count(number: int) -> str:
    return f"{number:,}"


def _size(num_bytes: int) -> str:
    """Format a size in the unit that gives one to three digits before the decimal point."""
    size = float(num_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} PB"


def _percent(fraction: float) -> str:
    """Format a share so that only zero is 0 %, and only the whole is 100 %."""
    if 0 < fraction < 0.001:
        return "under 0.1 %"
    if 0.999 < fraction < 1:
        return "over 99.9 %"
    return f"{100 * fraction:.1f} %"


def _score(value: float) -> str:
    return f"{value:.4f}"
