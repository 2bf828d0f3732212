"""Files that can't be read: the run names them, and skips none."""

from pathlib import Path

import pytest

from dedup_lib.errors import UnreadableFileError
from tests.support.tables.made import (
    delta_table,
    image_bytes,
    image_rows,
    write_list,
    write_parquet,
)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def junk(path):
    path.write_bytes(b"no Parquet at all, but long enough to be some")


def lose_the_middle(path):
    """Keep head and footer, and what they point to no longer."""
    data = path.read_bytes()
    path.write_bytes(data[:4] + data[300:])


BREAKS = [truncate, empty, junk]


@pytest.mark.parametrize("damage", [*BREAKS, lose_the_middle])
def test_g4_a_broken_image_file_is_named(refused, images, listed, leniency, damage):
    damage(images / "2.parquet")
    refused(UnreadableFileError, 3, r"/images/2\.parquet.*(?i:restore or remove)", images, listed)


@pytest.mark.parametrize("damage", [*BREAKS, lose_the_middle])
def test_g4_a_broken_list_file_is_named(refused, images, listed, leniency, damage):
    damage(write_list(listed / "2.parquet", [f"{number:100}" for number in range(30)]))
    refused(UnreadableFileError, 3, r"/list/2\.parquet.*(?i:restore or remove)", images, listed)


@pytest.mark.parametrize("damage", BREAKS)
def test_g4_a_broken_list_file_given_by_itself_is_named(refused, images, listed, damage):
    damage(listed / "1.parquet")
    message = r"(?s)list/1\.parquet.*no Parquet|Parquet.*list/1\.parquet"
    refused(UnreadableFileError, 3, message, images, listed / "1.parquet")


@pytest.mark.parametrize(
    "settings", [{}, {"method": "clone"}, {"method": "in-place", "output": None}], ids=str
)
@pytest.mark.parametrize("damage", [Path.unlink, empty])
def test_g4_a_lost_deletion_vector_is_named_and_not_the_sound_data_file(
    spark, refused, listed, tmp_path, damage, settings
):
    frame = spark.createDataFrame([("a", 1), ("b", 2), ("c", 3)], "image_id string, width int")
    table = delta_table(frame, tmp_path / "images", enableDeletionVectors="true")
    spark.sql(f"DELETE FROM delta.`{table}` WHERE image_id = 'c'")
    (vector,) = table.glob("deletion_vector_*.bin")
    damage(vector)
    (data,) = table.glob("*.parquet")
    named = (
        f"vector 'file:.*/{vector.name}'"
        if damage == Path.unlink
        else f"vector of '.*/{data.name}'"
    )
    text = refused(UnreadableFileError, 3, f"the deletion {named}", table, listed, **settings)
    assert "restore it" in text
    assert "remove that file" not in text


def flip_a_bit(path, content):
    """Flip one bit in the one place where a file holds some bytes."""
    data = bytearray(path.read_bytes())
    assert data.count(content) == 1
    data[data.find(content) + len(content) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.usefixtures("lenient_session")
@pytest.mark.parametrize(
    ("column", "settings", "said"),
    [
        ("image_id", {}, "could not read an input file: "),
        ("image", {"strategy": "broadcast-ids"}, "could not read an input file: "),
        ("image", {"strategy": "row-positions"}, "could not read an input file: "),
        ("image", {"engine": "arrow"}, "pyarrow can't read file "),
    ],
)
def test_g4_a_flipped_bit_is_found_by_the_page_checksum(
    spark, refused, listed, tmp_path, column, settings, said
):
    """Nothing is compressed or dictionary-encoded: but for the checksum it would be read."""
    images = write_parquet(
        image_rows(["a", "b", "only-here"]),
        tmp_path / "images/1.parquet",
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    ).parent
    flip_a_bit(images / "1.parquet", b"only-here" if column == "image_id" else image_bytes(2))
    assert spark.read.parquet(str(images)).where("octet_length(image) > 0").count() == 3
    refused(UnreadableFileError, 3, rf"{said}.*/images/1\.parquet", images, listed, **settings)


@pytest.mark.classic("links are not followed there")
def test_g4_a_link_to_a_file_that_is_gone_is_an_error(refused, images, listed, leniency):
    (images / "3.parquet").symlink_to(images.parent / "gone.parquet")
    with pytest.raises(FileNotFoundError):
        (images / "3.parquet").read_bytes()
    refused(UnreadableFileError, 3, r"3\.parquet", images, listed)


@pytest.mark.classic("a Parquet directory is not replaced")
def test_g4_an_old_output_survives_a_run_that_is_to_replace_it_and_fails(
    refused, images, listed, tmp_path
):
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    truncate(images / "2.parquet")
    message = r"images/2\.parquet"
    refused(UnreadableFileError, 3, message, images, listed, output_mode="overwrite")
