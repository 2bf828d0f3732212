"""No secret comes out, by whatever road it came in, and however the run ends."""

import json

import pytest
from pyspark.sql import functions as F

from dedup_lib import cli
from dedup_lib.redaction import SPARK_PATTERN
from tests.support.harmless_texts import HARMLESS
from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import FLAGS, QUICK, run, small_inputs
from tests.support.spark.java import JAVA_OPTIONS

SECRET = "s3cr3tV4lue"
SIGNED = f"localhost:1/x?sig={SECRET}&a=b"
IMAGES, LIST, OUTPUT = FLAGS[:2], FLAGS[2:4], FLAGS[4:]


@pytest.fixture
def folder(spark, tmp_path, monkeypatch):
    """Inputs whose places carry signatures."""
    small_inputs(tmp_path)
    (tmp_path / "in/images").rename(tmp_path / f"in/images?sig={SECRET}&x=1")
    (tmp_path / "in/list").rename(tmp_path / f"in/list?token={SECRET}")
    (tmp_path / "in/images").symlink_to(f"images?sig={SECRET}&x=1")
    (tmp_path / "in/list").symlink_to(f"list?token={SECRET}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(folder, monkeypatch, capfd):
    """Run the command in this process: its exit code, and all texts that it left, by name."""

    def command(*argv, toml=None):
        for handler in [*cli._log.handlers]:
            cli._log.removeHandler(handler)  # the next one writes to what stderr is now
        if toml is not None:
            (folder / "job.toml").write_text(toml)
            argv = (*argv, "--config", "job.toml")
        if "--report" not in argv:
            argv = (*argv, "--report", "report.json")
        # Java has a working directory of its own.
        placed = [f"{folder}/{word}" if word.startswith(("in/", "./")) else word for word in argv]
        code = cli.run_command([*placed, "--log-level", "DEBUG"])
        printed = capfd.readouterr()
        texts = {"stdout": printed.out, "stderr": printed.err}
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "job.toml" and f"{folder}/in/" not in str(path):
                texts[str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")
        return code, texts

    yield command
    for handler in [*cli._log.handlers]:
        cli._log.removeHandler(handler)


def leaks(texts):
    return {name: text for name, text in texts.items() if SECRET in text or "s3cr3t" in text}


USAGE_ERRORS = {
    "an unknown flag": (*FLAGS, "--storage-options", f"secret_key={SECRET}"),
    "an unknown flag with =": (*FLAGS, f"--storage-options=secret_key={SECRET}"),
    "half a value": (*FLAGS, "--storage-option", "secret_key=half", SECRET),
    "an option without =": (*FLAGS, "--storage-option", SECRET),
    "an option with a wrong name": (*FLAGS, "--storage-option", f"secret-key={SECRET}"),
    "an option for the other engine": (
        *(*FLAGS, "--engine", "spark"),
        *("--storage-option", f"secret_key={SECRET}"),
    ),
    "a value that is none": (*FLAGS, "--method", f"https://{SIGNED}"),
    "a run key": (*FLAGS, "--run-key", f"token={SECRET}"),
    "a config that is not there": ("--config", f"/nowhere?sig={SECRET}"),
}


@pytest.mark.parametrize("argv", USAGE_ERRORS.values(), ids=USAGE_ERRORS)
def test_g16_no_secret_comes_out_of_a_usage_error(command, argv):
    code, texts = command(*argv)
    assert code == 2
    assert not leaks(texts)


@pytest.mark.parametrize(
    "toml",
    [
        f'images = {{location = "x", secret_key = "{SECRET}"}}',
        f'duplicate_ids = [[{{secret_key = "{SECRET}"}}]]',
        f'[[duplicate_ids]]\nlocation = "in/list"\nid_column = {{password = "{SECRET}"}}',
        f'storage_option = {{secret_key = "{SECRET}"}}',
        f'storage_option = "secret_key={SECRET}"',
        f'secret_key = "{SECRET}"',
        f"secret_key = {SECRET}",
        f'secret_key = "{SECRET}',
        f'images = "https://{SIGNED}"\noutput_mode = "x"',
    ],
)
def test_g16_no_secret_comes_out_of_a_config_that_is_wrong(command, toml):
    code, texts = command(*OUTPUT, toml=toml)
    assert code == 2
    assert not leaks(texts)


@pytest.mark.parametrize(
    ("flag", "scheme"),
    [
        *(("--images", name) for name in ("s3a", "abfss", "ftp", "http", "webhdfs", "nosuch")),
        *(("--duplicate-ids", "ftp"), ("--duplicate-ids", "hdfs")),
        *(("--output", "ftp"), ("--output", "hdfs"), ("--report", "ftp")),
        *(
            ("--removed-output", "hdfs"),
            ("--unmatched-output", "hdfs"),
            ("--metrics-output", "hdfs"),
            ("--work-location", "hdfs"),
        ),
    ],
)
def test_g16_no_secret_comes_out_of_a_location_that_cant_be_reached(command, flag, scheme):
    flags = dict(zip(FLAGS[::2], FLAGS[1::2], strict=True))
    flags |= {flag: f"{scheme}://user:{SECRET}@{SIGNED}", "--output-format": "delta"}
    code, texts = command(*(word for pair in flags.items() for word in pair))
    assert code in ({0} if flag == "--metrics-output" else {1, 2, 3, 5})
    assert not leaks(texts)
    assert "Traceback" not in texts["stderr"]


@pytest.mark.parametrize(
    "more",
    [
        (
            *("--engine", "arrow", "--storage-option", f"secret_key={SECRET}"),
            *("--unmatched-output", "./unmatched"),
        ),
        ("--output-format", "delta", "--run-key", "monday"),
    ],
    ids=lambda more: more[1],
)
def test_g16_no_secret_comes_out_of_a_run_that_succeeds(spark, command, folder, more):
    """Not in the manifest, Delta's log, the plan that is kept, nor the listed IDs."""
    kept = ("--removed-output", "./removed", "--metrics-output", "./metrics")
    code, texts = command(*FLAGS, *kept, *more)
    assert code == 0, texts["stderr"]
    assert "no row was appended" not in texts["stderr"]
    assert len(texts) > 7
    assert not leaks(texts)
    kept = spark.read.parquet(f"{folder}/removed").select("file_path", "reasons.list_location")
    (row, _) = kept.orderBy("file_path").collect()
    assert row.list_location == [f"file:{folder}/in/list?token=***"]
    assert row.file_path.startswith("file:")


def test_g16_what_is_left_in_a_location_is_warned_of_for_spark_shows_it_too(command):
    _, texts = command(*IMAGES[:1], f"in/images?sig={SECRET}&x=1", *LIST, *OUTPUT, "--dry-run")
    assert "/in/images?sig=***&x=1' holds a secret, which Spark's event log" in texts["stderr"]


def test_g16_neither_a_column_nor_a_path_can_forge_a_line_of_the_log(command):
    forged = "x\x1b[31m\u202e\n2026-01-01 00:00:00,000 ERROR dedup_lib: forged"
    for words, code in (
        (("--image-id-column", forged), 3),
        (("--images", f"/nowhere/{forged}"), 3),
        (("--report", f"s3a://b/{forged}", "--eps", "-1"), 2),
    ):
        found, texts = command(*FLAGS, *words)
        assert found == code, texts["stdout"]
        assert not {"\x1b", "\u202e"}.intersection(texts["stderr"] + texts["stdout"])
        assert not [
            line
            for line in texts["stderr"].splitlines()
            if "ERROR dedup_lib: forged" in line and line.startswith("2026-01-01")
        ]


def test_g16_sparks_own_pattern_hides_secrets_and_nothing_else(spark):
    """In Java's own regular expressions: those of plans, logs and the UI."""
    hidden = [
        f"[s3a://user:{SECRET}@bucket/x]",
        f"[s3a://user:{SECRET}...",
        f"file:/x%3Fsig={SECRET}&a=1/y",
        f"wasbs://c@a/x?sv=1&sig={SECRET}",
        f"https://h/x?a=b&x-amz-security-token={SECRET}, b",
    ]
    frame = spark.createDataFrame([(text,) for text in [*hidden, *HARMLESS]], "text string")
    found = [
        row[0] for row in frame.select(F.regexp_replace("text", SPARK_PATTERN, "***")).collect()
    ]
    assert not [text for text in found[: len(hidden)] if SECRET in text]
    assert found[len(hidden) :] == HARMLESS


def test_g16_the_shipped_settings_hide_secrets_in_the_event_log_and_in_sparks_log(folder):
    (folder / "events").mkdir()
    log4j = f"-Dlog4j2.configurationFile=file:{ROOT}/conf/spark/log4j2.properties"
    settings = {
        "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} {log4j}",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.hadoop.fs.s3a.secret.key": SECRET,
        "spark.hadoop.fs.azure.account.key.a": SECRET,
    }
    result = run(
        [
            *(BIN / "spark-submit", "--master", "local[2]"),
            *("--properties-file", ROOT / "conf/spark/cpu.conf", *QUICK),
            *(word for key, value in settings.items() for word in ("--conf", f"{key}={value}")),
            *(ROOT / "jobs/remove_duplicates.py", "--dry-run", "--engine", "spark"),
            *("--images", f"in/images?sig={SECRET}&x=1"),
            *("--duplicate-ids", f"in/list?token={SECRET}"),
        ],
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    assert "INFO FileScanRDD: Reading File path" in result.stderr
    assert not leaks({"stdout": result.stdout, "stderr": result.stderr})
    (log,) = (folder / "events").rglob("events_*")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert any("redacted" in json.dumps(event) for event in events)
    assert not [event for event in events if SECRET in json.dumps(without_locations(event))]


def without_locations(value):
    """An event without what Spark 4 redacts by no setting: where a scan reads.

    Nor does it redact the files that engine arrow is told of, which are in its plans.
    """
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "Location"}
        return {key: without_locations(item) for key, item in kept.items()}
    return [without_locations(item) for item in value] if isinstance(value, list) else value
