"""What only Iceberg's Java API makes: odd types, and deletes by equality. Classic Spark alone."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def java_table(spark: SparkSession, name: str) -> Any:
    """The table as Iceberg's Java API has it."""
    jvm: Any = spark._jvm
    return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)


def add_java_column(spark: SparkSession, name: str, column: str, kind: str) -> None:
    """Add a column of a type such as `TimeType.get`."""
    of: Any = spark._jvm.org.apache.iceberg.types.Types  # type: ignore[union-attr]  # a JVM
    for part in kind.split("."):
        of = getattr(of, part)
    java_table(spark, name).updateSchema().addColumn(column, of()).commit()


def delete_by_equality(spark: SparkSession, name: str, image_id: str) -> None:
    """Delete rows by a file of IDs, as Flink does. The ID column is the first field."""
    iceberg: Any = spark._jvm.org.apache.iceberg  # type: ignore[union-attr]  # a JVM
    table = java_table(spark, name)
    schema = table.schema().select(["image_id"])
    equal = spark.sparkContext._gateway.new_array(spark._jvm.int, 1)  # type: ignore[union-attr]  # a JVM
    equal[0] = 1
    made = iceberg.data.GenericAppenderFactory(table.schema(), table.spec(), equal, schema, None)
    file = table.io().newOutputFile(f"{table.location()}/data/equal-{image_id}.parquet")
    plain = iceberg.encryption.EncryptedFiles.plainAsEncryptedOutput(file)
    writer = made.newEqDeleteWriter(plain, iceberg.FileFormat.PARQUET, None)
    record = iceberg.data.GenericRecord.create(schema)
    record.setField("image_id", image_id)
    writer.write(record)
    writer.close()
    table.newRowDelta().addDeletes(writer.toDeleteFile()).commit()
