"""Stage an output where no reader looks, then put it in its final location."""

from dedup_lib.publish.overlap import check_locations, check_report
from dedup_lib.publish.workspace import Workspace

__all__ = [
    "Workspace",
    "check_locations",
    "check_report",
]
