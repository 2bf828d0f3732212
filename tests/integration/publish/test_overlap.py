"""Nothing is written where something is read, however the place is spelled."""

import os
import uuid

import pytest
from pyspark.errors import PySparkException

from dedup_lib import DuplicateIds, Settings
from dedup_lib.errors import DedupError, OverlapError, UsageError
from dedup_lib.publish.overlap import RunLocation, check_locations, check_no_overlap
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet

ROLES = ["output", "removed_output", "metrics_output", "report", "work_location"]
RELATIONS = {
    "is": lambda place: place,
    "lies inside": lambda place: place / "deep" / "er",
    "holds": lambda place: place.parent,
}


@pytest.fixture
def places(tmp_path):
    """An image table and a removal list, each with a parent of its own."""
    images = write_parquet(image_rows(["a", "b"]), tmp_path / "one/images/1.parquet").parent
    listed = write_list(tmp_path / "two/list/1.parquet", ["b"]).parent
    return {"images": images, "list": listed}


@pytest.fixture
def check(spark, places):
    """Check the places of a run alone: check(output=…, removed_output=…, …)."""

    def check(**settings):
        images = settings.pop("images", places["images"])
        listed = settings.pop("list", places["list"])
        settings.setdefault("output", None)
        chosen = Settings(
            images=str(images),
            duplicate_ids=(DuplicateIds(str(listed)),),
            dry_run=True,
            **settings,
        )
        check_locations(Session(spark, open_storage(spark)), chosen)

    return check


def linked(path):
    """Make a link to a place, apart from both inputs."""
    parts = (path, *path.parents)
    apart = next((part.parent for part in parts if part.name in {"one", "two"}), path)
    link = apart / f"link-{uuid.uuid4().hex}"
    link.symlink_to(path, target_is_directory=True)
    return link


SPELLINGS = {
    "plain": str,
    "dot-dot": lambda path: f"{path.parent}/nope/../{path.name}",
    "dot": lambda path: f"{path.parent}/./{path.name}/.",
    "trailing slashes": lambda path: f"{path}//",
    "doubled slashes": lambda path: str(path).replace("/", "//")[1:],
    "file:": lambda path: f"file:{path}",
    "file://": lambda path: f"file://{path}/",
    "link": lambda path: str(linked(path)),
    "linked parent": lambda path: f"{linked(path.parent)}/{path.name}",
    "relative": os.path.relpath,
}
FOLLOWED = pytest.mark.classic("links on the server's disk are not followed")


def each_of(*spellings):
    return [pytest.param(name, marks=FOLLOWED) if "link" in name else name for name in spellings]


@pytest.mark.parametrize("spelling", each_of(*SPELLINGS))
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("read", ["images", "list"])
def test_g5_an_output_over_an_input_is_refused_however_it_is_spelled(
    check, places, read, relation, spelling
):
    written = RELATIONS[relation](places[read])
    role = {"images": "image table", "list": "removal list"}[read]
    with pytest.raises(OverlapError, match=f"^output .* {relation} {role} ") as caught:
        check(output=SPELLINGS[spelling](written))
    assert caught.value.exit_code == 2
    assert "Choose a separate location" in str(caught.value)


@pytest.mark.parametrize("spelling", each_of(*SPELLINGS))
@pytest.mark.parametrize("read", ["images", "list"])
def test_g5_an_input_is_recognised_however_it_is_spelled(check, places, read, spelling):
    with pytest.raises(OverlapError, match=r"^output .* is "):
        check(**{read: SPELLINGS[spelling](places[read])}, output=str(places[read]))


@pytest.mark.parametrize("role", ["removed_output", "metrics_output", "report"])
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("read", ["images", "list"])
@pytest.mark.parametrize(
    "spelling", each_of("plain", "dot-dot", "file://", "linked parent", "relative")
)
def test_g5_what_is_kept_beside_the_output_over_an_input_is_refused(
    check, places, role, relation, read, spelling
):
    written = SPELLINGS[spelling](RELATIONS[relation](places[read]))
    with pytest.raises(OverlapError, match=f"^{role.replace('_', ' ')} .* {relation} "):
        check(**{role: written})


