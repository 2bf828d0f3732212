"""Check before a rewrite on a GPU what would fall back to the CPU, and refuse it if asked to."""

from __future__ import annotations

import logging

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import UnsupportedError
from dedup_lib.methods import spark_engine
from dedup_lib.methods.gpu_plans import Fallback, Output, fallbacks
from dedup_lib.methods.spark_engine import Tuning
from dedup_lib.session.conf import tuning_settings
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable

_UNTUNED = Tuning("broadcast-ids", {}, {})
_log = logging.getLogger(__name__)


def can_read(images: ImageTable, settings: Settings) -> bool:
    """Tell whether a GPU can read an image table at all; True if it is unknown.

    *Cost:* as for `check_gpu`.
    """
    try:
        found = _fallbacks(images, _UNTUNED, settings)
    except UnsupportedError:
        return True
    return not any(item.operator.endswith("ScanExec") for item in found)


def check_gpu(
    spark: SparkSession,
    images: ImageTable,
    tuning: Tuning,
    settings: Settings,
) -> list[Fallback] | None:
    """Ask the RAPIDS Accelerator which parts of the rewrite a GPU can't run; None if unknown.

    Raises:
        UnsupportedError: --require-gpu was given, and the answer is unknown.

    *Cost:* the rewrite is planned twice, but not run.
    """
    try:
        with tuning_settings(spark, tuning.settings):
            found = _fallbacks(images, tuning, settings)
    except UnsupportedError as error:
        if settings.require_gpu:
            raise
        _log.info("it is unknown which parts fall back to the CPU: %s", error)
        return None
    if found and not settings.require_gpu:
        _log.warning("the RAPIDS Accelerator leaves to the CPU %s", _listed(found))
    return found


def check_none_falls_back(found: list[Fallback]) -> None:
    """Refuse a rewrite if a GPU can't run some part of it (--require-gpu).

    Raises:
        UnsupportedError: There is such a part.
    """
    if found:
        raise UnsupportedError(
            f"--require-gpu: the RAPIDS Accelerator would leave to the CPU {_listed(found)}."
        )


def _fallbacks(images: ImageTable, tuning: Tuning, settings: Settings) -> list[Fallback]:
    rows = spark_engine.apply(images, _stand_in(images), tuning.strategy, settings.action)
    output = Output(
        settings.resolved_output_format, images.root, tuning.options, images.partition_columns
    )
    return fallbacks(rows, output)


def _stand_in(images: ImageTable) -> DataFrame:
    """Return a substitute for the plan: a dry run has no plan file that a GPU could read."""
    image_id = images.stored_id
    return images.frame.select(
        image_id,
        image_id.alias("surviving_keeper_id"),
        F.lit("").alias("file_path"),
        F.lit(0).cast("bigint").alias("row_index"),
    )


def _listed(found: list[Fallback]) -> str:
    return "; ".join(f"{item.operator} ({item.reason})" for item in found)
