"""The job on S3, by spark-submit, against a server of this machine: moto's, by Hadoop's S3A."""

import io
import json
import os
import random
import signal
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.tables.directory import MANIFEST_NAME
from tests.support.jars.s3_jars import s3_jars
from tests.support.paths import ROOT
from tests.support.processes.job_process import SCRIPT, job_process
from tests.support.processes.runs import SPARK_SUBMIT, conf_flags, environment_with, report_of, run
from tests.support.servers.s3_server import BUCKET, running_server
from tests.support.spark.settings import INTERPRETED
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet
from tests.support.tables.made_shards import tar_of

S3 = f"s3a://{BUCKET}"
LISTED = ["--duplicate-ids", f"{S3}/in/list/"]
PARQUET = ["--images", f"{S3}/in/images", *LISTED]
DELTA = ["--images", f"{S3}/in/delta", *LISTED]
PARTS = ["--images", f"{S3}/in/parts", *LISTED]
ICEBERG = f"{S3}/in/iceberg/data"
TO_DELTA = ["--output-format", "delta"]
SHARDED = [f"{letter}.jpg" for letter in "abcdefghijklmnopqrst"]
# Each of these buckets is at a store of its own.
STORES = {
    "spark.hadoop.fs.s3a.bucket.denied.access.key": "wrong",
    "spark.hadoop.fs.s3a.bucket.down.endpoint": "http://127.0.0.1:1",
    "spark.hadoop.fs.s3a.bucket.down.retry.limit": "1",
    "spark.hadoop.fs.s3a.bucket.down.attempts.maximum": "1",
}


@pytest.fixture(scope="module")
def inputs(spark, tmp_path_factory):
    """Images as Parquet, as Delta, and partitioned under hard names; a list; on this machine."""
    folder = tmp_path_factory.mktemp("inputs")
    write_parquet(image_rows(["a", "b", None, "c"]), folder / "in/images/1.parquet")
    write_parquet(image_rows(["d", "e"]), folder / "in/images/2.parquet")
    write_parquet(image_rows(["a", "b"]), folder / "in/parts/kind=x%3Ay ü/1.parquet")
    write_parquet(image_rows(["c", "d"]), folder / "in/parts/kind=50%25/2.parquet")
    write_list(folder / "in/list/1.parquet", ["b", "d", "b", "zz"])
    write_parquet(image_rows(["a", "b"]), folder / "in/iceberg/data/1.parquet")
    (folder / "in/iceberg/metadata").mkdir()
    (folder / "in/iceberg/metadata/v1.metadata.json").write_text("{}")
    images = spark.read.parquet(str(folder / "in/images"))
    delta = images.write.format("delta").option("delta.enableDeletionVectors", "true")
    delta.save(str(folder / "in/delta"))
    (folder / "in/shards").mkdir()
    (folder / "in/shards/0.tar").write_bytes(tar_of(*SHARDED, form="pax"))
    (folder / "in/shards/1.tar").write_bytes(tar_of("x1.jpg", "x2.jpg"))
    write_parquet(pa.table({"key": [*"abcd", "failed"]}), folder / "in/shards/0.parquet")
    return folder


@pytest.fixture(scope="module")
def server(inputs, tmp_path_factory):
    """A server with the inputs in its bucket."""
    s3_jars()  # or skip
    with running_server(tmp_path_factory.mktemp("s3")) as server:
        client = server.client()
        client.create_bucket(Bucket="another")
        upload(client, inputs / "in", "in")
        for output in ("out", "killed", "in-place"):  # tables that are there to be changed
            upload(client, inputs / "in/delta", output)
        yield server


def upload(client, folder, prefix):
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.endswith(".crc"):
            client.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")


@pytest.fixture(scope="module")
def submit(server):
    """The command of a job that reaches the server: submit(script, flags of spark-submit)."""

    def command(script=ROOT / "jobs/remove_duplicates.py", *flags):
        confs = conf_flags(server.spark_settings() | STORES | INTERPRETED)
        return [*SPARK_SUBMIT, "--jars", ",".join(map(str, s3_jars())), *confs, *flags, script]

    return command


