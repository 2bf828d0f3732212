"""What a run sets in a session, by what the session says is Spark's version."""

import pytest

from dedup_lib.session.conf import RUN_SETTINGS, run_settings

VECTORIZED = "spark.sql.parquet.enableVectorizedReader"


@pytest.mark.parametrize("version", ["4.0.0", "4.0.0-SNAPSHOT", "4.0.0.1"])
def test_g1_spark_4_0_0_reads_nothing_by_its_vectorised_reader(version):
    assert run_settings(version) == {**RUN_SETTINGS, VECTORIZED: "false"}


@pytest.mark.parametrize("version", ["4.0.1", "4.0.4", "4.0.10", "4.1.0", "14.0.0"])
def test_others_read_as_the_session_says(version):
    assert VECTORIZED not in run_settings(version)
