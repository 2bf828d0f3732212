"""Image tables, pinned as a run pins them."""

from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables import read_images
from dedup_lib.tables.image_table import ImageTable


def pinned_images(spark, location, id_column="image_id"):
    """Pin the table at a location; its image IDs are in this column."""
    table = read_images(Session(spark, open_storage(spark)), str(location), "auto")
    return ImageTable.of(table, id_column)
