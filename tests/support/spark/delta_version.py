"""What differs between the versions of Delta that are supported."""

from importlib.metadata import version

DELTA = tuple(int(part) for part in version("delta-spark").split(".")[:2])
# Before 4.3 Delta's DELETE takes no EXISTS.
DELETION = "DELETE" if DELTA >= (4, 3) else "MERGE"
HAS_GENERATED_COLUMNS_BY_PATH = DELTA >= (4, 3)
