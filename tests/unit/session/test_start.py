"""What is known before there is a session: whether a path is local, and what the user set."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from dedup_lib.session import start

CONFIGURED = (
    "HADOOP_CONF_DIR YARN_CONF_DIR HADOOP_HOME SPARK_DIST_CLASSPATH SPARK_CONF_DIR SPARK_HOME "
    "SPARK_API_MODE SPARK_CONNECT_MODE SPARK_SUBMIT_OPTS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS "
    "SPARK_REMOTE DATABRICKS_RUNTIME_VERSION PYSPARK_GATEWAY_PORT PYSPARK_SUBMIT_ARGS"
)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A console script on a machine where nothing is set."""
    for name in CONFIGURED.split():
        monkeypatch.delenv(name, raising=False)
    sessions = SimpleNamespace(getActiveSession=lambda: None)
    monkeypatch.setattr(start, "SparkSession", sessions)


@pytest.mark.parametrize(
    "arguments",
    [
        None,
        "pyspark-shell",
        "--master local[2] pyspark-shell",
        "--conf spark.master=local --conf 'spark.driver.extraJavaOptions=-Da=b c' pyspark-shell",
    ],
)
def test_a_local_session_without_hadoop_reads_this_machine(monkeypatch, arguments):
    if arguments is not None:
        monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", arguments)
    assert start.is_surely_local()


@pytest.mark.parametrize(
    "arguments",
    [
        "--master spark://host:7077 pyspark-shell",
        "--conf spark.master=yarn pyspark-shell",
        "--conf spark.hadoop.fs.defaultFS=hdfs://host/ pyspark-shell",
        "--conf spark.driver.extraClassPath=/etc/hadoop pyspark-shell",
        "--conf spark.jars=some.jar pyspark-shell",
        "--packages a:b:1 pyspark-shell",
        "--properties-file some.conf pyspark-shell",
        "--conf spark.api.mode=connect pyspark-shell",
        "--conf spark.driver.extraJavaOptions=-Dspark.master=yarn pyspark-shell",
        "--conf",
    ],
)
def test_settings_that_may_lead_elsewhere_are_left_to_spark(monkeypatch, arguments):
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", arguments)
    assert not start.is_surely_local()


@pytest.mark.parametrize(
    "name",
    ["HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_DIST_CLASSPATH", "DATABRICKS_RUNTIME_VERSION"],
)
def test_an_environment_that_may_lead_elsewhere_is_left_to_spark(monkeypatch, name):
    monkeypatch.setenv(name, "something")
    assert not start.is_surely_local()


@pytest.mark.parametrize("name", ["SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"])
def test_settings_in_options_of_java_are_left_to_spark(monkeypatch, name):
    monkeypatch.setenv(name, "-Xss4m")
    assert start.is_surely_local()
    monkeypatch.setenv(name, "-Dspark.hadoop.fs.defaultFS=hdfs://host/")
    assert not start.is_surely_local()


def test_a_folder_of_settings_is_left_to_spark(monkeypatch, tmp_path):
    (tmp_path / "conf").mkdir()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert not start.is_surely_local()


def test_a_session_that_exists_and_a_server_are_left_to_spark(monkeypatch):
    monkeypatch.setenv("SPARK_REMOTE", "sc://host")
    assert not start.is_surely_local()
    monkeypatch.delenv("SPARK_REMOTE")
    sessions = SimpleNamespace(getActiveSession=object)
    monkeypatch.setattr(start, "SparkSession", sessions)
    assert not start.is_surely_local()


def test_another_thread_is_left_to_spark():
    """It does not see the active session of the thread that made it."""
    with ThreadPoolExecutor() as pool:
        assert not pool.submit(start.is_surely_local).result()


@pytest.fixture
def spark_home(monkeypatch, tmp_path):
    """A Spark with the jars of Delta and Iceberg."""
    for jar in ("delta-spark_2.13-4.0.1", "iceberg-spark-runtime-4.0_2.13-1.11.0"):
        (tmp_path / f"jars/{jar}.jar").parent.mkdir(exist_ok=True)
        (tmp_path / f"jars/{jar}.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    return tmp_path


def own(settings):
    return start._beside_own(settings | start._table_settings())


def test_extensions_of_the_jars_that_are_there_stand_beside_the_users(monkeypatch, spark_home):
    delta, iceberg = start._DELTA_SETTINGS[start.EXTENSIONS], start.ICEBERG_EXTENSION
    assert own({})[start.EXTENSIONS] == f"{delta},{iceberg}"
    arguments = f"--packages a:b:1 --conf {start.EXTENSIONS}=a.B,{delta} pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", arguments)
    assert own({})[start.EXTENSIONS] == f"a.B,{delta},{iceberg}"
    monkeypatch.setenv("SPARK_HOME", str(spark_home / "other"))
    assert own({}) == {start.EXTENSIONS: f"a.B,{delta}"}


def test_what_the_user_set_is_not_set_again(monkeypatch, spark_home):
    (spark_home / "conf").mkdir()
    text = "# a comment\nspark.a.b  1 2\nspark.sql.catalog.spark_catalog=my.Catalog\n\n"
    (spark_home / "conf/spark-defaults.conf").write_text(text)
    ours = {"spark.a.b": "3", "spark.c": "4"}
    assert own(ours).keys() == {"spark.c", start.EXTENSIONS}
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.c=5 pyspark-shell")
    assert own(ours).keys() == {start.EXTENSIONS}
    (spark_home / "other.conf").write_text("spark.c=6")
    arguments = f"--properties-file {spark_home}/other.conf pyspark-shell"  # no defaults then
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", arguments)
    assert own(ours).keys() == {"spark.a.b", "spark.sql.catalog.spark_catalog", start.EXTENSIONS}
