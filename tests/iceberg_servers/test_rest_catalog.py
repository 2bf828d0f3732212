"""Iceberg tables in a REST catalog, which is a real server, in place and rewritten."""

import pytest

from dedup_lib.errors import (
    ColumnTypeError,
    ConflictError,
    InputError,
    PublishError,
    TableNotFoundError,
)
from dedup_lib.iceberg import branch
from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import QUICK, conf_flags, report_of, run
from tests.support.servers.rest_catalog import running_catalog
from tests.support.servers.s3_server import BUCKET, KEY_ID, SECRET, running_server
from tests.support.tables.iceberg import head, refs, rows
from tests.support.tables.iceberg_java import add_java_column
from tests.support.tables.made import write_list

JOB = ROOT / "jobs/remove_duplicates.py"
GONE = "image_id IN ('i3', 'i17')"
# In place, the first commit makes the branch, the second deletes, the third publishes.
PUBLISHING = 3


@pytest.fixture(params=["disk", "s3"])
def server(request, tmp_path):
    """A REST catalog on disk, or on S3 by Iceberg's S3FileIO: only the catalog tells its address.

    Hadoop does not know S3 there: no `s3://`, and no `s3a://`.
    """
    if request.param == "disk":
        yield request.getfixturevalue("on_disk")
        return
    (tmp_path / "s3").mkdir()
    with running_server(tmp_path / "s3") as store:
        properties = {
            "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "client.region": "us-east-1",
            "s3.endpoint": store.endpoint,
            "s3.path-style-access": "true",
            "s3.access-key-id": KEY_ID,
            "s3.secret-access-key": SECRET,
        }
        with running_catalog(tmp_path, f"s3://{BUCKET}/warehouse", properties) as catalog:
            yield catalog


def test_a_table_in_place_and_rewritten(spark, remove, table, server, listed, tmp_path):
    name = table(server)
    before, output = head(spark, name), name.replace("images", "unique")
    kept = sorted(spark.table(name).where(f"NOT {GONE}").collect())
    remove(name, listed, output, output_format="iceberg")
    assert sorted(spark.table(output).collect()) == kept
    remove(name, listed, output, output_format="iceberg", output_mode="overwrite")
    assert sorted(spark.table(output).collect()) == kept
    assert refs(spark, output) == ["main"]
    remove(name, listed, tmp_path / "parquet")
    assert sorted(spark.read.parquet(str(tmp_path / "parquet")).collect()) == kept

    report = remove(name, listed, None, method="in-place", purge=True, run_key="one")
    assert sorted(spark.table(name).collect()) == kept
    assert refs(spark, name) == ["main"]
    assert (report.purge["removed_files"], report.purge["foreign_files"]) == (1, 0)
    assert remove(name, listed, None, method="in-place", run_key="one").repeated
    spark.sql(report.output["undo"]).collect()
    assert head(spark, name) == before
    assert spark.table(name).where(GONE).count() == 2

    review = remove(name, listed, f"{name}.branch_review", method="clone", output_format="iceberg")
    spark.sql(review.output["publish"]).collect()
    assert sorted(spark.table(name).collect()) == kept

    page = tmp_path / "page.html"
    remove(output, write_list(tmp_path / "more", ["i4"]), None, dry_run=True, review=str(page))
    assert "i4" in page.read_text()
    add_java_column(spark, name, "taken at", "TimeType.get")  # no Hadoop can look it up on S3
    with pytest.raises(ColumnTypeError, match="does not support time") as caught:
        remove(name, listed, None, method="in-place")
    assert caught.value.exit_code == 3


def test_a_commit_of_others_is_planned_anew_or_a_conflict(
    spark, remove, table, on_disk, listed, monkeypatch
):
    name = table(on_disk)
    changes = [
        lambda: rows(spark, 20).where(GONE).writeTo(name).append(),
        lambda: spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'"),
    ]
    publish = branch.spell_publish

    def meanwhile(*arguments):
        if changes:
            changes.pop(0)()
        return publish(*arguments)

    # After the last look at main: only the server can refuse it.
    monkeypatch.setattr(branch, "spell_publish", meanwhile)
    with pytest.raises(ConflictError, match="another writer") as caught:
        remove(name, listed, None, method="in-place")
    assert (caught.value.exit_code, changes) == (5, [])
    assert (spark.table(name).where(GONE).count(), refs(spark, name)) == (4, ["main"])
    report = remove(name, listed, None, method="in-place")
    assert (report.counts["removed_rows"], spark.table(name).count()) == (4, 37)


def test_an_answer_that_is_lost(spark, remove, table, on_disk, listed):
    """The server fails when it is to publish: it has not done it, or it has and can't say so."""
    name = table(on_disk)
    before = head(spark, name)
    on_disk.refuse(PUBLISHING)
    with pytest.raises(PublishError, match="nothing was published") as caught:
        remove(name, listed, None, method="in-place")
    assert (caught.value.exit_code, head(spark, name)) == (5, before)
    assert refs(spark, name) == ["main"]
    for commit in (1, PUBLISHING):
        spark.sql(f"CALL {name.split('.')[0]}.system.rollback_to_snapshot('db.images', {before})")
        on_disk.lose(commit)
        report = remove(name, listed, None, method="in-place")
        assert (report.status, head(spark, name)) == ("succeeded", report.output["version"])
        assert (spark.table(name).count(), refs(spark, name)) == (38, ["main"])


def test_what_is_not_there(spark, remove, table, on_disk, listed, in_session, tmp_path):
    """No such table, schema, or server; a server that goes away before the run publishes."""
    name, other = table(on_disk), in_session(on_disk)
    catalog = name.split(".")[0]
    for missing in (f"{name}2", f"{catalog}.nodb.images"):
        with pytest.raises(TableNotFoundError, match=f"no table '{missing}'"):
            remove(missing, listed, None, method="in-place")
    on_disk.kill()
    for known in (name, f"{other}.db.images"):
        with pytest.raises(InputError, match=r"can't be asked: .*Connection refused") as caught:
            remove(known, listed, None, method="in-place")
        assert caught.value.exit_code == 3
        assert f"spark.sql.catalog.{known.split('.')[0]}." in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_server_that_goes_away_while_the_run_publishes(
    spark, remove, table, on_disk, listed, monkeypatch
):
    name, publish = table(on_disk), branch.spell_publish

    def meanwhile(*arguments):
        on_disk.kill()
        return publish(*arguments)

    monkeypatch.setattr(branch, "spell_publish", meanwhile)
    with pytest.raises(PublishError, match=r"main may be at snapshot \d+ .*Run again") as caught:
        remove(name, listed, None, method="in-place")
    assert "Connection refused" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_job_as_a_process_with_the_settings_that_we_ship(
    spark, table, on_disk, listed, tmp_path
):
    name = table(on_disk, version=2)
    settings = on_disk.settings("lake")
    conf = ROOT / "conf/spark/iceberg.conf"
    submit = [BIN / "spark-submit", "--master", "local[2]", "--properties-file", conf, *QUICK]
    flags = ["--images", "lake.db.images", "--duplicate-ids", listed, "--method", "in-place"]
    result = run([*submit, *conf_flags(settings), JOB, *flags], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert report_of(result)["output"]["version"] == head(spark, name)
    assert spark.table(name).count() == 38
    on_disk.kill()
    result = run([*submit, *conf_flags(settings), JOB, *flags], cwd=tmp_path)
    assert result.returncode == 3
    assert "Connection refused" in report_of(result)["error"]["message"]
    assert "\tat " not in result.stderr
