"""Removal lists: what a producer wrote, as typed entries."""

from dedup_lib.lists.protected import read_protect_list
from dedup_lib.lists.removal_list import RemovalList, read_removal_list

__all__ = [
    "RemovalList",
    "read_protect_list",
    "read_removal_list",
]
