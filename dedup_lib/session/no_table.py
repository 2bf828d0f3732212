"""Say that the catalog has no table of a name."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib.errors import TableNotFoundError
from dedup_lib.session.sql_names import name_parts

_SETTING = "spark.sql.catalog."
_SESSION_CATALOG = "spark_catalog"


def no_table(spark: SparkSession, name: str) -> TableNotFoundError:
    """Return the error; if the name's first part is no catalog, it names the session's catalogs."""
    first, *rest = name_parts(name)
    known = _catalogs(spark)
    said = f"there is no table {name!r} in the catalog."
    if len(rest) >= 2 and known and first not in known:
        said = (
            f"there is no table {name!r}: the session has no catalog {first!r}, but "
            f"{', '.join(sorted(known))}. A catalog is made by the setting {_SETTING}{first} and "
            "those below it."
        )
    return TableNotFoundError(said)


def _catalogs(spark: SparkSession) -> set[str]:
    """Return the names of the catalogs in the session's settings; none if these are hidden."""
    try:
        keys = list(dict(spark.conf.getAll))
    except PySparkException:
        return set()
    names = {key.removeprefix(_SETTING) for key in keys if key.startswith(_SETTING)}
    return {_SESSION_CATALOG, *(name for name in names if "." not in name)}
