"""The rows of the tables that readers read, and the tables, by their names in docs/readers.md."""

from __future__ import annotations

from tests.support.tables.made import image_bytes

_IDS = [f"id-{number:03}" for number in range(200)]
REMOVED = _IDS[::4]
# The values that some tables are partitioned by: three of the four need escapes in a log's paths.
_SPLITS = ("train", "test set", "10:30", "café")
# ID, image and `split` of each row.
ROWS = [(name, image_bytes(n), _SPLITS[n // 4 % 4]) for n, name in enumerate(_IDS)]
# The columns of the page's two tables, and where the tables are.
DELTA = {
    "rewrite": "rewrite_delta",
    "in place": "in_place",
    "`OPTIMIZE`d": "in_place_optimized",
    "purged": "in_place_purged",
    "clone": "clone",
    "escapes": "in_place_partitioned",
    "mapped": "in_place_mapped",
    "vacuumed": "in_place_vacuumed",
}
PARQUET = {
    "Spark's own": "spark_parquet",
    "rewrite": "rewrite_parquet",
    "partitioned": "rewrite_parquet_partitioned",
    "Delta rewrite": "rewrite_delta",
    "Delta in place": "in_place",
    "Delta purged": "in_place_purged",
}
