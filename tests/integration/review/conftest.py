"""Chromium, and pages in it: without Chromium or Playwright these tests are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.review import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    pytest.importorskip("PIL", reason="Pillow isn't installed")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright isn't installed: pip install playwright"
    )
    if chromium.installed() is None:
        pytest.skip("Chromium isn't installed: apt-get install chromium")
    with playwright.sync_playwright() as driver, chromium.started(driver) as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """What a browser's console says, errors in scripts, and what was asked for beside the page."""
    return []


@pytest.fixture
def open_page(browser: Any, complaints: list[str], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a review in a tab: open_page(review, **options of the browser's context).

    Afterwards no page may have complained, or asked for anything but itself.
    """
    contexts = []
    path = tmp_path / "review.html"

    def notice(request: Any) -> None:
        if not request.url.startswith(("data:", "blob:")) and request.url != path.as_uri():
            complaints.append(f"asked for {request.url}")

    def open_page(review: Any, script: str | None = None, **options: Any) -> Any:
        from dedup_lib.review.page import render

        path.write_text(render(review), encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        if script is not None:
            context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", notice)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
