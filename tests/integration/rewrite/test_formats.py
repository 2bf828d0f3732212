"""Every kind of table in and out gives the same rows, to the byte."""

import datetime as dt
from random import Random
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import OverlapError, UnsupportedError
from tests.support.tables.made import (
    image_bytes,
    image_rows,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)

pytestmark = pytest.mark.usefixtures("as_shipped")

STRATEGIES = ("broadcast-ids", "row-positions")


def rich_rows(num_rows: int) -> pa.Table:
    """Rows with about every type that an image table may have beside the image."""
    instant = dt.datetime(2024, 2, 29, 12, 0, 0, 123457, tzinfo=dt.UTC)
    numbers = range(num_rows)
    return (
        image_rows([f"id-{n}" for n in numbers])
        .append_column("taken", pa.array([instant] * num_rows, pa.timestamp("us", "UTC")))
        .append_column(
            "local", pa.array([instant.replace(tzinfo=None)] * num_rows, pa.timestamp("us"))
        )
        .append_column("day", pa.array([instant.date()] * num_rows))
        .append_column("price", pa.array([None] * num_rows, pa.decimal128(20, 3)))
        .append_column(
            "nested",
            pa.array(
                [
                    {"thumb": image_bytes(n), "m": [("k", 1.5)], "l": [[n], None, []]}
                    for n in numbers
                ],
                pa.struct(
                    {
                        "thumb": pa.binary(),
                        "m": pa.map_(pa.string(), pa.float64()),
                        "l": pa.list_(pa.list_(pa.int16())),
                    }
                ),
            ),
        )
        .append_column("a.b `c`", pa.array([True, None] * (num_rows // 2)))
    )


@pytest.fixture(scope="module")
def parquet_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet") / "images"
    for part in range(2):
        write_parquet(rich_rows(40).slice(part * 20, 20), folder / f"{part}.parquet")
    return folder


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", ["id-3", "id-39", "x", None])


@pytest.fixture(scope="module")
def delta_images(spark, parquet_images, tmp_path_factory):
    """A Delta table with deletion vectors, column mapping, and a row that is deleted already."""
    folder = tmp_path_factory.mktemp("delta") / "images"
    table = f"delta.`{folder}`"
    (
        spark.read.parquet(str(parquet_images))
        .coalesce(1)
        .write.format("delta")
        .option("delta.enableDeletionVectors", "true")
        .option("delta.columnMapping.mode", "name")
        .save(str(folder))
    )
    spark.sql(f"DELETE FROM {table} WHERE image_id = 'id-0'")
    spark.sql(f"ALTER TABLE {table} RENAME COLUMN caption TO title")
    return folder


@pytest.fixture(scope="module")
def expected(spark, parquet_images):
    frame = spark.read.parquet(str(parquet_images))
    return row_digests(frame.where("image_id NOT IN ('id-3', 'id-39')"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_rows_of_a_parquet_table_come_out_as_they_went_in(
    spark, remove, parquet_images, listed, expected, tmp_path, strategy, output_format
):
    before = tree_digest(parquet_images)
    report = remove(
        parquet_images, listed, tmp_path / "out", strategy=strategy, output_format=output_format
    )
    output = spark.read.format(output_format).load(str(tmp_path / "out"))
    assert row_digests(output) == expected
    assert report.strategy == strategy
    assert (report.counts["kept_rows"], report.counts["removed_rows"]) == (38, 2)
    assert names_in(tmp_path) == ["out"]
    assert tree_digest(parquet_images) == before


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g15_a_delta_table_is_read_with_its_deletions_and_renamed_columns(
    spark, remove, delta_images, listed, tmp_path, strategy
):
    report = remove(delta_images, listed, f"{tmp_path}/out", strategy=strategy)
    kept = spark.read.format("delta").load(str(delta_images))
    kept = kept.where("image_id NOT IN ('id-3', 'id-39')")
    assert row_digests(spark.read.parquet(f"{tmp_path}/out")) == row_digests(kept)
    assert report.counts["input_rows"] == 39
    assert report.inputs["images"]["version"] == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_catalog_tables_in_and_out(spark, remove, parquet_images, listed, expected, strategy):
    name = f"made_{strategy.replace('-', '_')}"
    images = spark.read.parquet(str(parquet_images)).write.format("delta")
    images.option("delta.enableDeletionVectors", "true").option(
        "delta.columnMapping.mode", "name"
    ).saveAsTable(f"{name}_in")
    try:
        remove(f"{name}_in", listed, f"default.{name}", strategy=strategy)
        assert row_digests(spark.table(name)) == expected
        remove(f"{name}_in", listed, name, strategy=strategy, output_mode="overwrite")
        assert row_digests(spark.table(name)) == expected
        root = spark.sql(f"DESCRIBE DETAIL {name}").collect()[0]["location"]
        with pytest.raises(OverlapError):
            remove(name, listed, root, output_mode="overwrite", output_format="delta")
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")
        spark.sql(f"DROP TABLE IF EXISTS {name}_in")


def test_a_delta_table_without_row_indexes_takes_broadcast_ids(
    spark, remove, parquet_images, listed, expected, tmp_path
):
    spark.read.parquet(str(parquet_images)).write.format("delta").option(
        "delta.columnMapping.mode", "name"
    ).save(f"{tmp_path}/plain")
    with pytest.raises(UnsupportedError, match="deletion vectors"):
        remove(f"{tmp_path}/plain", listed, f"{tmp_path}/out", strategy="row-positions")
    report = remove(f"{tmp_path}/plain", listed, f"{tmp_path}/out", output_format="delta")
    assert report.strategy == "broadcast-ids"
    assert row_digests(spark.read.format("delta").load(f"{tmp_path}/out")) == expected


def test_g15_delta_input_is_one_version_though_rows_are_appended_meanwhile(
    spark, remove, delta_images, listed, tmp_path, monkeypatch
):
    from dedup_lib.plan import id_scan

    table = f"{tmp_path}/images"
    spark.read.format("delta").load(str(delta_images)).write.format("delta").option(
        "delta.columnMapping.mode", "name"
    ).save(table)
    read_ids = id_scan.read_ids

    def append_first(*args):
        spark.read.format("delta").load(str(delta_images)).write.format("delta").mode(
            "append"
        ).save(table)
        return read_ids(*args)

    monkeypatch.setattr(id_scan, "read_ids", append_first)
    report = remove(table, listed, f"{tmp_path}/out")
    assert report.counts["input_rows"] == 39
    assert spark.read.parquet(f"{tmp_path}/out").count() == 37


@pytest.mark.classic("these characters are refused, for Spark takes them for a pattern")
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_partition_values_stay_as_they_are_written(
    spark, remove, listed, tmp_path, strategy, output_format
):
    values = ["007", "7", "a%2Fb", "x:y=z", "ü x", "__HIVE_DEFAULT_PARTITION__", "1e3", "[b]"]
    for index, value in enumerate(values):
        rows = image_rows(["id-3", f"only-{index}", None])
        write_parquet(rows, tmp_path / f"images/shard={value}/k=0{index}/x.parquet")
    out = tmp_path / "out"
    remove(tmp_path / "images", listed, out, strategy=strategy, output_format=output_format)
    directories = {path.parent.relative_to(out) for path in out.rglob("*.parquet")}
    directories = {path for path in directories if "_delta_log" not in str(path)}
    if output_format == "parquet":
        before = {path.parent for path in (tmp_path / "images").rglob("*.parquet")}
        # Spark escapes more characters than others do: x:y=z comes out as x%3Ay%3Dz.
        spelled = {unquote(str(path)) for path in directories}
        assert spelled == {unquote(str(path.relative_to(tmp_path / "images"))) for path in before}
    frame = spark.read.format(output_format)
    if output_format == "parquet":
        schema = "image_id string, image binary, shard string, k string"
        frame = frame.schema(schema)
    rows = frame.load(str(out)).select("image_id", "shard", "k").collect()
    read = {"a%2Fb": "a/b", "__HIVE_DEFAULT_PARTITION__": None}
    assert sorted(rows, key=repr) == sorted(
        (
            (image_id, read.get(value, value), f"0{index}")
            for index, value in enumerate(values)
            for image_id in (f"only-{index}", None)
        ),
        key=repr,
    )


@pytest.mark.classic("these characters are refused, for Spark takes them for a pattern")
def test_a_single_file_with_odd_characters_in_its_path(spark, remove, listed, tmp_path):
    path = tmp_path / "d [x]{a,b}*%20=?" / "im ages.parquet"
    write_parquet(rich_rows(40), path)
    for location in (path, path.parent):
        out = tmp_path / f"out [y]{{c}}* {location.suffix}"
        report = remove(location, listed, out)
        assert report.counts["kept_rows"] == 38


@pytest.mark.parametrize(("kind", "ids"), [(pa.int64(), [2**53, 2**53 + 1]), (pa.int32(), [7, 8])])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_integer_ids(spark, remove, tmp_path, kind, ids, strategy):
    write_parquet(image_rows([*ids, None], id_type=kind), tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list.parquet", [ids[1]], id_type=kind)
    remove(tmp_path / "images", listed, tmp_path / "out", strategy=strategy)
    kept = spark.read.parquet(f"{tmp_path}/out").collect()
    assert sorted((row.image_id for row in kept), key=repr) == sorted([ids[0], None], key=repr)


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("output_format", ["parquet", "delta"])
def test_a_run_that_keeps_no_row_leaves_a_readable_empty_table(
    spark, remove, tmp_path, partitioned, output_format
):
    folder = tmp_path / "images" / ("k=1" if partitioned else "")
    write_parquet(image_rows(["a", "b"]), folder / "1.parquet")
    listed = write_list(tmp_path / "list.parquet", ["a", "b"])
    remove(
        tmp_path / "images",
        listed,
        tmp_path / "out",
        output_format=output_format,
        max_removed_fraction=1.0,
    )
    output = spark.read.format(output_format).load(f"{tmp_path}/out")
    assert output.count() == 0
    names = image_rows([]).column_names + (["k"] if partitioned else [])
    assert output.columns == names


@pytest.mark.classic("a Parquet directory is not replaced")
def test_an_empty_output_can_be_replaced_and_read_as_input(spark, remove, tmp_path):
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet")
    everything = write_list(tmp_path / "all.parquet", ["a", "b"])
    one = write_list(tmp_path / "one.parquet", ["a"])
    out = tmp_path / "out"
    remove(tmp_path / "images", everything, out, max_removed_fraction=1.0)
    remove(tmp_path / "images", one, out, output_mode="overwrite")
    assert [row.image_id for row in spark.read.parquet(str(out)).collect()] == ["b"]


def test_the_writer_is_set_for_images(remove, parquet_images, listed, tmp_path):
    """No dictionary or statistics for images; timestamps of the same type."""
    remove(parquet_images, listed, tmp_path / "out", engine="spark")
    footer = pq.ParquetFile(next((tmp_path / "out").glob("*.parquet")))
    columns = {
        chunk.path_in_schema: chunk
        for chunk in map(footer.metadata.row_group(0).column, range(footer.metadata.num_columns))
    }
    for image in ("image", "nested.thumb"):
        assert not any("DICTIONARY" in encoding for encoding in columns[image].encodings)
        assert not columns[image].is_stats_set
    assert columns["day"].is_stats_set
    assert any("DICTIONARY" in encoding for encoding in columns["day"].encodings)
    assert footer.schema_arrow.field("taken").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("make_image", "codec"), [(bytes, "ZSTD"), (Random(0).randbytes, "UNCOMPRESSED")]
)
def test_the_codec_is_the_inputs_where_compressing_gains_and_else_none(
    remove, tmp_path, make_image, codec
):
    images = pa.array([make_image(100_000) for _ in range(3)])
    rows = image_rows(["a", "b", "c"]).set_column(1, "image", images)
    write_parquet(rows, tmp_path / "i/1.parquet", compression="zstd", use_dictionary=False)
    remove(
        tmp_path / "i", write_list(tmp_path / "l.parquet", ["b"]), tmp_path / "out", engine="spark"
    )
    footer = pq.ParquetFile(next((tmp_path / "out").glob("*.parquet"))).metadata
    assert footer.row_group(0).column(1).compression == codec


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_required_columns_stay_required_and_keep_their_values(spark, remove, tmp_path, strategy):
    instant = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
    values = {
        "image_id": (["a", ""], pa.string()),
        "image": ([b"1", b""], pa.binary()),
        "width": ([1, 0], pa.int32()),
        "bytes": ([2**40, -1], pa.int64()),
        "small": ([1, 2], pa.int16()),
        "tiny": ([1, 2], pa.int8()),
        "ok": ([True, False], pa.bool_()),
        "score": ([0.5, float("inf")], pa.float64()),
        "ratio": ([0.5, -0.0], pa.float32()),
        "day": ([instant.date()] * 2, pa.date32()),
        "taken": ([instant] * 2, pa.timestamp("us", "UTC")),
        "local": ([instant.replace(tzinfo=None)] * 2, pa.timestamp("us")),
        "a.b `c`": (["x", "y"], pa.string()),
    }
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in values.items()])
    arrays = [pa.array(column, kind) for column, kind in values.values()]
    rows = pa.Table.from_arrays(arrays, schema=schema)
    optional = rows.append_column("caption", pa.array([None, "c"]))
    write_parquet(optional, tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list.parquet", ["a"])
    remove(tmp_path / "images", listed, tmp_path / "out", strategy=strategy)
    (path,) = (tmp_path / "out").glob("*.parquet")
    found = pq.ParquetFile(path)
    assert {f.name: f.nullable for f in found.schema_arrow} == {
        f.name: f.nullable for f in optional.schema
    }
    assert found.read().to_pylist() == optional.slice(1).to_pylist()


@pytest.mark.parametrize("engine", ["arrow", *STRATEGIES])
def test_g1_values_whose_lengths_are_encoded_stay_with_their_rows(remove, tmp_path, engine):
    """DuckDB writes so in pages of its version 2; Spark 4.0.0's vectorised reader mixes them up."""
    ids = [None if n % 50 == 0 else f"id-{n}" for n in range(10_000)]
    images = [None if n % 70 == 0 else b"image %d" % n for n in range(10_000)]
    listed = [*ids[3000:3050], *ids[7000:7050]]

    def write(columns, name):
        encodings = dict.fromkeys(columns, "DELTA_LENGTH_BYTE_ARRAY")
        options = {"use_dictionary": False, "column_encoding": encodings, "row_group_size": 5000}
        return write_parquet(pa.table(columns), tmp_path / name, **options)

    table = write({"image_id": ids, "image": images}, "images/1.parquet").parent
    by_engine = (
        {"engine": "arrow"} if engine == "arrow" else {"engine": "spark", "strategy": engine}
    )
    remove(table, write({"id": listed}, "list.parquet"), tmp_path / "out", **by_engine)
    gone = set(listed) - {None}
    kept = [row for row in zip(ids, images, strict=True) if row[0] not in gone]
    rows = pq.read_table(tmp_path / "out").select(["image_id", "image"]).to_pylist()
    assert sorted(map(repr, (tuple(row.values()) for row in rows))) == sorted(map(repr, kept))
