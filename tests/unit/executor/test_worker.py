"""What a Python worker of Spark is left with."""

import sys

from dedup_lib.executor import worker


def test_spark_s_jar_is_not_read_again_before_each_task(monkeypatch):
    places = {"/spark/jars/spark-core.jar": object(), "/spark/pyspark.zip": object()}
    monkeypatch.setattr(sys, "path_importer_cache", places)
    assert worker.run(lambda one, other: one + other, 1, 2) == 3
    assert list(places) == ["/spark/pyspark.zip"]
