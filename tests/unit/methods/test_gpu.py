"""The RAPIDS Accelerator: how a session's settings tell it, and how its words are read."""

from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from dedup_lib.errors import UnsupportedError
from dedup_lib.methods.gpu import (
    BATCH_BYTES,
    PLUGIN,
    SPLIT_BYTES,
    Accelerator,
    check_is_usable,
    find_accelerator,
    writable_codec,
)
from dedup_lib.methods.gpu_plans import Fallback, is_on_gpu, parsed
from dedup_lib.methods.tuning import ImageWeights, gpu_settings, split_settings

EXPLAINED = """
!Exec <DataWritingCommandExec> cannot run on GPU because not all data writing commands can be replaced
  !Output <InsertIntoHadoopFsRelationCommand> cannot run on GPU because compression codec GZIP is not supported
    *Exec <BroadcastHashJoinExec> will run on GPU
      @Expression <AttributeReference> image_id#1 could run on GPU
      !Expression <Foo> foo(image_id#1) AS a <b> cannot run on GPU because no foo(image_id#1L); x
      ! <Bar> bar(0) cannot run on GPU because GPU does not currently support the operator class Bar
      ^Expression <Hex> hex(image_id#1) will run on GPU via CPU bridge because it avoids transfers
"""  # noqa: E501  # as the accelerator writes it


def session(**settings):
    """What find_accelerator asks of a session; keys without their dots."""
    known = {key.replace("_", "."): value for key, value in settings.items()}
    return SimpleNamespace(conf=SimpleNamespace(get=known.get))


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, None),
        ({"spark_plugins": ""}, None),
        ({"spark_plugins": "org.example.Plugin"}, None),
        ({"spark_plugins": PLUGIN}, "executeOnGPU"),
        ({"spark_plugins": f"org.example.Plugin, {PLUGIN}"}, "executeOnGPU"),
        ({"spark_plugins": PLUGIN, "spark_rapids_sql_mode": "explainonly"}, "explainOnly"),
        ({"spark_plugins": PLUGIN, "spark_rapids_sql_mode": "executeOnGPU"}, "executeOnGPU"),
        ({"spark_plugins": PLUGIN, "spark_rapids_sql_enabled": "False"}, "disabled"),
    ],
)
def test_an_accelerator_is_told_by_the_settings_of_the_session(settings, mode):
    found = find_accelerator(session(**settings))
    assert (found and found.mode) == mode
    assert (found is not None and found.is_executing) == (mode == "executeOnGPU")


def test_where_a_platform_tells_no_setting_there_is_no_accelerator():
    def get(*_):
        raise PySparkException("[CONFIG_NOT_AVAILABLE]")

    assert find_accelerator(SimpleNamespace(conf=SimpleNamespace(get=get))) is None


@pytest.mark.parametrize(
    ("mode", "is_dry_run", "words"),
    [
        (None, True, "no RAPIDS Accelerator"),
        ("disabled", True, "spark.rapids.sql.enabled is false"),
        ("explainOnly", False, "explainOnly, so the CPU would do the run"),
    ],
)
def test_require_gpu_refuses_what_leaves_the_run_to_the_cpu(mode, is_dry_run, words):
    with pytest.raises(UnsupportedError, match=words) as caught:
        check_is_usable(mode and Accelerator(mode), is_dry_run=is_dry_run)
    assert caught.value.exit_code == 2


def test_require_gpu_takes_a_gpu_and_for_dry_runs_the_explain_only_mode():
    for is_dry_run in (True, False):
        check_is_usable(Accelerator("executeOnGPU"), is_dry_run=is_dry_run)
    check_is_usable(Accelerator("explainOnly"), is_dry_run=True)


def test_what_falls_back_is_read_with_its_reason():
    assert parsed(EXPLAINED) == [
        Fallback("DataWritingCommandExec", "not all data writing commands can be replaced"),
        Fallback("InsertIntoHadoopFsRelationCommand", "compression codec GZIP is not supported"),
        Fallback("Foo", "no foo(image_id); x"),
        Fallback("Bar", "GPU does not currently support the operator class Bar"),
        Fallback("Hex", "it avoids transfers"),
    ]
    assert parsed("*Exec <FileSourceScanExec> will run on GPU\n") == []


@pytest.mark.parametrize(
    "text", ["", "!Exec <A> is something new", "Can't replace any part of this plan due to: x"]
)
def test_words_that_are_not_understood_are_no_consent(text):
    (found,) = parsed(text)
    assert found.operator == "all"


@pytest.mark.parametrize("image_bytes", [1, 50_000, 25_000_000, 400_000_000])
def test_a_gpu_batch_is_bounded_by_what_rows_weigh(image_bytes):
    found = gpu_settings(ImageWeights(image_bytes, "snappy"))
    rows = int(found["spark.rapids.sql.reader.batchSizeRows"])
    assert rows == 1 or rows * image_bytes <= BATCH_BYTES
    assert int(found["spark.rapids.sql.batchSizeBytes"]) == BATCH_BYTES <= 512 * 1024**2
    assert rows < 2**31


def test_a_task_of_a_gpu_takes_no_more_than_the_gpu_is_to_hold():
    key = "spark.sql.files.maxPartitionBytes"
    assert split_settings(2**28, 0.01)[key] == str(int(2**28 / 0.01))
    assert split_settings(2**28, 0.01, is_on_gpu=True)[key] == str(SPLIT_BYTES)
    assert split_settings(2**20, 0.5, is_on_gpu=True) == split_settings(2**20, 0.5)


@pytest.mark.parametrize("codec", ["gzip", "lz4_raw"])
def test_what_a_gpu_can_not_compress_becomes_zstd(codec):
    assert writable_codec(codec) == "zstd"
    assert gpu_settings(ImageWeights(1, codec))["spark.sql.parquet.compression.codec"] == "zstd"


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "zstd"])
def test_what_a_gpu_can_compress_stays_as_it_is(codec):
    assert writable_codec(codec) == codec


def test_where_the_images_codecs_differ_the_session_s_own_holds():
    assert "spark.sql.parquet.compression.codec" not in gpu_settings(ImageWeights(1, None))


def test_an_operator_of_a_gpu_is_told_by_its_name():
    assert is_on_gpu("GpuScan parquet")
    assert is_on_gpu("Execute GpuInsertIntoHadoopFsRelationCommand")
    assert not is_on_gpu("Scan parquet")
