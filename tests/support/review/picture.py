"""Take the README's picture of the example page.

python -m tests.support.review.picture PAGE.html docs/review-page.webp
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.support.review import chromium


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    with sync_playwright() as driver, chromium.started(driver) as browser:
        page = browser.new_page(viewport={"width": 1100, "height": 820}, color_scheme="light")
        page.goto(source.absolute().as_uri())
        for key in "jjx":
            page.keyboard.press(key)
        shot = page.screenshot()
    Image.open(io.BytesIO(shot)).convert("RGB").save(target, "WEBP", quality=80, method=6)


if __name__ == "__main__":
    main()
