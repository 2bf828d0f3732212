"""Session settings for the time of an action, put back afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)


@contextmanager
def session_settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Set runtime settings of a session, and put them back as they were.

    The session is the caller's: other threads that use it see the values meanwhile.
    """
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)


@contextmanager
def tuning_settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[list[str]]:
    """Set what makes an action faster or smaller, where the platform lets a session do so.

    Yields:
        The keys that were refused; the action is right without them.
    """
    refused = [key for key, value in values.items() if not _takes(spark, key, value)]
    if refused:
        _log.warning("this platform refuses the settings %s", refused)
    taken = {key: value for key, value in values.items() if key not in refused}
    with session_settings(spark, taken):
        yield refused


def _takes(spark: SparkSession, key: str, value: str) -> bool:
    try:
        with session_settings(spark, {key: value}):
            return True
    except PySparkException:
        return False
