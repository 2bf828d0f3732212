"""Settings as they are by default, but for what a test gives."""

from typing import Any

from dedup_lib import DuplicateIds, Settings

LISTS = (DuplicateIds("a/list"),)
BASE = {"images": "a/images", "duplicate_ids": LISTS, "output": "a/out"}


def settings(**values: Any) -> Settings:
    return Settings(**{**BASE, **values})
