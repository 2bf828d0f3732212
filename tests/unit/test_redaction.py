"""Secrets stay out of reports, logs and messages; ordinary paths stay as they are."""

import json
import logging
import time

import pytest
from pyspark.logger import PySparkLogger

from dedup_lib import DuplicateIds, Report, Settings
from dedup_lib.errors import SettingsError, TableNotFoundError
from dedup_lib.redaction import SPARK_PATTERN, one_record, redact, redact_all, secret_values
from dedup_lib.terminal import RedactingFormatter, log_to_stderr
from tests.support.harmless_texts import HARMLESS
from tests.support.paths import ROOT

SECRET = "s3cr3t%2BValue=="

SECRETS = [
    f"s3a://user:{SECRET}@bucket/images",
    f"https://AKIAXXXX:{SECRET}@host:443/images",
    f"s3a://AKIAXXXX:{SECRET}/with/slashes@bucket/images",
    f"wasbs://c@a.blob.core.windows.net/x?sv=2024-01-01&sig={SECRET}",
    f"abfss://c@a.dfs.core.windows.net/x?sp=r&se=2026-01-01&sig={SECRET}&spr=https",
    f"https://b.s3.amazonaws.com/k?X-Amz-Signature={SECRET}",
    f"https://b.s3.amazonaws.com/k?X-Amz-Credential={SECRET}&X-Amz-Date=1",
    f"https://b.s3.amazonaws.com/k?x-amz-security-token={SECRET}",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
    f"Endpoint=sb://x/;SharedAccessKey={SECRET}",
    f"https://h/x?token={SECRET}",
    f"https://h/x?access_token={SECRET}",
    f"https://h/x?a=b&password={SECRET}#f",
    f"jdbc:postgresql://h/db?user=u&password={SECRET}",
    f"sc://host:443/;token={SECRET};user_id=u",
    f"failed with fs.s3a.secret.key={SECRET}",
    f"failed with fs.s3a.access.key={SECRET}",
    f"failed with fs.azure.account.key.a.dfs.core.windows.net={SECRET}",
    f"api_key={SECRET}",
    f"SIG={SECRET}",
    f"unrecognized arguments: --storage-options=secret_key={SECRET}",
    f"got {{'location': 'x', 'secret_key': '{SECRET}'}}",
    f'{{"password" : "{SECRET}", "b": 1}}',
    f"got {{'token': '{SECRET} and more \\' of it'}}",
    f"Authorization: Bearer {SECRET}",
    f"https://{SECRET}@host/x",
    f"s3a://{SECRET}@bucket/x",
    f"jdbc:postgresql:/user:{SECRET}@host/x",
    f"file:/images%3Fsig={SECRET}&x=1/1.parquet",
    f"https://h/x%3Fa%3Db%26sig%3D{SECRET}",
    f"file:/images%3Ftoken={SECRET}/1.parquet",
]


@pytest.mark.parametrize("text", SECRETS)
def test_g16_a_secret_is_hidden(text):
    found = redact(text)
    assert "s3cr3t" not in found
    assert "Value==" not in found
    assert "***" in found


@pytest.mark.parametrize("text", SECRETS)
def test_g16_a_secret_is_hidden_inside_a_sentence_and_in_quotes(text):
    found = redact(f"TableNotFoundError: image table '{text}' does not exist\nat {text}, in x")
    assert "s3cr3t" not in found
    assert found.startswith("TableNotFoundError: image table '")
    assert found.endswith(" in x")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_as_it_is(text):
    assert redact(text) == text


def test_what_stands_around_a_secret_stays():
    assert redact("s3a://user:pw@bucket/dt=2026-01-01/x") == "s3a://***@bucket/dt=2026-01-01/x"
    assert redact("https://h/x?a=1&sig=abc&b=2") == "https://h/x?a=1&sig=***&b=2"


def test_redacting_twice_changes_nothing_more():
    for text in SECRETS:
        assert redact(redact(text)) == redact(text)


def test_nested_values_are_redacted_and_others_kept():
    value = {"a": ["s3a://u:p@b/x", ("x?sig=abc", 1)], "b": None, "c": 1.5, "d": True}
    assert redact_all(value) == {
        "a": ["s3a://***@b/x", ["x?sig=***", 1]],
        "b": None,
        "c": 1.5,
        "d": True,
    }


def test_g16_a_report_hides_secrets_in_locations_and_in_the_error():
    report = Report()
    report.describe(
        Settings(
            images="s3a://u:s3cr3t@b/images",
            duplicate_ids=(DuplicateIds("https://h/list?sig=s3cr3t"),),
            output="wasbs://c@a/out?sig=s3cr3t",
        )
    )
    report.fail(ValueError("no access to s3a://u:s3cr3t@b/images with AccountKey=s3cr3t;"))
    text = report.to_json()
    assert "s3cr3t" not in text
    assert json.loads(text)["inputs"]["images"]["location"] == "s3a://***@b/images"


def test_g16_a_report_is_one_line_without_tags_whatever_an_id_holds():
    report = Report()
    message = 'ID "a\nb\r\u2028c\u0085<script>alert(1)</script>" & \x1b[31m </SCRIPT'
    report.fail(ValueError(message))
    text = report.to_json()
    assert len(text.splitlines()) == 1
    assert "<" not in text
    assert ">" not in text
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["error"] == {"class": "ValueError", "message": message}


