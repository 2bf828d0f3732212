"""Read lists from text: CSV, JSON Lines, an ID in each line, and the files of duplicate finders."""

from dedup_lib.lists.text.files import TextFiles
from dedup_lib.lists.text.reading import read_text

__all__ = ["TextFiles", "read_text"]
