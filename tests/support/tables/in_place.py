"""A Delta table of 40 images, of which a list names three, and what a run leaves of it."""

IDS = [f"id-{n}" for n in range(40)]
LISTED = ["id-3", "id-20", "id-39", "of no image", None]
REMOVED = "image_id IN ('id-3', 'id-20', 'id-39')"


def rows_of(spark, images, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(str(images))


def history(spark, images):
    rows = spark.sql(f"DESCRIBE HISTORY delta.`{images}`").orderBy("version").collect()
    return [(row["operation"], row) for row in rows]


def operations(spark, images):
    return [name for name, _ in history(spark, images)]
