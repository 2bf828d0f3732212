"""Remove duplicate images from Parquet and Delta tables with Spark.

`run` does what the command line does. `remove_duplicates` and `plan_removal` do the same with lazy
DataFrames, for your own pipelines.
"""

from dedup_lib import errors, formats  # noqa: F401  # it registers the formats
from dedup_lib.dataframes import plan_removal, remove_duplicates
from dedup_lib.pipeline import run
from dedup_lib.report import Report
from dedup_lib.settings import DuplicateIds, Settings
from dedup_lib.version import __version__

__all__ = [
    "DuplicateIds",
    "Report",
    "Settings",
    "__version__",
    "errors",
    "plan_removal",
    "remove_duplicates",
    "run",
]
