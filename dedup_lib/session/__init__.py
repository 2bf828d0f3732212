"""One Spark session, classic or over Spark Connect, and the file systems that it reaches."""

from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, Storage

__all__ = ["SPARK_ERRORS", "FileInfo", "Session", "Storage", "on_executors", "open_storage"]
