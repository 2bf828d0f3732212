"""Each feature of a run, from an image table of each format, as a table of the docs says."""

import json

import pytest

from dedup_lib.errors import DedupError, UnsupportedError
from tests.support.paths import ROOT
from tests.support.spark.settings import REMOTE
from tests.support.tables.iceberg import iceberg_table, new_name
from tests.support.tables.made import delta_table, image_rows, write_list, write_parquet
from tests.support.tables.made_shards import read_by_tarfile, write_image_shard

FORMATS = {"Parquet": "parquet", "Delta": "delta", "Iceberg": "iceberg", "WebDataset": "webdataset"}
HEADER = f"| what works from an image table | {' | '.join(FORMATS)} |"
IDS = [f"i{number}" for number in range(20)]
GONE = {"i3", "i17"}
# What a run says where the docs say `no`.
REFUSED = {
    ("`--since-last-run` to a Delta table", "WebDataset"): (UnsupportedError, 2, "can't follow")
}


def documented():
    """The words of the docs by feature and format."""
    lines = (ROOT / "docs/iceberg.md").read_text().splitlines()
    cells = {}
    for line in lines[lines.index(HEADER) + 2 :]:
        if not line.startswith("|"):
            return cells
        feature, *words = (cell.strip() for cell in line.strip("|").split("|"))
        cells |= {(feature, name): word for name, word in zip(FORMATS, words, strict=True)}
    return cells


class Images:
    """An image table of 20 rows, and runs on it by the method that suits its format."""

    def __init__(self, spark, remove, folder, name):
        self.spark, self.remove, self.folder, self.name = spark, remove, folder, name
        self.location = getattr(self, f"_{name}")()
        self.listed = write_list(folder / "list", [*sorted(GONE), "unknown"])

    def _parquet(self):
        return write_parquet(image_rows(IDS), self.folder / "images/1.parquet").parent

    def _delta(self):
        source = write_parquet(image_rows(IDS), self.folder / "source.parquet")
        frame = self.spark.read.parquet(str(source))
        return delta_table(frame, self.folder / "images", enableDeletionVectors="true")

    def _iceberg(self):
        return iceberg_table(self.spark, len(IDS))

    def _webdataset(self):
        write_image_shard(image_rows(IDS), self.folder / "images/00000.tar")
        return self.folder / "images"

    @property
    def is_changed_in_place(self):
        return self.name in ("delta", "iceberg")

    def new(self, kind):
        """A place for a table of the same format, or of plain files for shards."""
        return new_name() if self.name == "iceberg" else str(self.folder / kind)

    def apply(self, lists=None, **settings):
        """Remove the listed rows, in place if the format can."""
        lists = self.listed if lists is None else lists
        if self.is_changed_in_place:
            return self.remove(self.location, lists, None, method="in-place", **settings)
        return self.rewrite(lists, **settings)

    def rewrite(self, lists=None, **settings):
        """Write a table of the same format."""
        self.made = getattr(self, "made", None) or self.new("out")
        lists = self.listed if lists is None else lists
        return self.remove(
            self.location, lists, self.made, **{"output_format": self.name} | settings
        )

    def read(self, location):
        """A table of the same format."""
        reader = self.spark.read
        return (
            reader.table(location)
            if self.name == "iceberg"
            else reader.format(self.name).load(str(location))
        )

    def members(self):
        (shard,) = self.folder.glob("out/*.tar")
        return dict(read_by_tarfile(shard.read_bytes()))

    def ids(self, location=None):
        """The IDs that are left."""
        if self.name == "webdataset":
            return {name.partition(".")[0] for name in self.members()}
        place = location or (self.location if self.is_changed_in_place else self.made)
        return {row["image_id"] for row in self.read(place).select("image_id").collect()}

    def record(self, location):
        """The rows of a record, which has the format of the name or is Parquet."""
        is_named = self.name == "iceberg"
        return self.spark.table(location) if is_named else self.spark.read.parquet(location)


def review(images):
    pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    pytest.importorskip("PIL", reason="Pillow isn't installed")
    page = images.folder / "review.html"
    report = images.apply(dry_run=True, review=str(page))
    assert (report.status, report.counts["removed_rows"]) == ("dry_run", 2)
    assert page.read_text().count("<article") == 2
    if images.is_changed_in_place:
        assert images.ids() == set(IDS)


