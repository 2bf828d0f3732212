"""WebDataset shards: the table format, and the engine that rewrites tar files one by one."""

from dedup_lib.webdataset.format import WebDatasetFormat

__all__ = [
    "WebDatasetFormat",
]
