"""conf/spark: what the files for GPUs have in common with that for CPUs, and with one another."""

import pytest

from dedup_lib.methods.gpu import PLUGIN
from dedup_lib.session import start
from tests.support.jars.rapids_jar import JAR
from tests.support.paths import ROOT
from tests.support.processes.runs import properties

CONF = {path.stem: properties(path) for path in (ROOT / "conf/spark").glob("*.conf")}
DELTA_WRITE = "spark.rapids.sql.format.delta.write.enabled"
GPU = ["gpu", "gpu-delta", "gpu-local"]


def test_one_machine_is_set_up_as_a_cluster_and_more():
    assert CONF["cpu"].items() <= CONF["local"].items()


def test_the_console_script_sets_what_the_file_for_one_machine_sets():
    """But for what clusters need, and Delta only if its jars are there."""
    read = {key: value.replace("\\\\", "\\") for key, value in CONF["local"].items()}
    others = {"spark.master", "spark.executor.memoryOverheadFactor", "spark.yarn.maxAppAttempts"}
    own = start._LOCAL_SETTINGS | start._JAVA_SETTINGS | start._DELTA_SETTINGS
    assert own == {key: value for key, value in read.items() if key not in others}


@pytest.mark.parametrize("name", GPU)
def test_a_gpu_is_set_up_as_a_cpu_but_for_memory(name):
    memory = {"spark.driver.memory", "spark.executor.memoryOverheadFactor"}
    shared = {key: value for key, value in CONF["cpu"].items() if key not in memory}
    assert shared.items() <= CONF[name].items()
    assert CONF[name]["spark.plugins"] == PLUGIN


def test_only_delta_4_0_1_is_written_by_a_gpu():
    assert {name for name in GPU if DELTA_WRITE in CONF[name]} == {"gpu", "gpu-local"}
    assert CONF["gpu"] == CONF["gpu-delta"] | {DELTA_WRITE: "false"}
    assert "delta-spark_2.13:4.0.1" in (ROOT / "conf/spark/gpu-delta.conf").read_text()


def test_local_mode_has_no_executors_to_set_up():
    """Spark refuses GPU resources there."""
    own = CONF["gpu-local"]
    assert not [key for key in own if ".resource." in key or key.startswith("spark.executor.")]
    assert own.items() <= CONF["gpu"].items()


def test_the_tasks_of_an_executor_share_its_gpu():
    conf = CONF["gpu"]
    share = float(conf["spark.task.resource.gpu.amount"])
    assert share * int(conf["spark.executor.cores"]) == 1
    sizes = ("spark.executor.memoryOverhead", "spark.rapids.memory.pinnedPool.size")
    overhead, pinned = (int(conf[key].removesuffix("g")) for key in sizes)
    assert overhead > pinned


@pytest.mark.parametrize("name", ["gpu", "gpu-delta"])
def test_the_jar_that_is_named_is_the_one_that_is_tested(name):
    text = (ROOT / f"conf/spark/{name}.conf").read_text()
    assert JAR.name in text
    assert "com.nvidia:rapids-4-spark_2.13:26.08.1" in text