def keep_list(images):
    images.apply(list_kind="keep", max_removed_fraction=1.0)
    assert images.ids() == GONE


def protect_list(images):
    images.apply(protect_ids=(str(write_list(images.folder / "protected", ["i3"])),))
    assert images.ids() == set(IDS) - {"i17"}


def kept_plan(images):
    plan = images.new("plan")
    images.apply(dry_run=True, removed_output=plan)
    images.apply((), apply_plan=plan)
    assert images.ids() == set(IDS) - GONE


def metrics(images):
    place = images.new("metrics")
    report = images.apply(metrics_output=place)
    (row,) = images.record(place).collect()
    assert (row["run"], row["status"], row["removed_rows"]) == (report.run, "succeeded", 2)


def record(images):
    place = images.new("removed")
    images.apply(removed_output=place)
    assert {row["image_id"] for row in images.record(place).collect()} == GONE
    assert images.ids() == set(IDS) - GONE


def lineage(images):
    pytest.importorskip("openlineage.client", reason="openlineage-python is not installed")
    events = images.folder / "events.jsonl"
    text = (ROOT / "conf/openlineage/file.yml").read_text()
    config = images.folder / "lineage.yml"
    config.write_text(text.replace("openlineage-events.jsonl", str(events)))
    images.apply(lineage_config=str(config))
    first, last = map(json.loads, events.read_text().splitlines())
    assert (first["eventType"], last["eventType"]) == ("START", "COMPLETE")
    place = str(images.location).partition(".")[2] or str(images.location)
    assert any(place in one["name"] for one in first["inputs"])


def annotate(images):
    images.rewrite(action="annotate")
    assert images.ids(images.made) == set(IDS)
    if images.name == "webdataset":
        found = {key: json.loads(data) for key, data in images.members().items() if "dedup" in key}
        marked = {key.partition(".")[0] for key, mark in found.items() if mark["is_duplicate"]}
        assert marked == GONE
        return
    marked = images.read(images.made).where("is_duplicate").select("image_id").collect()
    assert {row["image_id"] for row in marked} == GONE


def extract(images):
    images.rewrite(action="extract")
    assert images.ids(images.made) == GONE


def run_key(images):
    first, again = (images.apply(run_key="k") for _ in range(2))
    assert (first.repeated, again.repeated, again.counts) == (False, True, first.counts)
    assert images.ids() == set(IDS) - GONE


def since_last_run(images):
    images.made, given = str(images.folder / "out"), {"output_format": "delta"}
    for _ in range(2):
        report = images.rewrite(since_last_run=True, **given)
    assert report.since_last_run == {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
    written = images.spark.read.format("delta").load(images.made)
    assert {row["image_id"] for row in written.collect()} == set(IDS) - GONE


FEATURES = {
    "`--dry-run --review`": review,
    "`--list-kind keep`": keep_list,
    "`--protect-ids`": protect_list,
    "`--apply-plan`": kept_plan,
    "`--metrics-output`": metrics,
    "`--removed-output`": record,
    "`--lineage-config`": lineage,
    "`--action annotate`": annotate,
    "`--action extract`": extract,
    "`--run-key`": run_key,
    "`--since-last-run` to a Delta table": since_last_run,
}


def test_the_table_of_the_docs_has_these_features():
    cells = documented()
    assert [feature for feature, name in cells if name == "Parquet"] == list(FEATURES)
    assert {cell for cell, word in cells.items() if word == "no"} == set(REFUSED)
    assert set(cells.values()) == {"yes", "no"}


@pytest.mark.parametrize("title", FORMATS)
@pytest.mark.parametrize("feature", FEATURES)
def test_what_the_docs_say_is_so(spark, remove, tmp_path, feature, title):
    if REMOTE and (FEATURES[feature], title) == (since_last_run, "Iceberg"):
        pytest.skip("over Spark Connect, one query reads one snapshot of an Iceberg table")
    images = Images(spark, remove, tmp_path, FORMATS[title])
    if documented()[feature, title] == "yes":
        FEATURES[feature](images)
        return
    error, exit_code, words = REFUSED[feature, title]
    with pytest.raises(DedupError, match=words) as caught:
        FEATURES[feature](images)
    assert (caught.type, caught.value.exit_code) == (error, exit_code)