@pytest.mark.parametrize("relation", ["is", "lies inside"])
@pytest.mark.parametrize("read", ["images", "list"])
def test_g5_a_work_location_in_an_input_is_refused(check, places, relation, read):
    with pytest.raises(OverlapError, match=f"^work location .* {relation} "):
        check(work_location=str(RELATIONS[relation](places[read])))


def test_g5_a_work_location_may_hold_input_and_output(check, tmp_path):
    check(output=f"{tmp_path}/out", work_location=str(tmp_path))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("spelling", ["plain", "file:", "file://", "relative"])
@pytest.mark.parametrize("directory", ["my images", "50% ü [x]", "a+b=c", "a%20b"])
def test_g5_odd_characters_in_a_path_do_not_hide_an_overlap(
    check, tmp_path, role, spelling, directory
):
    images = write_parquet(image_rows(["a"]), tmp_path / directory / "images/1.parquet").parent
    with pytest.raises(OverlapError, match="lies inside image table"):
        check(images=images, **{role: SPELLINGS[spelling](images / "x")})


@pytest.mark.parametrize("read", ["images", "list"])
@pytest.mark.parametrize("role", ["output", "removed_output", "metrics_output", "report"])
def test_g5_an_input_that_is_one_file_is_kept_apart_too(check, places, read, role):
    file = places[read] / "1.parquet"
    for written in (file, file.parent, file.parent.parent):
        with pytest.raises(OverlapError):
            check(**{read: file, role: str(written)})


@FOLLOWED
def test_g5_a_file_that_is_linked_to_is_kept_apart(check, places, tmp_path):
    (tmp_path / "three").mkdir()
    (tmp_path / "three/linked.parquet").symlink_to(places["images"] / "1.parquet")
    with pytest.raises(OverlapError):
        check(images=tmp_path / "three/linked.parquet", output=str(places["images"]))


@pytest.mark.parametrize("one", ROLES[:4])
@pytest.mark.parametrize("other", ROLES)
@pytest.mark.parametrize("inside", ["", "/inside"])
def test_g5_two_written_places_over_each_other_are_refused(check, tmp_path, one, other, inside):
    if one == other:
        return
    with pytest.raises(OverlapError):
        check(**{one: f"{tmp_path}/out", other: f"{tmp_path}/x/../out{inside}"})


def test_g5_places_that_only_begin_alike_are_no_overlap(check, places, tmp_path):
    images = places["images"]
    check(
        output=f"{images}2",
        removed_output=f"{images}-removed",
        report=f"{images}.json",
        work_location=f"{images}/../.work",
    )
    check(output=f"{images}/../out", removed_output=f"{tmp_path}/two/listed")
    check(output=str(images.parent / "image"))


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
@pytest.mark.parametrize("key", ["data/images", "data/images/x", "data", ""])
def test_g5_the_schemes_of_s3_name_the_same_store(scheme, key):
    read = [RunLocation("image table", "s3a://bucket/data/images")]
    with pytest.raises(OverlapError):
        check_no_overlap(read, [RunLocation("output", f"{scheme}://bucket/{key}".rstrip("/"))])


def test_g5_other_buckets_and_stores_are_no_overlap():
    read = [RunLocation("image table", "s3a://bucket/data/images")]
    for root in ("s3a://bucket2/data/images", "gs://bucket/data/images", "file:/data/images"):
        check_no_overlap(read, [RunLocation("output", root)])


@pytest.mark.parametrize("role", ["output", "removed_output", "metrics_output", "report"])
@pytest.mark.parametrize("read", ["images", "list"])
@pytest.mark.parametrize("relation", [*RELATIONS, "is a file of"])
def test_g5_a_refused_run_leaves_its_input_as_it_was(
    remove, places, tmp_path, role, read, relation
):
    """Also the report of the failure is not written into an input."""
    written = RELATIONS[relation](places[read]) if relation in RELATIONS else None
    settings = {role: str(written or places[read] / "1.parquet"), "output_mode": "overwrite"}
    output = settings.pop("output", tmp_path / "out")
    before = (tree_digest(tmp_path), names_in(tmp_path))
    with pytest.raises(OverlapError):
        remove(places["images"], places["list"], output, **settings)
    assert (tree_digest(tmp_path), names_in(tmp_path)) == before


