"""--since-last-run from Iceberg images: the output is what a full run would give."""

import random
from collections import Counter

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import ImagesChangedError
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables.history import ImagesState
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.read import read_images
from tests.support.tables.iceberg import V2, V3, head, iceberg_table, rows
from tests.support.tables.made import row_digests, write_list

NOTHING = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
COPYING = {f"write.{verb}.mode": "copy-on-write" for verb in ("delete", "update", "merge")}
HIDING = {f"write.{verb}.mode": "merge-on-read" for verb in ("delete", "update", "merge")}
STEPS = ("append", "append", "delete", "update", "merge", "compact", "compact", "insert again")
each_version = pytest.mark.parametrize("properties", [V2, V3], ids=["v2", "v3"])


@pytest.fixture
def catch_up(spark, remove, tmp_path):
    """Run with the flag, and compare the output with all images that are not listed."""

    def catch_up(name, listed=("i3", "i17"), **settings):
        ids, output = list(listed), tmp_path / "out"
        lists = write_list(tmp_path / "list", ids)
        settings = {"output_format": "delta", "allow_no_matches": True} | settings
        report = remove(name, lists, output, since_last_run=True, **settings)
        due = spark.table(name).where(F.isnull("image_id") | ~F.col("image_id").isin(ids))
        found = spark.read.format("delta").load(str(output))
        assert row_digests(found) == row_digests(due)
        return report.since_last_run

    return catch_up


def call(spark, name, procedure, options):
    catalog, _, table = name.partition(".")
    spark.sql(f"CALL {catalog}.system.{procedure}(table => '{table}', {options})")


def compact(spark, name):
    call(spark, name, "rewrite_data_files", "options => map('rewrite-all', 'true')")


def expire(spark, name, snapshot_id):
    call(spark, name, "expire_snapshots", f"snapshot_ids => array({snapshot_id})")


def changes_since(spark, name, snapshot_id):
    """The added rows and the changed IDs since a snapshot."""
    session = Session(spark, open_storage(spark))
    table = ImageTable.of(read_images(session, name, "auto"), "image_id")
    now = table.table_format.state(session, table)
    before = ImagesState(name, "image_id", None, snapshot_id, columns=now.columns)
    return table.table_format.find_changes(session, table, before, now)


def test_days_of_a_table_that_grows_loses_rows_and_is_compacted(spark, catch_up):
    name = iceberg_table(spark, properties=V3 | HIDING)
    assert catch_up(name) is None
    rows(spark, 4, start=200).writeTo(name).append()
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i5', 'i200')")
    compact(spark, name)
    assert catch_up(name, ["i3", "i201"]) == {"added_rows": 2, "deleted_ids": 1, "copied_ids": 1}
    spark.sql(f"UPDATE {name} SET shard = 9 WHERE image_id IN ('i6', 'i202')")
    assert catch_up(name) == {"added_rows": 0, "deleted_ids": 3, "copied_ids": 3}
    assert catch_up(name) == NOTHING


def test_an_append_and_a_compaction_compare_no_rows(spark, catch_up):
    name = iceberg_table(spark, properties=V2)
    catch_up(name)
    first = head(spark, name)
    rows(spark, 4, start=100).writeTo(name).append()
    compact(spark, name)
    expire(spark, name, first)
    changes = changes_since(spark, name, first)
    assert changes.changed_ids is None
    assert catch_up(name) == NOTHING | {"added_rows": 4}


def of(ids, number):
    """A query of new rows with some IDs."""
    spelled = ", ".join(f"('{one}', {number + at})" for at, one in enumerate(ids))
    return f"SELECT id AS image_id, X'00' AS image, n AS shard FROM VALUES {spelled} AS t(id, n)"


