"""README and the pages of docs/, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import ROOT

README = ROOT / "README.md"
PAGES = sorted(ROOT.glob("docs/*.md"))
# All that people read on a forge, and that may link to one another.
DOCUMENTS = [
    README,
    *PAGES,
    *(ROOT / name for name in ("CHANGELOG.md", "SECURITY.md")),
    *sorted(ROOT.glob(".github/**/*.md")),
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


def documents_text() -> str:
    """Return the text of README and all pages."""
    return "\n".join(path.read_text() for path in (README, *PAGES))


def blocks(text: str, language: str = "") -> list[str]:
    """Return the code blocks of a language; the default is that of commands and their output."""
    return [body for found, body in _BLOCK.findall(text) if found == language]


def code_spans(text: str) -> list[str]:
    """Return what stands between backticks in a line, without them."""
    return [span[1:-1] for span in _SPAN.findall(_BLOCK.sub("", text))]


def links(text: str) -> list[str]:
    """Return the targets of links and pictures."""
    return _LINK.findall(_SPAN.sub("", _BLOCK.sub("", text)))


def anchors(text: str) -> list[str]:
    """Return the anchors that forges give to the headings, if no two headings are equal."""
    return [_anchor(heading) for heading in _HEADING.findall(_BLOCK.sub("", text))]


def _anchor(heading: str) -> str:
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")


def links_to_nowhere(path: Path) -> list[str]:
    """Return the relative links of a document whose file or anchor is not there."""
    return [link for link in links(path.read_text()) if not _leads_somewhere(path, link)]


def _leads_somewhere(path: Path, link: str) -> bool:
    if "://" in link:
        return True
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text())
