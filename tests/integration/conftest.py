"""Small inputs, and what checks that a run refuses them and writes nothing."""

import uuid

import pytest

from dedup_lib.errors import ColumnTypeError, DedupError, UnreadableFileError
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet

LENIENT = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
}


@pytest.fixture
def images(tmp_path):
    """An image table of two files: IDs a, b and c, d."""
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet")
    return write_parquet(image_rows(["c", "d"]), tmp_path / "images/2.parquet").parent


@pytest.fixture
def listed(tmp_path):
    """A removal list that names b."""
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


@pytest.fixture
def refused(remove, tmp_path):
    """Run, and check the error, its exit code and that nothing in tmp_path has changed."""

    def refused(error, exit_code, message, images, lists, **settings):
        output = settings.pop("output", tmp_path / "out")
        files, names = tree_digest(tmp_path), names_in(tmp_path)
        with pytest.raises(DedupError, match=message) as caught:
            remove(images, lists, output, **settings)
        assert caught.type is error
        assert caught.value.exit_code == exit_code
        assert names_in(tmp_path) == names
        assert tree_digest(tmp_path) == files
        return str(caught.value)

    return refused


@pytest.fixture
def refused_by_spark(remove, tmp_path):
    """Run by Spark's engine, and check that it is refused with exit 3 and nothing is written."""

    def refused(images, words, **settings):
        listed = write_list(tmp_path / "list/1.parquet", ["b"])
        before = tree_digest(tmp_path), names_in(tmp_path)
        with pytest.raises((ColumnTypeError, UnreadableFileError), match=words) as caught:
            remove(images, listed, tmp_path / "out", **({"engine": "spark"} | settings))
        assert caught.value.exit_code == 3
        assert (tree_digest(tmp_path), names_in(tmp_path)) == before

    return refused


@pytest.fixture
def lenient_session(spark):
    """The session is told to skip what it can't read; a run must leave that as it was."""
    for key, value in LENIENT.items():
        spark.conf.set(key, value)
    yield
    found = {key: spark.conf.get(key) for key in LENIENT}
    for key in LENIENT:
        spark.conf.unset(key)
    assert found == LENIENT


@pytest.fixture(params=["strict", "lenient"])
def leniency(request):
    """The session as it is, and one that is told to skip what it can't read."""
    if request.param == "lenient":
        request.getfixturevalue("lenient_session")


@pytest.fixture
def name(spark):
    """A free name in the catalog; a table or view of that name is dropped afterwards."""
    free = f"t_{uuid.uuid4().hex}"
    yield free
    is_view = not spark.sql(f"SHOW VIEWS LIKE '{free}'").isEmpty()
    spark.sql(f"DROP {'VIEW' if is_view else 'TABLE'} IF EXISTS {free}")


@pytest.fixture(scope="module")
def delta_images(spark, tmp_path_factory):
    """A Delta table of two image rows, one of them deleted from the log."""
    path = tmp_path_factory.mktemp("delta") / "images"
    rows = spark.createDataFrame([("a", 1), ("b", 2)], "image_id string, part int")
    rows.write.format("delta").partitionBy("part").save(str(path))
    return path
