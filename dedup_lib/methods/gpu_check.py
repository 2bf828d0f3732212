"""Check before a rewrite on a GPU what would fall back to the CPU, and refuse it if asked to."""

from __future__ import annotations

import dataclasses
import logging

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import UnsupportedError
from dedup_lib.methods import spark_engine
from dedup_lib.methods.gpu_plans import Fallback, Output, fallbacks
from dedup_lib.methods.spark_engine import Tuning
from dedup_lib.report import Report
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.sql_names import quoted
from dedup_lib.settings import Settings
from dedup_lib.tables.pinned import PinnedTable

_UNTUNED = Tuning("broadcast-ids", {}, {})
_log = logging.getLogger(__name__)


def can_read(images: PinnedTable, settings: Settings) -> bool:
    """Tell whether a GPU can read an image table at all; True if that is not known.

    *Cost:* that of `check_gpu`.
    """
    try:
        found = _fallbacks(images, _UNTUNED, settings)
    except UnsupportedError:
        return True
    return not any(item.operator.endswith("ScanExec") for item in found)


def check_gpu(
    spark: SparkSession,
    images: PinnedTable,
    tuning: Tuning,
    *,
    settings: Settings,
    report: Report,
) -> None:
    """Ask the RAPIDS Accelerator which parts of the rewrite a GPU can't run, and report them.

    Raises:
        UnsupportedError: --require-gpu was given, and a GPU can't run some part, or that is not
            known.

    *Cost:* the rewrite is planned twice, but not run.
    """
    try:
        with tuning_settings(spark, tuning.settings):
            found = _fallbacks(images, tuning, settings)
    except UnsupportedError as error:
        if settings.require_gpu:
            raise
        _log.info("what falls back is not known: %s", error)
        return
    report.gpu = (report.gpu or {}) | {"falls_back": [dataclasses.asdict(item) for item in found]}
    if found and settings.require_gpu:
        raise UnsupportedError(
            f"--require-gpu: the RAPIDS Accelerator would leave to the CPU {_listed(found)}."
        )
    if found:
        _log.warning("the RAPIDS Accelerator leaves to the CPU %s", _listed(found))


def _fallbacks(images: PinnedTable, tuning: Tuning, settings: Settings) -> list[Fallback]:
    column = settings.image_id_column
    rows = spark_engine.apply(
        images, column, _stand_in(images.frame, column), tuning.strategy, settings.action
    )
    output = Output(
        settings.resolved_output_format, images.root, tuning.options, images.partition_columns
    )
    return fallbacks(rows, output)


def _stand_in(images: DataFrame, image_id_column: str) -> DataFrame:
    """Return a substitute for the plan: a dry run has no plan file that a GPU could read."""
    image_id = F.col(quoted(image_id_column))
    return images.select(
        image_id.alias("image_id"),
        image_id.alias("surviving_keeper_id"),
        F.lit("").alias("file_path"),
        F.lit(0).cast("bigint").alias("row_index"),
    )


def _listed(found: list[Fallback]) -> str:
    return "; ".join(f"{item.operator} ({item.reason})" for item in found)
