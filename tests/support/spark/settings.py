"""The settings of the suite's sessions."""

import os

from tests.support.spark.home import INSTALLED
from tests.support.spark.java import JAVA_OPTIONS, LASTING_JAVA_OPTIONS

# Where the suite runs on Spark Connect.
REMOTE = os.environ.get("SPARK_REMOTE")
HAS_ICEBERG = any((INSTALLED / "jars").glob("iceberg-spark-runtime-*.jar"))
_DELTA = "io.delta.sql.DeltaSparkSessionExtension"
_ICEBERG = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
EXTENSIONS = f"{_DELTA},{_ICEBERG}" if HAS_ICEBERG else _DELTA
SPARK_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.ui.explainMode": "simple",  # each query's plan is written out, for nobody
    # Python would send Java the line that each operation of a frame comes from.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Delta's usual store starts processes (readlink, chmod) for each file of a log.
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
    "spark.sql.extensions": EXTENSIONS,
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# Without generated code, and planned once: a third quicker, where queries are many and rows few.
INTERPRETED = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.adaptive.enabled": "false",
}
# A worker of pytest-xdist keeps its session for many files, for half an hour in the whole suite.
# On Spark Connect it has few.
IS_LASTING = "PYTEST_XDIST_WORKER" in os.environ and not REMOTE
OF_SESSION = {"spark.driver.extraJavaOptions": LASTING_JAVA_OPTIONS} if IS_LASTING else {}
AS_SHIPPED = {
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.adaptive.enabled": "true",
}


def iceberg_catalog(warehouse: str, name: str = "ice") -> dict[str, str]:
    """The settings of a catalog of Iceberg tables in a directory; none where Iceberg is not."""
    catalog = f"spark.sql.catalog.{name}"
    settings = {
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "hadoop",
        f"{catalog}.warehouse": warehouse,
        f"{catalog}.cache-enabled": "false",
    }
    return settings if HAS_ICEBERG else {}