def test_a_saved_report_is_one_line_without_tags(tmp_path):
    report = Report()
    report.fail(ValueError("a\n<script>"))
    report.save(str(tmp_path / "deep/report.json"), None)
    text = (tmp_path / "deep/report.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    assert "<script>" not in text
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.json"]


def test_a_report_of_a_failure_without_words_still_names_it():
    report = Report()
    report.fail(KeyboardInterrupt())
    assert report.as_dict()["error"] == {
        "class": "KeyboardInterrupt",
        "message": "KeyboardInterrupt",
    }


@pytest.mark.parametrize("secret", ["https://h/x?sig=s3cr3t&b=1", "s3a://u:s3cr3t@bucket/x"])
@pytest.mark.parametrize("leading", [3_970, 3_987, 3_990, 5_000])
def test_g16_a_very_long_message_is_cut_and_still_hides_its_secret(secret, leading):
    """The cut falls before, inside and after the secret's frame."""
    report = Report()
    report.fail(ValueError("x" * leading + " " + secret + "y" * 10_000))
    message = report.as_dict()["error"]["message"]
    assert "s3c" not in message
    assert len(message) < 4_100


def test_g16_the_log_hides_secrets_in_messages_and_in_tracebacks():
    record = logging.LogRecord(
        "x", logging.ERROR, "f.py", 1, "can't read %s", ("s3a://u:s3cr3t@b/x",), None
    )
    error = ValueError("with AccountKey=s3cr3t;")
    record.exc_info = (type(error), error, None)
    text = RedactingFormatter().format(record)
    assert "s3cr3t" not in text
    assert "can't read s3a://***@b/x" in text


def test_g16_an_error_itself_holds_no_secret():
    error = TableNotFoundError("image table 's3a://user:s3cr3t@b/x?sig=s3cr3t' does not exist")
    assert str(error) == "image table 's3a://***@b/x?sig=***' does not exist"


def test_g16_the_values_of_secret_storage_options_are_hidden_wherever_they_stand():
    options = {"secret_key": "s3cr3t/with,commas", "session_token": "s3cr3t", "region": "eu"}
    assert secret_values(options) == ("s3cr3t/with,commas", "s3cr3t")
    report = Report()
    pairs = tuple(f"{key}={value}" for key, value in options.items())
    lists = (DuplicateIds("./d"),)
    settings = Settings(images="./i", duplicate_ids=lists, output="./o", storage_option=pairs)
    report.describe(settings)
    report.choose("x", "y", why="refused s3cr3t")
    report.fail(OSError("AWS refused s3cr3t/with,commas in eu"))
    assert "s3cr3t" not in report.to_json()
    assert "s3cr3t" not in repr(settings)
    assert report.as_dict()["error"]["message"] == "AWS refused *** in eu"


def test_g16_a_run_key_that_reads_like_a_secret_is_refused_and_not_shown():
    for key in ("token=s3cr3t", "https://u:s3cr3t@h/x"):
        with pytest.raises(SettingsError, match="looks like a secret") as caught:
            Settings(images="./i", duplicate_ids=(DuplicateIds("./d"),), output="./o", run_key=key)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "://" * 5_000,
        "a://" + ":" * 5_000,
        "sig" * 5_000,
        "&sig" * 5_000,
        "'" * 50_000,
        "'secret': '" + "\\" * 50_000,
        "authorization " * 5_000,
        "a:/" * 10_000,
    ],
    ids=lambda text: text[:12],
)
def test_g16_no_text_takes_long_to_redact(text):
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5


FORGED = (
    "1\x1b[31m red\x07\r\n"
    "2026-01-01 00:00:00,000 ERROR dedup_lib: forged \u202eabc\u2028d\x85e\x00\udc80"
)


def test_g16_a_log_line_cant_be_forged_nor_a_terminal_made_to_obey():
    record = logging.LogRecord("dedup_lib", logging.INFO, "f.py", 1, "no %s", (FORGED,), None)
    error = ValueError(FORGED)
    record.exc_info = (type(error), error, None)
    first, *others = RedactingFormatter().format(record).splitlines()
    assert first.endswith(r"INFO dedup_lib: no 1\x1b[31m red\x07")
    assert len(others) == 3
    assert all(line.startswith("| ") for line in others)
    assert all(line.isprintable() for line in (first, *others))
    assert others[0] == (
        r"| 2026-01-01 00:00:00,000 ERROR dedup_lib: forged \u202eabc\u2028d\x85e\x00\udc80"
    )


def test_letters_of_all_scripts_stay_in_the_log_as_they_are():
    for text in ("Bär, Ωμέγα, 画像, \U0001f4f7", "tab\there"):
        assert one_record(text) == text


def test_g16_what_pyspark_logs_by_itself_of_failed_queries_is_switched_off():
    log_to_stderr("INFO")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        assert not PySparkLogger.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_g16_the_shipped_spark_settings_hide_what_the_library_hides():
    pattern = SPARK_PATTERN.replace("\\", "\\\\")  # a properties file takes one away
    settings = (ROOT / "conf/spark/cpu.conf").read_text().splitlines()
    assert f"spark.redaction.string.regex             {pattern}" in settings
    logged = (ROOT / "conf/spark/log4j2.properties").read_text()
    assert f"%replace{{%m%n%ex}}{{{pattern}}}{{***}}\n" in logged
