"""The demo's pictures, its list of near-duplicates, and how it compares rows; no Spark."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.demo import near_duplicates, pictures
from tests.demo.run_demo import digest


@pytest.fixture(scope="module")
def few_images() -> pa.Table:
    return pictures.image_table(40, num_shards=3)


def test_the_pictures_are_the_same_every_time(few_images):
    assert pictures.image_table(40, num_shards=3).equals(few_images)


def test_width_height_and_format_are_those_of_the_image(few_images):
    for row in few_images.to_pylist():
        with Image.open(io.BytesIO(row["image"])) as image:
            assert (image.width, image.height) == (row["width"], row["height"])
            assert image.format == row["format"]


def test_shards_hold_all_rows_in_the_order_of_the_ids(few_images, tmp_path):
    pictures.write_shards(few_images, tmp_path / "images")
    assert len(list((tmp_path / "images").iterdir())) == 3
    assert pq.read_table(tmp_path / "images").equals(few_images)
    ids = few_images["image_id"].to_pylist()
    assert ids == sorted(set(ids))


def test_a_reencoded_copy_is_found_and_the_first_one_stays():
    row = pictures.image_table(1).to_pylist()[0]
    with Image.open(io.BytesIO(row["image"])) as image:
        copy = io.BytesIO()
        image.convert("RGB").save(copy, "JPEG", quality=60)
    table = pa.table({"image_id": ["first", "copy"], "image": [row["image"], copy.getvalue()]})
    assert near_duplicates.find_near_duplicates(table) == ["copy"]


def test_all_but_the_first_version_of_each_crop_are_found(few_images):
    captions = few_images["caption"].to_pylist()
    ids = few_images["image_id"].to_pylist()
    later = [ids[n] for n, caption in enumerate(captions) if caption in captions[:n]]
    assert near_duplicates.find_near_duplicates(few_images) == later
    assert 0 < len(later) < len(ids)


def test_the_list_has_an_empty_file_of_null_type_beside_those_with_ids(tmp_path):
    ids = [f"{number:05d}_000000" for number in range(20, 0, -1)]
    near_duplicates.write_list(ids, tmp_path / "duplicates")
    files = [pq.ParquetFile(path) for path in (tmp_path / "duplicates").iterdir()]
    tables = [file.read() for file in files]
    assert sorted(value for table in tables for value in table["id"].to_pylist()) == sorted(ids)
    kinds = sorted(
        (str(table.schema), file.schema.column(0).physical_type, table.num_rows == 0)
        for file, table in zip(files, tables, strict=True)
    )
    with_ids = ("id: string", "BYTE_ARRAY", False)
    assert kinds == [("id: null", "INT32", True)] + [with_ids] * (len(files) - 1)


def test_the_digest_is_that_of_the_rows_in_any_order(few_images):
    backwards = few_images.take(list(range(few_images.num_rows))[::-1])
    assert digest(backwards) == digest(few_images)


def test_the_digest_tells_of_one_byte_a_lost_row_and_another_type(few_images):
    images = few_images["image"].to_pylist()
    images[0] = images[0][:-1] + bytes([images[0][-1] ^ 1])
    index = few_images.column_names.index("image")
    changed = few_images.set_column(index, "image", pa.array(images))
    index = few_images.column_names.index("width")
    wider = few_images.set_column(index, "width", few_images["width"].cast(pa.int64()))
    tables = [few_images, changed, wider, few_images.slice(1)]
    assert len({digest(table) for table in tables}) == len(tables)