@pytest.fixture(scope="module")
def several(submit, tmp_path_factory):
    """Run the job several times: exit codes and reports, in their order; one process for all."""
    with job_process(submit(SCRIPT), tmp_path_factory.mktemp("several")) as jobs:
        yield jobs.run


@pytest.fixture
def seen(spark, server, tmp_path):
    """The rows of a table of the bucket, as digests: seen(prefix, format)."""

    def seen(prefix, table_format="delta"):
        folder, client = tmp_path / "seen" / str(len(server.requests())), server.client()
        for key in server.objects(f"{prefix}/"):
            if not key.endswith("/"):
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                client.download_file(BUCKET, key, str(folder / key))
        return row_digests(spark.read.format(table_format).load(str(folder / prefix)))

    return seen


@pytest.fixture
def wanted(remove, spark, inputs, tmp_path):
    """The rows that a run on this machine writes, as digests: wanted(images)."""

    def wanted(images):
        remove(inputs / "in" / images, inputs / "in/list", tmp_path / images, engine="spark")
        return row_digests(spark.read.parquet(str(tmp_path / images)))

    return wanted


def arrow_flags(server):
    """The flags by which pyarrow reaches the server."""
    options = (f"{key}={value}" for key, value in server.pyarrow_options().items())
    return ["--engine", "arrow", *(part for one in options for part in ("--storage-option", one))]


def renamed(server, since):
    """What was renamed, but for Delta's own checksums, which no reader needs."""
    copies = [each.copy_source for each in server.requests()[since:] if each.copy_source]
    return [name for name in copies if ".crc." not in name]


def left_behind(server):
    """What no run should leave: its own places, and uploads that were not ended."""
    keys = server.objects()
    manifests = {f".{key.partition('/')[0]}.dedup-manifest.json" for key in keys}
    names = [key for key in keys if ".dedup-" in key and "-companion/" not in key]
    return [name for name in names if name not in manifests] + server.unfinished_uploads()


