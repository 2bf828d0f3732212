"""Names and places as catalogs that govern access have them: Unity's schemas, and volumes."""

from types import SimpleNamespace

import pytest

from dedup_lib.delta.detail import new_table_root, root_in
from dedup_lib.errors import OverlapError, SettingsError, StorageError
from dedup_lib.executor.stores import open_store
from dedup_lib.locations import check_location, is_path
from dedup_lib.publish.overlap import RunLocation, check_no_overlap, check_report
from dedup_lib.publish.targets import check_base_is_known
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import name_parts, sql_name
from dedup_lib.settings import DuplicateIds, Settings


class Remote:
    """A storage over Connect that may name no place in a store."""

    is_remote = True

    def canonical(self, location):
        if location.startswith(("dbfs:", "/Volumes/")):
            return location
        raise StorageError(f"{location!r} is governed")


class Catalog:
    """A session whose catalog describes a schema so."""

    def __init__(self, **described):
        self.rows = list(described.items())

    def sql(self, statement):
        self.asked = statement
        return SimpleNamespace(collect=lambda: self.rows)


@pytest.mark.parametrize(
    "location",
    ["/Volumes/main/images/lists/", "dbfs:/Volumes/main/images/lists", "s3://bucket/main.images"],
)
def test_volumes_and_stores_are_paths(location):
    assert is_path(location)
    check_location("duplicate_ids", location)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("main.images.raw", ["main", "images", "raw"]),
        ("main.my-images.raw_2026", ["main", "my-images", "raw_2026"]),
        ("`main`.`my.images`.`r``aw`", ["main", "my.images", "r`aw"]),
    ],
)
def test_three_levels_are_a_name(name, parts):
    assert not is_path(name)
    check_location("images", name)
    assert name_parts(name) == parts
    assert sql_name(name) == ".".join("`" + part.replace("`", "``") + "`" for part in parts)


@pytest.mark.parametrize("name", ["a..b", "a b.c", ".a", "a.`b", ""])
def test_a_name_has_parts_with_dots_between_them(name):
    with pytest.raises(SettingsError, match="not a table name"):
        name_parts(name)


def test_over_connect_a_governed_place_is_taken_as_the_catalog_spells_it():
    place = "s3://bucket/__unitystorage/tables/1f"
    assert root_in(Remote(), {"location": place}) == place
    assert root_in(Remote(), {"location": "dbfs:/user/t"}) == "dbfs:/user/t"
    with pytest.raises(StorageError):
        root_in(Remote(), {"location": "file:/somewhere"})


@pytest.mark.parametrize("described", [{"Location": ""}, {"Owner": "someone"}])
def test_a_new_table_in_a_schema_without_a_place_is_known_by_its_name(described):
    catalog = Catalog(**described)
    root = new_table_root(Session(catalog, Remote()), "main.my-images.Unique")
    assert catalog.asked == "DESCRIBE SCHEMA `main`.`my-images`"
    assert root == "table:/main/my-images/unique"
    check_no_overlap([RunLocation("image table", "s3://bucket/t")], [RunLocation("output", root)])
    with pytest.raises(OverlapError):
        check_no_overlap([], [RunLocation("output", root), RunLocation("removed output", root)])


def test_files_beside_such_a_table_need_a_place():
    check_base_is_known("file:/work/unique", "give --work-location.")
    with pytest.raises(SettingsError, match=r"'main\.images\.unique', .*give --work-location"):
        check_base_is_known("table:/main/images/unique", "give --work-location.")


def test_a_report_on_the_clients_disk_need_not_be_known_to_the_server():
    settings = Settings(
        images="/Volumes/main/images/raw",
        duplicate_ids=(DuplicateIds("/Volumes/main/images/lists"),),
        dry_run=True,
        report="/Volumes/main/images/reports/1.json",
    )
    check_report(Session(Catalog(), Remote()), settings)


def test_a_volume_is_a_directory_of_every_node():
    store, path = open_store("dbfs:/Volumes/main/images/lists/a b.parquet", {})
    assert store.type_name == "local"
    assert path == "/Volumes/main/images/lists/a b.parquet"
