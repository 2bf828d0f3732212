"""IDs of each type that tables have are matched; of two types, or of others, they are refused."""

import datetime as dt
import decimal
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import BinaryType, StructField

from dedup_lib.errors import AmbiguousListError, ColumnTypeError, LostKeeperError
from dedup_lib.tables.row_positions import row_indexes
from tests.support.tables.made import image_rows, write_list, write_parquet

pytestmark = pytest.mark.usefixtures("as_shipped")
SIXTEEN = [bytes([first]) + b"\xff" * 15 for first in (0, 1, 128, 255)]
UUIDS = [str(uuid.UUID(bytes=one)) for one in SIXTEEN]


@pytest.mark.parametrize(
    ("kind", "ids", "engine"),
    [
        (pa.uint64(), [0, 2**53, 2**53 + 1, 2**64 - 1], "arrow"),
        (pa.dictionary(pa.int8(), pa.int16()), [-(2**15), 0, 1, 2**15 - 1], "arrow"),
        (pa.decimal128(38, 0), [-(10**38) + 1, 2**53, 2**53 + 1, 10**38 - 1], "spark"),
        (pa.binary(), [b"", b"\xff\xff", b"\xff\xfe", b"\0"], "spark"),  # no text in UTF-8
    ],
    ids=["uint64", "dictionary", "decimal", "binary"],
)
def test_g2_ids_of_a_type_are_matched_to_the_last_bit(remove, tmp_path, kind, ids, engine):
    """Their neighbours stay, and so does the type."""
    images = write_parquet(image_rows(ids, id_type=kind), tmp_path / "images/1.parquet")
    listed = write_list(tmp_path / "list/1.parquet", ids[2:], id_type=kind)
    remove(images, listed, tmp_path / "out", engine=engine)
    found = pq.ParquetFile(next((tmp_path / "out").glob("*.parquet")))
    assert found.read(["image_id"])["image_id"].to_pylist() == ids[:2]
    logical_type = pq.ParquetFile(images).schema.column(0).logical_type
    assert str(found.schema.column(0).logical_type) == str(logical_type)


def test_uuids_are_shown_as_uuids_and_taken_back(remove, tmp_path):
    """In errors, plan and review; and marks of the review protect them. Spark needs to be told."""
    rows = image_rows(SIXTEEN, id_type=pa.uuid())
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    a, b, c, d = SIXTEEN

    def listed(name, pairs):
        columns = zip(("id", "duplicate_of"), zip(*pairs, strict=True), strict=True)
        table = pa.table({name: pa.array(of, pa.uuid()) for name, of in columns})
        untyped = {name: pa.nulls(1, pa.int32()) for name in table.column_names}
        write_parquet(pa.table(untyped), tmp_path / name / "2.parquet")  # as pandas does
        return write_parquet(table, tmp_path / name / "1.parquet").parent

    others = {"id": pa.array(SIXTEEN, pa.uuid()), "made_of": [1, 1, 2, 2]}
    path = write_parquet(pa.table(others), tmp_path / "groups/1.parquet")
    with pytest.raises(AmbiguousListError, match="4 IDs in 2 values of 'made_of'"):
        remove(images, path, None, dry_run=True)

    with pytest.raises(LostKeeperError, match=f"such as '{UUIDS[0]}', '{UUIDS[1]}'"):
        remove(images, listed("circle", [(a, b), (b, a)]), None, dry_run=True)

    (tmp_path / "marks.jsonl").write_text(f'{{"id": "{UUIDS[3]}"}}\n')
    remove(
        images,
        listed("list", [(c, a), (d, a), (b"?" * 16, a)]),
        None,
        dry_run=True,
        protect_ids=(str(tmp_path / "marks.jsonl"),),
        removed_output=str(tmp_path / "plan"),
        unmatched_output=str(tmp_path / "unmatched"),
        review=str(tmp_path / "review.html"),
    )
    (planned,) = pq.read_table(tmp_path / "plan").to_pylist()
    assert (planned["image_id"], planned["image_id_text"]) == (c, UUIDS[2])
    assert planned["surviving_keeper_id_text"] == UUIDS[0]
    (unmatched,) = pq.read_table(tmp_path / "unmatched")["image_id_text"].to_pylist()
    assert unmatched == "3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f"
    page = (tmp_path / "review.html").read_text()
    assert f'data-id="&#34;{UUIDS[2]}&#34;" data-keeper="&#34;{UUIDS[0]}&#34;"' in page
    assert "broken: " in page  # the images were read: the bytes of the IDs are no pictures

    remove(images, (), tmp_path / "out", apply_plan=str(tmp_path / "plan"))
    kept = pq.read_table(tmp_path / "out")
    assert kept.schema.field("image_id").type == pa.uuid()
    assert kept["image_id"].to_pylist() == [uuid.UUID(bytes=one) for one in (a, b, d)]


