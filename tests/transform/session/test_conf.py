"""Session settings last as long as the action that they are for."""

import pytest
from pyspark.errors import PySparkException

from dedup_lib.session.conf import session_settings, tuning_settings

SHUFFLE, STATIC = "spark.sql.shuffle.partitions", "spark.sql.warehouse.dir"


def test_settings_are_put_back_whatever_happens(spark):
    def fail():
        assert (spark.conf.get(SHUFFLE), spark.conf.get("spark.sql.x")) == ("7", "y")
        raise KeyError

    before = spark.conf.get(SHUFFLE)
    with pytest.raises(KeyError), session_settings(spark, {SHUFFLE: "7", "spark.sql.x": "y"}):
        fail()
    assert (spark.conf.get(SHUFFLE), spark.conf.get("spark.sql.x", None)) == (before, None)


def test_a_setting_that_is_needed_and_refused_is_an_error(spark):
    with pytest.raises(PySparkException), session_settings(spark, {STATIC: "elsewhere"}):
        pass


def test_tuning_goes_on_without_what_is_refused_and_says_so(spark):
    before = spark.conf.get(SHUFFLE)
    with tuning_settings(spark, {STATIC: "elsewhere", SHUFFLE: "7"}) as refused:
        assert refused == [STATIC]
        assert spark.conf.get(SHUFFLE) == "7"
    assert spark.conf.get(SHUFFLE) == before
