"""What is said of Iceberg's jar, where it is missing."""

from dedup_lib.iceberg.bad_tables import get_runtime


def test_the_runtime_is_that_of_the_version_of_spark():
    assert get_runtime("4.0.4").endswith(
        "--packages org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0"
    )
    assert get_runtime("4.1.3").endswith("iceberg-spark-runtime-4.1_2.13:1.11.0")
    of_new = get_runtime("4.2.0")
    assert "not tested with one for Spark 4.2" in of_new
    assert "4.2_2.13" not in of_new
