"""Outputs that are staged where no reader looks, and put in their location."""

from dedup_lib.publish.overlap import check_places, check_report
from dedup_lib.publish.workspace import Workspace

__all__ = [
    "Workspace",
    "check_places",
    "check_report",
]