def test_parquet_on_s3_becomes_a_new_delta_table_with_the_rows_of_a_local_run(
    server, submit, seen, wanted, tmp_path
):
    before = len(server.requests())
    flags = [*PARQUET, "--output", f"{S3}/new", *TO_DELTA, "--report", f"{S3}/reports/new.json"]
    result = run([*submit(), *flags], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = report_of(result)
    assert report["output"]["location"] == f"{S3}/new"
    saved = server.client().get_object(Bucket=BUCKET, Key="reports/new.json")["Body"].read()
    assert json.loads(saved) == report
    assert seen("new") == wanted("images")
    assert renamed(server, before) == []
    assert left_behind(server) == []


def test_delta_on_s3_is_rewritten_replaced_cloned_and_deleted_from(server, several, seen, wanted):
    before = len(server.requests())
    rewrite = [*DELTA, "--output", f"{S3}/out", *TO_DELTA, "--run-key", "1"]
    clone = [*DELTA, "--output", f"{S3}/clone", "--method", "clone"]
    # What a clone refers to is in the bucket: the rows that it shows are copied out of it.
    copy = ["--images", f"{S3}/clone", *LISTED, "--output", f"{S3}/shown", *TO_DELTA]
    in_place = ["--images", f"{S3}/in-place", *LISTED, "--method", "in-place", "--run-key", "2"]
    codes, reports = several(
        [*DELTA, "--dry-run"],
        rewrite,
        [*rewrite, "--output-mode", "overwrite"],
        [*rewrite, "--output-mode", "overwrite"],
        clone,
        [*PARTS, "--output", f"{S3}/by-kind", *TO_DELTA],
        [*copy, "--allow-no-matches"],
        in_place,
        in_place,
    )
    assert codes == [0, 5, 0, 0, 0, 0, 0, 0, 0], [report["error"] for report in reports]
    assert [index for index, each in enumerate(reports) if each["repeated"]] == [3, 8]
    assert seen("out") == seen("shown") == seen("in-place") == wanted("images")
    assert seen("by-kind") == wanted("parts")
    assert renamed(server, before) == []
    assert left_behind(server) == []


def test_shards_on_s3_become_shards_of_the_same_bytes(server, several, inputs):
    before = len(server.requests())
    out = ["--output", f"{S3}/shards-out", "--output-format", "webdataset"]
    (code,), (report,) = several(
        ["--images", f"{S3}/in/shards", *LISTED, *out, *arrow_flags(server)]
    )
    assert code == 0, report["error"]
    assert report["counts"]["removed_rows"] == 2
    asked = Counter(
        each.method for each in server.requests()[before:] if "/in/shards/" in each.path
    )
    print(f"requests for two shards of 20 samples: {dict(asked)}")
    assert asked["GET"] < 10  # not one for each header
    written = server.client().get_object(Bucket=BUCKET, Key="shards-out/0.tar")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        names = [name for name in tar.getnames() if name.endswith("jpg")]
    assert names == [name for name in SHARDED if name not in {"b.jpg", "d.jpg"}]
    copied = server.client().get_object(Bucket=BUCKET, Key="shards-out/1.tar")["Body"].read()
    assert copied == (inputs / "in/shards/1.tar").read_bytes()
    kept = server.client().get_object(Bucket=BUCKET, Key="shards-out/0.parquet")["Body"].read()
    assert pq.read_table(io.BytesIO(kept))["key"].to_pylist() == ["a", "c", "failed"]


def test_shards_on_s3_are_marked_and_reviewed_by_few_requests(server, several, tmp_path):
    pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    pytest.importorskip("PIL", reason="Pillow isn't installed")
    before = len(server.requests())
    out = ["--output", f"{S3}/shards-marked", "--output-format", "webdataset"]
    review = ["--action", "annotate", "--review", str(tmp_path / "review.html")]
    (code,), (report,) = several(
        ["--images", f"{S3}/in/shards", *LISTED, *out, *review, *arrow_flags(server)]
    )
    assert code == 0, report["error"]
    requests = server.requests()[before:]
    asked = Counter(one.method for one in requests if "/in/shards/" in one.path)
    print(f"requests for two shards of 20 samples, with marks and two pictures: {dict(asked)}")
    assert asked["GET"] < 12  # not one for each sample
    # These are no pictures, but the members were read: `b.jpg` and `d.jpg`.
    assert report["review"]["read_bytes"] == len("b.jpg") + len("d.jpg")
    body = server.client().get_object(Bucket=BUCKET, Key="shards-marked/0.tar")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        names = [name for name in tar.getnames() if name.startswith("b.")]
        assert names == ["b.jpg", "b.dedup.json"]
        assert b'"is_duplicate": true' in tar.extractfile("b.dedup.json").read()


def test_shards_on_s3_become_a_table_of_parquet_alone(server, several):
    """Spark can't read shards, so there is no choice of the engine."""
    out = ["--output", f"{S3}/shards-table", *arrow_flags(server)[2:]]
    flags = ["--images", f"{S3}/in/shards", *LISTED, *out]
    codes, (refused, report) = several([*flags, *TO_DELTA], flags)
    assert codes == [2, 0], report["error"]
    assert "CONVERT TO DELTA" in refused["error"]["message"]
    assert report["engine"] == "arrow"
    body = server.client().get_object(Bucket=BUCKET, Key="shards-table/0.parquet")["Body"].read()
    found = pq.read_table(io.BytesIO(body)).to_pylist()
    kept = [name.partition(".")[0] for name in SHARDED if name not in {"b.jpg", "d.jpg"}]
    url = f"{S3}/in/shards/0.tar"
    assert found == [{"__key__": key, "__url__": url, "jpg": f"{key}.jpg".encode()} for key in kept]


def test_a_table_on_s3_becomes_shards(server, several):
    """Each is finished on the executor's disk, and then uploaded."""
    flags = ["--output-format", "webdataset", "--samples-per-shard", "2", *arrow_flags(server)]
    (code,), (report,) = several([*PARQUET, "--output", f"{S3}/packed", *flags])
    assert code == 0, report["error"]
    names = [f"packed/0000{number}.tar" for number in range(3)]
    assert [name for name in server.objects("packed/") if name.endswith(".tar")] == names
    assert left_behind(server) == []


def test_what_s3_can_not_give_is_said_with_the_readmes_exit_code(server, several):
    out = ["--output", f"{S3}/refused", *TO_DELTA]
    objects = server.objects()
    cases = {
        "no such bucket": (3, ["--images", "s3a://no-bucket/images", *LISTED, *out]),
        "does not exist": (3, ["--images", f"{S3}/nothing", *LISTED, *out]),
        "Check the credentials": (3, ["--images", "s3a://denied/images", *LISTED, *out]),
        "check its address": (3, ["--images", "s3a://down/images", *LISTED, *out]),
        "s3a://": (3, ["--images", "s3://bucket/in/images", *LISTED, *out]),
        "connector": (3, ["--images", "gs://bucket/in/images", *LISTED, *out]),
        "no-bucket/l": (3, [*PARQUET[:2], "--duplicate-ids", "s3a://no-bucket/l/", *out]),
        "denied/out": (5, [*PARQUET, "--output", "s3a://denied/out", *TO_DELTA]),
        "no-bucket/out": (5, [*PARQUET, "--output", "s3a://no-bucket/out", *TO_DELTA]),
        "root of a file": (2, [*PARQUET, "--output", "s3a://another", *TO_DELTA]),
        "--report": (2, [*PARQUET, "--dry-run", "--report", "s3a://denied/report.json"]),
        "one would destroy": (2, [*PARQUET, "--output", f"{S3}/in/images/out", *TO_DELTA]),
        "image table 's3a://bucket/in/iceberg/data' lies": (
            3,
            ["--images", ICEBERG, *LISTED, *out],
        ),
        "output 's3a://bucket/in/iceberg/data' lies": (5, [*PARQUET, "--output", ICEBERG]),
    }
    codes, reports = several(*(flags for _, flags in cases.values()))
    messages = [report["error"]["message"] for report in reports]
    assert codes == [code for code, _ in cases.values()], messages
    words = ["bucket does not exist", *list(cases)[1:]]
    assert [word in text for word, text in zip(words, messages, strict=True)] == [True] * 14, (
        messages
    )
    assert server.objects() == objects


KILLED = {
    "killed": [*PARQUET, "--output", f"{S3}/killed", *TO_DELTA, "--output-mode", "overwrite"],
    "torn": [*PARTS, "--output", f"{S3}/torn"],
}
# What each is about to write when both are killed: at first some data, then the last mark.
ABOUT_TO_WRITE = [
    ("/killed/part-", "/torn/kind"),
    ("/killed/_delta_log/00000000000000000001.json", "/torn/_SUCCESS"),
]


@pytest.fixture(scope="module")
def killed(server, submit, tmp_path_factory):
    """Two jobs that are killed together, twice; the names in the bucket after each time."""
    folder = tmp_path_factory.mktemp("killed")
    jobs = json.dumps([("nowhere", flags) for flags in KILLED.values()])
    script = ROOT / "tests/support/faults/stopping_jobs.py"
    # Tasks that are held keep their threads.
    command = [*submit(script, "--master", "local[8]"), "group", jobs]
    objects = []
    for names in ABOUT_TO_WRITE:
        kill_when_held(command, server, names, folder)
        objects.append(server.objects())
    return objects


def kill_when_held(command, server, names, folder: Path):
    """Start jobs, and kill their processes once each is about to put an object of its name."""
    server.hold(*names)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment_with(PYTHONPATH=str(ROOT), FAULT_NOTES=os.devnull),
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            server.wait_for_held()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    server.refuse_held()


def test_g6_killed_runs_on_s3_leave_the_old_and_the_retry_succeeds(
    server, killed, several, seen, wanted, inputs, spark
):
    """A Delta table is the old one; Parquet is not to be seen, or lacks but its last mark."""
    old = row_digests(spark.read.format("delta").load(str(inputs / "in/delta")))
    assert seen("killed") == old
    for objects in killed:
        assert "killed/_delta_log/00000000000000000001.json" not in objects
        assert "torn/_SUCCESS" not in objects
    torn = [key for key in killed[0] if key.startswith("torn/")]
    assert [key for key in torn if "/_" not in key and not key.endswith("/")] == []
    assert left_behind(server) != []
    codes, reports = several(*KILLED.values())
    # The second one was finished but for its mark.
    assert codes == [0, 5], [report["error"] for report in reports]
    assert "torn/_SUCCESS" in server.objects()
    assert seen("killed") == wanted("images") != old
    assert seen("torn", "parquet") == wanted("parts")
    assert left_behind(server) == []


def test_parquet_on_s3_becomes_parquet_by_either_engine_and_nothing_is_renamed(
    server, several, seen, wanted
):
    before = len(server.requests())
    by_arrow = arrow_flags(server)
    new = [*PARQUET, "--output", f"{S3}/parquet", "--run-key", "3"]
    codes, reports = several(
        new,
        new,
        [*new[:-2], "--output-mode", "overwrite"],
        [*PARQUET, "--output", f"{S3}/by-arrow", *by_arrow],
        [*PARTS, "--output", f"{S3}/parts", "--removed-output", f"{S3}/removed"],
        [*PARTS, "--output", f"{S3}/parts-by-arrow", *by_arrow],
        [*DELTA, "--output", f"{S3}/from-delta"],
    )
    assert codes == [0, 0, 2, 0, 0, 0, 0], [report["error"] for report in reports]
    assert reports[1]["repeated"]
    assert "can't rename in one step" in reports[2]["error"]["message"]
    assert [report["engine"] for report in reports[3:]] == ["arrow", "spark", "arrow", "spark"]
    expected = wanted("images")
    for output in ("parquet", "by-arrow", "from-delta"):
        assert seen(output, "parquet") == expected
        assert f"{output}/_SUCCESS" in server.objects(output)
        assert f"{output}/{MANIFEST_NAME}" not in server.objects(output)
        assert f".{output}.dedup-manifest.json" in server.objects()
    assert seen("parts", "parquet") == seen("parts-by-arrow", "parquet") == wanted("parts")
    assert len(seen("removed", "parquet")) == 2
    copied = {each.copy_source for each in server.requests()[before:] if each.copy_source}
    # What loses nothing is copied by the store itself, from the images.
    assert {name for name in copied if "/in/" not in name} == set()
    assert left_behind(server) == []


PLAIN_SPARK = """
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
for images in sys.argv[2:]:
    rows, ids = spark.read.parquet(images), spark.read.parquet(sys.argv[1])
    kept = rows.join(ids, rows["image_id"] == ids["id"], "left_anti")
    kept.write.parquet(images.replace("/in/", "/plain/"))
"""
# How often a file that loses rows is asked for: opened and read for the plan, and to rewrite it.
REQUESTS_BY_IMAGE_BYTES = {500: 4, 400_000: 7}


def test_arrow_asks_for_less_than_plain_spark_and_lets_s3_copy(server, several, submit, tmp_path):
    """Of two files, one loses rows. A file up to 32 MB is read at once."""
    rng, by_arrow = random.Random(7), arrow_flags(server)
    for image_bytes in REQUESTS_BY_IMAGE_BYTES:
        for file in range(2):
            rows = image_rows([f"{file}-{row}" for row in range(50)])
            images = pa.array([rng.randbytes(image_bytes) for _ in range(50)], pa.binary())
            rows = rows.set_column(rows.schema.get_field_index("image"), "image", images)
            write_parquet(rows, tmp_path / f"in/{image_bytes}/{file}.parquet")
    write_list(tmp_path / "list/1.parquet", ["0-3"])
    upload(server.client(), tmp_path / "in", "in/asked")
    upload(server.client(), tmp_path / "list", "in/asked-list")
    (tmp_path / "plain.py").write_text(PLAIN_SPARK)
    tables = [f"{S3}/in/asked/{image_bytes}" for image_bytes in REQUESTS_BY_IMAGE_BYTES]
    listed, outputs = f"{S3}/in/asked-list", [f"{table}-out" for table in tables]

    before = len(server.requests())
    plain = run([*submit(tmp_path / "plain.py"), listed, *tables], cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    asked_by_spark, before = asked_for(server, before), len(server.requests())
    runs = zip(tables, outputs, strict=True)
    codes, reports = several(
        *(
            ["--images", at, "--duplicate-ids", listed, "--output", out, *by_arrow]
            for at, out in runs
        )
    )
    assert codes == [0, 0], [report["error"] for report in reports]
    asked = asked_for(server, before)
    copied = {each.copy_source for each in server.requests()[before:] if each.copy_source}
    for image_bytes, most in REQUESTS_BY_IMAGE_BYTES.items():
        for file in range(2):
            name = f"in/asked/{image_bytes}/{file}.parquet"
            assert asked[name] <= (4 if file else most), name
            assert asked[name] <= asked_by_spark[name], name
            assert any(name in source for source in copied) == (file == 1)


def asked_for(server, since):
    """The number of requests for each object."""
    prefix = f"/{BUCKET}/"
    return Counter(each.path.removeprefix(prefix) for each in server.requests()[since:])


def test_the_review_of_images_on_s3_has_their_pictures_and_reads_no_others(inputs, server, several):
    """Stored as they are and by Snappy; on a page that is in the bucket itself."""
    pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    pytest.importorskip("PIL", reason="Pillow isn't installed")
    from tests.support.review.made_review import encoded

    chance = random.Random(1)
    pictures = [encoded((number, 90, 200)) + chance.randbytes(200_000) for number in range(40)]
    rows = pa.table({"image_id": [f"i{number}" for number in range(40)], "image": pictures})
    goes = [f"i{number}" for number in range(0, 40, 8)]
    runs = []
    for codec in ("none", "snappy"):
        folder = f"in/pictures-{codec}"
        write_parquet(rows.slice(0, 25), inputs / folder / "1.parquet", compression=codec)
        write_parquet(rows.slice(25), inputs / folder / "2.parquet", compression=codec)
        upload(server.client(), inputs / folder, folder)
        page = f"{S3}/pages/{codec}.html"
        listed = ["--duplicate-ids", f"{S3}/in/pictures-list/"]
        runs.append(["--images", f"{S3}/{folder}", *listed, "--dry-run", "--review", page])
    write_list(inputs / "in/pictures-list/1.parquet", goes)
    upload(server.client(), inputs / "in/pictures-list", "in/pictures-list")
    codes, reports = several(*runs)
    assert codes == [0, 0], [report["error"] for report in reports]
    reviews = [report["review"] for report in reports]
    assert [(each["pairs"], each["pictures"]) for each in reviews] == [(5, 5)] * 2, reviews
    # Of what is stored as it is the five images, a footer each and steps from one to the next.
    assert 5 * 200_000 < reviews[0]["read_bytes"] < 5 * 200_000 + 400_000
    for codec in ("none", "snappy"):
        saved = server.client().get_object(Bucket=BUCKET, Key=f"pages/{codec}.html")["Body"]
        assert saved.read().count(b"data:image/webp") == 5
