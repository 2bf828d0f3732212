"""The Chromium that is installed, driven by Playwright's core."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def started(driver: Any) -> Iterator[Any]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # root may have none
    browser = driver.chromium.launch(executable_path=installed(), args=arguments)
    yield browser
    browser.close()
