"""Plain Spark as a program for spark-submit: IMAGES DUPLICATE_IDS OUTPUT."""

import sys

from pyspark.sql import SparkSession

if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    images, duplicates = map(spark.read.parquet, sys.argv[1:3])
    kept = images.join(duplicates, images["image_id"] == duplicates["id"], "left_anti")
    kept.write.parquet(sys.argv[3])
