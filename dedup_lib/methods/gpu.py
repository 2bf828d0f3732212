"""Find the RAPIDS Accelerator for Spark in a session, and choose its settings for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from dedup_lib.errors import UnsupportedError
from dedup_lib.session.spark_session import get_setting

PLUGIN = "com.nvidia.spark.SQLPlugin"
ENABLED = "spark.rapids.sql.enabled"
Mode = Literal["executeOnGPU", "explainOnly", "disabled"]
# The size limit of a batch. A column of a batch holds at most 2 GB, and a write of a batch of more
# than 512 MB may fail (cudf issue 23504).
BATCH_BYTES = 256 * 1024**2
SPLIT_BYTES = 512 * 1024**2
_CODECS = frozenset({"uncompressed", "snappy", "zstd"})


@dataclass(frozen=True)
class Accelerator:
    """The accelerator of a session; `disabled` means that it is installed but switched off."""

    mode: Mode

    @property
    def is_executing(self) -> bool:
        """Whether queries run on GPUs as far as possible."""
        return self.mode == "executeOnGPU"


def find_accelerator(spark: SparkSession) -> Accelerator | None:
    """Look for the accelerator in the settings of a session, classic or of Spark Connect."""
    plugins = get_setting(spark, "spark.plugins") or ""
    if PLUGIN not in (name.strip() for name in plugins.split(",")):
        return None
    if (get_setting(spark, ENABLED) or "true").lower() != "true":
        return Accelerator("disabled")
    mode = get_setting(spark, "spark.rapids.sql.mode") or ""
    return Accelerator("explainOnly" if mode.lower() == "explainonly" else "executeOnGPU")


def check_is_usable(accelerator: Accelerator | None, *, is_dry_run: bool) -> None:
    """Check that a session's accelerator can fulfil --require-gpu.

    Args:
        accelerator: The session's accelerator; None if there is no accelerator.
        is_dry_run: Whether this is a dry run. The accelerator can explain it without a GPU.

    Raises:
        UnsupportedError: The session has no accelerator, or the run would use the CPU.
    """
    if accelerator is None:
        raise UnsupportedError(
            "--require-gpu: this session has no RAPIDS Accelerator (spark.plugins does not name "
            f"{PLUGIN}): see conf/spark/gpu.conf."
        )
    if accelerator.mode == "disabled":
        raise UnsupportedError(
            f"--require-gpu: {ENABLED} is false. Leave this setting out, or set it to true."
        )
    if not accelerator.is_executing and not is_dry_run:
        raise UnsupportedError(
            "--require-gpu: spark.rapids.sql.mode is explainOnly, so the CPU would do the run. "
            "Add --dry-run to see what a GPU would run, or start Spark without that mode."
        )


def image_batch_settings(row_bytes: int, row_group_bytes: int) -> dict[str, str]:
    """Return the session settings that limit how much data is on a GPU at once.

    The accelerator assumes 100 bytes for each binary value, so a limit in rows is set as well.

    Args:
        row_bytes: The mean size of a row.
        row_group_bytes: The largest size of a written row group. cuDF's writer ignores
            parquet.block.size.
    """
    return {
        "spark.rapids.sql.batchSizeBytes": str(BATCH_BYTES),
        "spark.rapids.sql.reader.batchSizeRows": str(max(1, BATCH_BYTES // row_bytes)),
        "spark.rapids.sql.format.parquet.writer.rowGroupSizeBytes": str(row_group_bytes),
    }


def writable_codec(codec: str) -> str:
    """Return the given Parquet codec if the accelerator can write it, else zstd."""
    return codec if codec in _CODECS else "zstd"


def uses_gpu(spark: SparkSession) -> bool:
    """Tell whether a GPU does the work of the `spark` engine, as far as possible."""
    accelerator = find_accelerator(spark)
    return accelerator is not None and accelerator.is_executing
