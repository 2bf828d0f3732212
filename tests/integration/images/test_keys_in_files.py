"""Partition columns that are also in the files: taken where directory and files agree."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import TableFormatError, UnsupportedError
from tests.support.paths import ROOT
from tests.support.tables.lying_files import ALL_NULL, write_lying
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet

POLARS = ROOT / "tests/tables/polars_keys"
PLACES = {"split=train/shard=1", "split=a%2Fb/shard=2", "split=x%20y/shard=-3"}
DRY = {"output": None, "dry_run": True}


def contents(table):
    """What the files have, by their directories."""
    files = table.rglob("*.parquet")
    return {str(path.parent.relative_to(table)): pq.ParquetFile(path).read() for path in files}


def rows(table):
    return sorted(
        (row for part in contents(table).values() for row in part.to_pylist()),
        key=lambda row: row["image_id"],
    )


@pytest.fixture
def listed(tmp_path):
    """A list that names the first image of Polars' table, and the one without a split."""
    return write_list(tmp_path / "list/1.parquet", ["id-0", "id-4"])


def keyed(table, **keys):
    """Add constant columns."""
    for name, value in keys.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    return table


def test_g3_polars_keeps_its_columns_in_files_and_directories(remove, listed, tmp_path):
    report = remove(POLARS, listed, tmp_path / "out")
    assert report.engine == "arrow"
    found, before = contents(tmp_path / "out"), contents(POLARS)
    assert found.keys() == PLACES
    for place, part in found.items():
        assert part.schema.equals(before[place].schema)
    assert rows(tmp_path / "out") == rows(POLARS)[1:4]
    again = write_list(tmp_path / "again/1.parquet", ["id-2"])
    assert remove(tmp_path / "out", again, tmp_path / "twice").counts["kept_rows"] == 2


def test_g3_spark_writes_these_columns_to_directories_only(spark, remove, listed, tmp_path):
    remove(POLARS, listed, tmp_path / "out", engine="spark")
    found = contents(tmp_path / "out")
    names = {"split=train/shard=1", "split=a%2Fb/shard=2", "split=x y/shard=-3"}
    assert found.keys() == names
    assert {name for part in found.values() for name in part.column_names} == {
        "image_id",
        "image",
        "score",
    }
    reader = spark.read.schema(
        "image_id string, image binary, split string, shard long, score double"
    )
    frame = reader.parquet(str(tmp_path / "out")).orderBy("image_id")
    names = ["image_id", "image", "split", "shard", "score"]
    assert [row.asDict() for row in frame.select(names).collect()] == rows(POLARS)[1:4]


def test_g3_delta_gets_these_columns_with_their_types(spark, remove, listed, tmp_path):
    kept = {"protect_where": "split IS NULL AND shard IS NULL"}
    remove(POLARS, listed, tmp_path / "out", output_format="delta", **kept)
    frame = spark.read.format("delta").load(str(tmp_path / "out"))
    assert frame.schema["shard"].dataType.simpleString() == "bigint"
    found = [row.asDict() for row in frame.orderBy("image_id").collect()]
    assert found == rows(POLARS)[1:]


def test_new_files_are_found_with_the_columns_of_their_directories(spark, remove, tmp_path):
    images = tmp_path / "images"
    write_parquet(keyed(image_rows(["a", "b"]), p=1, q="x"), images / "p=1/q=x/1.parquet")
    listed = write_list(tmp_path / "list/1.parquet", ["b", "d"])
    settings = {"output_format": "delta", "since_last_run": True}
    remove(images, listed, tmp_path / "out", **settings)
    write_parquet(keyed(image_rows(["c", "d"]), p=7, q="y"), images / "p=7/q=y/1.parquet")
    report = remove(images, listed, tmp_path / "out", **settings)
    assert report.since_last_run["added_rows"] == 1
    remove(images, listed, tmp_path / "full", output_format="delta")
    found, due = (spark.read.format("delta").load(str(tmp_path / name)) for name in ("out", "full"))
    assert row_digests(found) == row_digests(due)
    assert found.schema == due.schema


@pytest.mark.parametrize(
    ("place", "keys", "said"),
    [
        ("p=x/1", {"p": "y"}, "holds 'y' in column 'p', but its directory says 'x'"),
        ("p=x/1", {"p": "X"}, "holds 'X' in column 'p', but its directory says 'x'"),
        ("p=007/1", {"p": 7}, "holds '7' in column 'p', but its directory says '007'"),
        ("p=a%20b/1", {"p": "a%20b"}, "holds 'a%20b' in column 'p', but its directory says 'a b'"),
        ("p=x/q=2/1", {"p": "x", "q": 1}, "holds '1' in column 'q', but its directory says '2'"),
        ("p=__HIVE_DEFAULT_PARTITION__/1", {"p": "x"}, "holds 'x' in .* its directory says NULL"),
    ],
)
def test_g4_a_file_with_another_value_than_its_directory_is_refused(
    refused, tmp_path, place, keys, said
):
    listed = write_list(tmp_path / "list/1.parquet", ["b"])
    write_parquet(keyed(image_rows(["a", "b"]), **keys), tmp_path / f"images/{place}.parquet")
    message = f"file '.*/images/{place}.parquet' of the image table {said}"
    refused(TableFormatError, 3, message, tmp_path / "images", listed, **DRY)


@pytest.mark.parametrize("odd", ["y", None], ids=str)
def test_g4_one_row_of_many_is_enough(refused, tmp_path, odd):
    listed = write_list(tmp_path / "list/1.parquet", ["b"])
    table = image_rows([f"id-{n}" for n in range(50)])
    table = table.append_column("p", pa.array(["x"] * 30 + [odd] + ["x"] * 19))
    write_parquet(table, tmp_path / "images/p=x/1.parquet", row_group_size=10)
    message = "holds 'y' in column" if odd else "holds NULL in column 'p', but its .* says 'x'"
    refused(TableFormatError, 3, message, tmp_path / "images", listed, **DRY)


def test_g4_statistics_do_not_say_what_is_in_a_file(remove, tmp_path):
    """Polars 1.44.2 writes of columns without a NULL that all is NULL."""
    table = keyed(image_rows(["a", "b"]), p="x")
    write_lying(table, tmp_path / "images/p=x/1.parquet", ["p"], ALL_NULL)
    listed = write_list(tmp_path / "list/1.parquet", ["b"])
    assert remove(tmp_path / "images", listed, tmp_path / "out").counts["kept_rows"] == 1


@pytest.mark.parametrize(
    ("place", "keys"), [("p=x/q=1", {"p": "x"}), ("p=x", {"P": "x"}), ("p=x/q=1", {"q": 1})]
)
def test_g4_all_names_of_directories_are_columns_or_none(refused, tmp_path, place, keys):
    listed = write_list(tmp_path / "list/1.parquet", ["b"])
    write_parquet(keyed(image_rows(["a", "b"]), **keys), tmp_path / f"images/{place}/1.parquet")
    message = "both as a directory name and as a column of its files, but not"
    refused(TableFormatError, 3, message, tmp_path / "images", listed, **DRY)


def test_such_a_table_is_not_cloned(refused, listed, tmp_path):
    shutil.copytree(POLARS, tmp_path / "images")
    message = "its files also have the columns of its directory names.*--method rewrite"
    refused(UnsupportedError, 2, message, tmp_path / "images", listed, method="clone")