def test_rows_are_found_by_the_ids_that_the_review_shows(spark, tmp_path):
    path = write_list(tmp_path / "1.parquet", [b"\xff", b"", b"a", b"a"], id_type=pa.binary())
    field = StructField("id", BinaryType())
    found = row_indexes(spark, [f"file:{path}"], field, {"", "61", "00"})
    assert found == {(f"file:{path}", ""): 1, (f"file:{path}", "61"): 2}


@pytest.mark.parametrize(
    ("image_ids", "image_type", "list_ids", "list_type", "message"),
    [
        (["01", "1", " 1 "], pa.string(), [1], pa.int64(), "is bigint .*image IDs are string"),
        ([1, 2, 3], pa.int64(), ["01", "1"], pa.string(), "is string .*image IDs are bigint"),
        ([1, 2, 3], pa.uint8(), [1], pa.int8(), "is tinyint .*image IDs are smallint"),
        (SIXTEEN, pa.uuid(), [SIXTEEN[0].hex()], pa.string(), "is string .*image IDs are binary"),
        ([2**53], pa.int64(), [2.0**53], pa.float64(), "is double .*image IDs are bigint"),
        (["1"], pa.string(), [1.0], pa.float32(), "is float .*image IDs are string"),
        (
            ["1"],
            pa.string(),
            [decimal.Decimal(1)],
            pa.decimal128(20, 0),
            r"is decimal\(20,0\) .*image IDs are string",
        ),
        (["1"], pa.string(), [b"1"], pa.binary(), "is binary .*image IDs are string"),
        ([1], pa.int64(), [1], pa.uint64(), r"is decimal\(20,0\) .*image IDs are bigint"),
        (["1"], pa.string(), [None], pa.float64(), "is double .*image IDs are string"),
        (
            ["2026-01-01"],
            pa.string(),
            [dt.date(2026, 1, 1)],
            pa.date32(),
            "is date .*image IDs are string",
        ),
    ],
)
def test_g2_list_ids_of_another_type_are_refused(
    refused, tmp_path, image_ids, image_type, list_ids, list_type, message
):
    rows = image_rows(image_ids, id_type=image_type)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", list_ids, id_type=list_type).parent
    text = refused(ColumnTypeError, 3, message, images, listed)
    assert "IDs are never cast" in text
    assert "--duplicate-id-column" in text


def test_g2_list_files_of_two_types_are_refused(refused, images, listed):
    write_list(listed / "2.parquet", [1], id_type=pa.int64())
    message = r"column 'id' is bigint in file '.*/list/2\.parquet', but the image IDs are string"
    refused(ColumnTypeError, 3, message, images, listed)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1.0, pa.float32(), "is float"),
        (1.0, pa.float64(), "is double"),
        (decimal.Decimal(1), pa.decimal128(20, 2), r"is decimal\(20,2\)"),
        (dt.date(2026, 1, 1), pa.date32(), "is date"),
        (dt.datetime(2026, 1, 1), pa.timestamp("us", tz="UTC"), "is timestamp"),
        (True, pa.bool_(), "is boolean"),
        (["a"], pa.list_(pa.string()), "is array<string>"),
        ({"a": "b"}, pa.struct({"a": pa.string()}), "is struct<a:string>"),
    ],
)
def test_g2_image_ids_of_a_type_that_ids_may_not_have_are_refused(
    refused, tmp_path, value, kind, message
):
    rows = image_rows([value], id_type=kind)
    images = write_parquet(rows, tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list/1.parquet", [value], id_type=kind).parent
    text = refused(ColumnTypeError, 3, f"column 'image_id' {message}", images, listed)
    assert "must be a string, an integer, a decimal without a fraction, or binary" in text
    assert "Cast it where the table is made" in text


@pytest.mark.parametrize("collated", ["images", "list"])
def test_g2_collated_ids_are_refused(spark, refused, images, listed, tmp_path, collated):
    column = "image_id" if collated == "images" else "id"
    frame = spark.sql(f"SELECT 'B' COLLATE UNICODE_CI AS {column}, binary('x') AS image")
    frame = frame if collated == "images" else frame.drop("image")
    frame.write.parquet(str(tmp_path / "collated"))
    places = {"images": images, "list": listed, collated: tmp_path / "collated"}
    refused(ColumnTypeError, 3, "(?i)collate unicode_ci", places["images"], places["list"])


def test_g2_padded_char_ids_are_refused(spark, refused, listed, name):
    spark.sql(f"CREATE TABLE {name} (image_id CHAR(5), image BINARY) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES ('b', binary('x'))")
    refused(ColumnTypeError, 3, r"column 'image_id' is char\(5\)", name, listed)
