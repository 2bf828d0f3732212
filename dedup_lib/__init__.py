"""Remove duplicate images from Parquet and Delta tables with Spark.

`run` does what the command line does; `remove_duplicates` and `plan_removal` are the same
thought as lazy DataFrames, for pipelines of your own.
"""

from dedup_lib import errors, formats  # noqa: F401  # which makes the formats known
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