def test_g5_a_run_that_fails_early_does_not_write_its_report_into_an_input(remove, places):
    """The image table's name is looked up before the places are compared."""
    before = tree_digest(places["list"])
    with pytest.raises(DedupError):
        remove("t_nope", places["list"], None, dry_run=True, report=f"{places['list']}/1.parquet")
    assert tree_digest(places["list"]) == before


def test_g5_a_refused_run_still_leaves_a_report_that_lies_apart(remove, places, tmp_path):
    report = tmp_path / "report.json"
    with pytest.raises(OverlapError):
        remove(places["images"], places["list"], places["images"], report=str(report))
    assert '"class": "OverlapError"' in report.read_text()


def test_a_report_that_would_replace_something_else_ends_the_run_before_any_work(
    remove, places, tmp_path
):
    (tmp_path / "mine.csv").write_text("image_id")
    (tmp_path / "folder").mkdir()
    others = [tmp_path / "mine.csv", tmp_path / "folder"]
    for location in (*others, *(path.as_uri() for path in others)):
        with pytest.raises(UsageError, match="exists and is not a report"):
            remove(places["images"], places["list"], tmp_path / "out", report=str(location))
    assert (tmp_path / "mine.csv").read_text() == "image_id"
    assert not (tmp_path / "out").exists()


# Catalog tables


@pytest.fixture(scope="module")
def table(spark):
    """A Delta table of the catalog: its name, and its path."""
    name = f"t_{uuid.uuid4().hex}"
    rows = spark.createDataFrame([("a", "a"), ("b", "b")], "image_id string, id string")
    rows.write.format("delta").saveAsTable(name)
    location = spark.sql(f"DESCRIBE DETAIL {name}").collect()[0]["location"]
    yield name, location.removeprefix("file:").replace("//", "")
    spark.sql(f"DROP TABLE {name}")


@pytest.mark.parametrize(("read", "role"), [("images", "output"), ("list", "removed_output")])
def test_g5_a_table_by_name_and_by_path_is_the_same_place(check, table, read, role):
    name, path = table
    spelled = [name, name.upper(), f"`{name}`", f"spark_catalog.default.{name}", path]
    below = [f"{path}/_delta_log", f"{path}/..", f"file://{path}/deep"]
    pairs = [(one, path) for one in spelled] + [(name, other) for other in spelled + below]
    for one, other in pairs:
        with pytest.raises(OverlapError):
            check(**{read: one, role: other})


def test_g5_a_report_in_a_catalog_table_is_refused(check, table):
    with pytest.raises(OverlapError, match="lies inside image table"):
        check(images=table[0], report=f"{table[1]}/report.json")


def test_g5_a_run_onto_its_own_catalog_table_leaves_it_as_it_was(spark, remove, table, places):
    name, path = table
    for images, output in ((name, path), (path, name), (name, name)):
        with pytest.raises(OverlapError):
            remove(images, places["list"], output, output_format="delta", output_mode="overwrite")
    assert spark.sql(f"DESCRIBE HISTORY {name}").count() == 1
    assert spark.table(name).count() == 2


@pytest.mark.parametrize("output_mode", ["error", "overwrite"])
def test_g5_a_new_table_whose_place_is_the_image_directory_is_refused(
    spark, remove, places, output_mode
):
    """A managed table goes to its schema's directory, where the images may lie already."""
    name = f"t_{uuid.uuid4().hex}"
    warehouse = spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:").replace("//", "")
    rows = write_parquet(image_rows(["a", "b"]), places["images"] / "2.parquet")
    images = places["images"].rename(f"{warehouse}/{name}")
    assert (images / rows.name).exists()
    before = tree_digest(images)
    try:
        with pytest.raises((DedupError, PySparkException)) as caught:
            remove(images, places["list"], name, output_mode=output_mode)
        assert tree_digest(images) == before
        assert caught.type is OverlapError
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")