def statements(name, step, ids, number):
    listed, new = ", ".join(f"'{one}'" for one in ids), of(ids, number)
    insert, delete = f"INSERT INTO {name} {new}", f"DELETE FROM {name} WHERE image_id IN ({listed})"
    update = f"UPDATE {name} SET shard = shard + 1 WHERE image_id IN ({listed})"
    merge = (
        f"MERGE INTO {name} t USING ({of([*ids, 'i30'], number)}) s ON t.image_id = s.image_id "
        "WHEN MATCHED AND s.image_id < 'i15' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET shard = s.shard WHEN NOT MATCHED THEN INSERT *"
    )
    made = {"append": [insert], "delete": [delete], "update": [update], "merge": [merge]}
    return made.get(step, [delete, insert])


def counted(frame):
    return Counter(tuple(row) for row in frame.select("image_id", "shard").collect())


def without(rows, ids):
    return {row: number for row, number in rows.items() if row[0] not in ids}


@pytest.mark.parametrize("modes", [HIDING, COPYING], ids=["merge-on-read", "copy-on-write"])
@each_version
def test_earlier_rows_and_added_ones_are_those_of_today_but_for_changed_ids(
    spark, properties, modes
):
    """Random commits: from each of their snapshots to the last one."""
    chosen = random.Random(f"{properties['format-version']} {modes['write.delete.mode']}")
    name = iceberg_table(spark, 12, properties | modes)
    passed = [head(spark, name)]
    for number, step in enumerate(chosen.sample(STEPS, len(STEPS))):
        if step == "compact":
            compact(spark, name)
        else:
            ids = chosen.sample([f"i{number}" for number in range(18)], 3)
            for statement in statements(name, step, ids, 1000 * number):
                spark.sql(statement)
        passed.append(head(spark, name))
    today = counted(spark.table(name))
    for snapshot_id in passed[:-1]:
        changes = changes_since(spark, name, snapshot_id)
        found = counted(spark.read.option("snapshot-id", str(snapshot_id)).table(name))
        if changes.added is not None:
            found += counted(changes.added)
        ids = changes.changed_ids
        changed = set() if ids is None else {row["image_id"] for row in ids.collect()}
        assert without(found, changed) == without(today, changed)


def test_a_compaction_of_v2_makes_no_row_a_new_one(spark):
    name = iceberg_table(spark, properties=V2)
    first = head(spark, name)
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")
    rows(spark, 3, start=100).writeTo(name).append()
    compact(spark, name)
    ids = changes_since(spark, name, first).changed_ids
    assert [row[0] for row in ids.collect()] == ["i5"]


def test_a_table_of_v3_that_was_v2_at_the_last_run(spark):
    name = iceberg_table(spark, properties=V2)
    first = head(spark, name)
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('format-version' = '3')")
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")
    ids = changes_since(spark, name, first).changed_ids
    assert [row[0] for row in ids.collect()] == ["i5"]


def test_what_cannot_be_found_is_refused_with_the_way_out(spark, catch_up):
    name = iceberg_table(spark)
    rows(spark, 3).selectExpr("NULL AS image_id", "image", "shard").writeTo(name).append()
    catch_up(name)
    first = head(spark, name)
    rows(spark, 2, start=100).writeTo(name).append()
    spark.sql(f"DELETE FROM {name} WHERE shard = 1 AND image_id IS NULL")
    way_out = "add --output-mode overwrite once"
    with pytest.raises(ImagesChangedError, match=f"without an ID were changed.*{way_out}"):
        catch_up(name)
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN shard TO part")
    with pytest.raises(
        ImagesChangedError, match=rf"column `shard` int \(field 3\) was renamed.*{way_out}"
    ):
        catch_up(name)
    catch_up(name, output_mode="overwrite")
    expire(spark, name, first)
    with pytest.raises(ImagesChangedError, match="it has expired, and rows were changed"):
        changes_since(spark, name, first)
    earlier = spark.table(f"{name}.snapshots").where("parent_id IS NOT NULL").sort("committed_at")
    back = earlier.where("operation = 'append'").collect()[-1]["snapshot_id"]
    call(spark, name, "rollback_to_snapshot", f"snapshot_id => {back}")
    with pytest.raises(ImagesChangedError, match=f"was rolled back or made again.*{way_out}"):
        catch_up(name)
    assert catch_up(name, output_mode="overwrite") is None
