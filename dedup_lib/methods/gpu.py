"""The RAPIDS Accelerator for Spark: whether a session has it, and its settings for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from dedup_lib.errors import UnsupportedError
from dedup_lib.session.spark_session import setting_of

PLUGIN = "com.nvidia.spark.SQLPlugin"
ENABLED = "spark.rapids.sql.enabled"
Mode = Literal["executeOnGPU", "explainOnly", "disabled"]
# What one batch may weigh: a column of it at most 2 GB, and writing one of more than 512 MB may
# fail (cudf issue 23504).
BATCH_BYTES = 256 * 1024**2
SPLIT_BYTES = 512 * 1024**2
_CODECS = frozenset({"uncompressed", "snappy", "zstd"})


@dataclass(frozen=True)
class Accelerator:
    """The accelerator of a session: `disabled` is there, but switched off."""

    mode: Mode

    @property
    def is_executing(self) -> bool:
        """Whether queries run on GPUs as far as they can."""
        return self.mode == "executeOnGPU"


def find_accelerator(spark: SparkSession) -> Accelerator | None:
    """Look for the accelerator in the settings of a session, classic or of Spark Connect."""
    plugins = setting_of(spark, "spark.plugins") or ""
    if PLUGIN not in (name.strip() for name in plugins.split(",")):
        return None
    if (setting_of(spark, ENABLED) or "true").lower() != "true":
        return Accelerator("disabled")
    mode = setting_of(spark, "spark.rapids.sql.mode") or ""
    return Accelerator("explainOnly" if mode.lower() == "explainonly" else "executeOnGPU")


def check_is_usable(accelerator: Accelerator | None, *, is_dry_run: bool) -> None:
    """Check that a session's accelerator is what --require-gpu asks for.

    Args:
        accelerator: Of the session; None where it has none.
        is_dry_run: Whether nothing is run but a plan: that may be explained without a GPU.

    Raises:
        UnsupportedError: There is none, or it leaves the run to the CPU.
    """
    if accelerator is None:
        raise UnsupportedError(
            "--require-gpu: this session has no RAPIDS Accelerator (spark.plugins does not name "
            f"{PLUGIN}): see conf/spark/gpu.conf."
        )
    if accelerator.mode == "disabled":
        raise UnsupportedError(f"--require-gpu: {ENABLED} is false. Leave it out, or set it true.")
    if not accelerator.is_executing and not is_dry_run:
        raise UnsupportedError(
            "--require-gpu: spark.rapids.sql.mode is explainOnly, so the run would be the CPU's. "
            "Add --dry-run to be told what a GPU would run, or start Spark without that mode."
        )


def image_batch_settings(row_bytes: int, row_group_bytes: int) -> dict[str, str]:
    """Return the session settings that bound what is on a GPU at once.

    The accelerator reckons 100 bytes for a binary value, whatever it weighs; so rows are counted.

    Args:
        row_bytes: What a row weighs in the mean.
        row_group_bytes: What a row group that is written may weigh; of cuDF's own writer, which
            knows nothing of parquet.block.size.
    """
    return {
        "spark.rapids.sql.batchSizeBytes": str(BATCH_BYTES),
        "spark.rapids.sql.reader.batchSizeRows": str(max(1, BATCH_BYTES // row_bytes)),
        "spark.rapids.sql.format.parquet.writer.rowGroupSizeBytes": str(row_group_bytes),
    }


def writable_codec(codec: str) -> str:
    """Return a Parquet codec that the accelerator writes: the given one, or zstd."""
    return codec if codec in _CODECS else "zstd"


def uses_gpu(spark: SparkSession) -> bool:
    """Tell whether what the `spark` engine does is the GPU's, as far as it can."""
    accelerator = find_accelerator(spark)
    return accelerator is not None and accelerator.is_executing
