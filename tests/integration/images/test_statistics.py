"""Statistics that are wrong: they hide no row, neither of an image table nor of a list."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

import dedup_lib
from dedup_lib import DuplicateIds, Settings, pipeline, run
from dedup_lib.errors import ColumnTypeError
from dedup_lib.session.conf import PARQUET_READER_OPTIONS, RUN_SETTINGS, tuning_settings
from tests.support.tables.lying_files import ALL_NULL, LIES, let_log_lie, write_lying
from tests.support.tables.made import delta_table, image_rows, write_list, write_parquet

IDS = [f"id-{n:02}" for n in range(40)]
LISTED = IDS[10:20]
REST = [*IDS[:10], *IDS[20:]]


@pytest.fixture
def images(tmp_path):
    """An image table whose file says that it has no ID."""
    path = tmp_path / "images/1.parquet"
    return write_lying(image_rows(IDS), path, ["image_id"], ALL_NULL).parent


@pytest.fixture
def listed(tmp_path):
    """A list whose file says that it has no ID."""
    return write_lying(pa.table({"id": LISTED}), tmp_path / "list.parquet", ["id"], ALL_NULL)


@pytest.fixture
def delta_images(spark, images, tmp_path):
    """A Delta table whose file and log say so."""
    honest = write_parquet(image_rows(IDS), tmp_path / "honest.parquet")
    frame = spark.read.parquet(str(honest))
    table = delta_table(frame, tmp_path / "delta", enableDeletionVectors="true")
    let_log_lie(table, images / "1.parquet", "image_id")
    return table


@pytest.fixture
def delta_list(spark, listed, tmp_path):
    honest = write_list(tmp_path / "honest-list.parquet", LISTED)
    table = delta_table(spark.read.parquet(str(honest)), tmp_path / "delta-list")
    let_log_lie(table, listed, "id")
    return table


@pytest.fixture
def refuses_settings(monkeypatch):
    """A platform where a session takes no settings."""
    monkeypatch.setattr(pipeline, "RUN_SETTINGS", {})


@pytest.fixture(params=["takes settings", "refuses settings"])
def platform(request):
    """A platform where a run may set the session, and one where it may not."""
    if request.param == "refuses settings":
        request.getfixturevalue("refuses_settings")


@pytest.fixture
def removed_by(spark, tmp_path):
    """Plan only: the IDs that go."""

    def removed_by(images, *lists, **settings):
        given = Settings(
            images=str(images),
            duplicate_ids=lists,
            removed_output=str(tmp_path / "plan"),
            dry_run=True,
            max_removed_fraction=1.0,
            **settings,
        )
        run(spark, given)
        return ids_in(tmp_path / "plan")

    return removed_by


def ids_in(folder):
    return sorted(pq.read_table(folder)["image_id"].to_pylist())


def ids_of(frame):
    return sorted(row["image_id"] for row in frame.select("image_id").collect())


@pytest.mark.parametrize("lie", LIES)
def test_g4_neither_options_nor_settings_let_a_statistic_hide_a_row(spark, tmp_path, lie):
    path = str(write_lying(pa.table({"id": IDS}), tmp_path / "1.parquet", ["id"], [lie]))
    is_last = F.col("id") == IDS[-1]
    assert spark.read.parquet(path).where(is_last).count() == 0  # so Spark believes it
    reader = spark.read.options(**PARQUET_READER_OPTIONS)
    assert reader.parquet(path).where(is_last).count() == 1
    with tuning_settings(spark, RUN_SETTINGS):
        assert spark.read.parquet(path).where(is_last).count() == 1


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g4_images_and_a_list_say_that_they_have_no_id(
    remove, images, listed, tmp_path, platform, engine
):
    report = remove(images, listed, tmp_path / "out", engine=engine)
    assert ids_in(tmp_path / "out") == REST
    names = ("removed_rows", "null_id_rows", "list_null_ids", "list_distinct_ids")
    assert [report.counts[name] for name in names] == [len(LISTED), 0, 0, len(LISTED)]


def test_g4_images_to_extract_say_that_they_have_no_id(
    remove, images, listed, tmp_path, refuses_settings
):
    remove(images, listed, tmp_path / "out", engine="spark", action="extract")
    assert ids_in(tmp_path / "out") == LISTED


def test_g4_lists_to_keep_and_to_protect_say_that_they_have_no_id(
    removed_by, images, listed, tmp_path, refuses_settings
):
    protected = pa.table({"id": REST[5:]})
    protected = write_lying(protected, tmp_path / "protected.parquet", ["id"], ALL_NULL)
    kept = DuplicateIds(str(listed), kind="keep")
    assert removed_by(images, kept, protect_ids=(str(protected),)) == REST[:5]


def test_g4_pairs_say_that_they_have_no_id(removed_by, images, tmp_path, refuses_settings):
    keepers, scores = [IDS[0]] * len(LISTED), [0.9] * len(LISTED)
    pairs = pa.table({"id": LISTED, "max_id": keepers, "cosine_sim_score": scores})
    path = write_lying(pairs, tmp_path / "pairs.parquet", ["id", "max_id"], ["footer"])
    assert removed_by(images, DuplicateIds(str(path)), eps=0.2) == LISTED


def test_g4_groups_say_that_they_have_no_id(removed_by, images, tmp_path, refuses_settings):
    members = [IDS[0], *LISTED]
    groups = pa.table({"id": members, "group": ["one"] * len(members)})
    path = write_lying(groups, tmp_path / "groups.parquet", groups.column_names, ["footer"])
    assert removed_by(images, DuplicateIds(str(path))) == LISTED


def test_g4_numbers_that_are_called_nulls_are_refused_as_ids(
    refused, images, tmp_path, refuses_settings
):
    """pandas gives a column of nothing but NULLs this type, which is then taken for the images'."""
    numbers = pa.table({"id": pa.array(range(9), pa.int32())})
    path = write_lying(numbers, tmp_path / "numbers.parquet", ["id"], ["footer"])
    refused(ColumnTypeError, 3, "column 'id' is int", images, path)


def test_g4_a_delta_log_says_that_images_and_a_list_have_no_id(
    spark, remove, delta_images, delta_list, tmp_path, platform
):
    report = remove(delta_images, delta_list, tmp_path / "out", output_format="delta")
    assert ids_of(spark.read.format("delta").load(str(tmp_path / "out"))) == REST
    assert report.counts["removed_rows"] == len(LISTED)


@pytest.mark.parametrize("method", ["clone", "in-place"])
def test_g4_rows_are_deleted_whatever_the_log_says(
    spark, remove, delta_images, delta_list, tmp_path, method
):
    out = None if method == "in-place" else tmp_path / "out"
    report = remove(delta_images, delta_list, out, method=method)
    assert ids_of(spark.read.format("delta").load(str(out or delta_images))) == REST
    assert report.counts["removed_rows"] == len(LISTED)


@pytest.mark.parametrize("table_format", ["parquet", "delta"])
def test_g4_the_lazy_functions_see_every_row(spark, request, table_format):
    names = {"parquet": ("images", "listed"), "delta": ("delta_images", "delta_list")}
    paths = (str(request.getfixturevalue(name)) for name in names[table_format])
    rows, entries = (spark.read.format(table_format).load(path) for path in paths)
    assert rows.where(F.col("image_id").isNotNull()).count() == 0  # so Spark believes it
    assert ids_of(dedup_lib.remove_duplicates(rows, entries)) == REST
    assert ids_of(dedup_lib.plan_removal(rows, entries)) == LISTED
