"""What people and programs outside rely on: names, flags, report keys, exit codes."""

import ast
import inspect
import re
import tomllib

import pytest

import dedup_lib
from dedup_lib import cli, errors
from dedup_lib.report import Report
from dedup_lib.settings import DuplicateIds, Settings
from dedup_lib.settings.toml_file import load_toml
from tests.support.documents import documents_text
from tests.support.paths import ROOT

FLAGS = {
    "--images", "--images-format", "--image-id-column", "--image-id-from", "--duplicate-ids",
    "--duplicate-id-column", "--output", "--output-format", "--output-mode", "--method",
    "--engine", "--strategy", "--list-counts", "--dry-run", "--max-removed-fraction",
    "--allow-no-matches", "--allow-empty-list", "--removed-output", "--report",
    "--work-location", "--run-key", "--config", "--log-level", "--version", "--help",
    "--purge", "--enable-deletion-vectors", "--storage-option",
    "--target-file-size", "--list-kind", "--eps", "--eps-sweep", "--keeper", "--on-lost-keeper",
    "--action", "--unmatched-output", "--metrics-output", "--lineage-config", "--since-last-run",
    "--require-gpu", "--protect-ids", "--protect-where", "--apply-plan", "--review",
    "--review-samples", "--group-column", "--keeper-column", "--partner-column", "--score-column",
    "--score-means", "--max-distance", "--shard-size", "--samples-per-shard",
}  # fmt: skip
CHOICES = {
    "--images-format": ("auto", "parquet", "delta", "iceberg", "webdataset"),
    "--output-format": ("parquet", "delta", "iceberg", "webdataset"),
    "--output-mode": ("error", "overwrite"),
    "--method": ("rewrite", "clone", "in-place"),
    "--engine": ("auto", "arrow", "spark"),
    "--strategy": ("auto", "broadcast-ids", "row-positions"),
    "--list-counts": ("auto", "exact", "matched"),
    "--score-means": ("similarity", "distance"),
    "--list-kind": ("auto", "remove", "keep", "pairwise", "groups"),
    "--action": ("remove", "annotate", "extract"),
    "--on-lost-keeper": ("error", "keep-one", "ignore"),
}


def test_the_public_names_are_these():
    assert set(dedup_lib.__all__) == {
        "DuplicateIds", "Report", "Settings", "__version__", "errors", "plan_removal",
        "remove_duplicates", "run",
    }  # fmt: skip
    assert all(hasattr(dedup_lib, name) for name in dedup_lib.__all__)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            dedup_lib.remove_duplicates,
            "images duplicate_ids / image_id_column duplicate_id_column",
        ),
        (dedup_lib.plan_removal, "images duplicate_ids / image_id_column duplicate_id_column"),
        (dedup_lib.run, "spark settings / report"),
    ],
)
def test_the_parameters_of_public_functions_keep_their_order(function, names):
    positional, keywords = (part.split() for part in names.split("/"))
    parameters = inspect.signature(function).parameters.values()
    assert [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD] == positional
    assert [p.name for p in parameters if p.kind == p.KEYWORD_ONLY] == keywords


def test_the_flags_and_their_choices_are_these():
    actions = [action for action in cli._parser()._actions if action.option_strings]
    by_flag = {action.option_strings[0]: action for action in actions}
    assert set(by_flag) == FLAGS
    for flag, choices in CHOICES.items():
        assert tuple(by_flag[flag].choices) == choices
    assert all(action.help for action in actions)


def test_the_defaults_are_these():
    settings = Settings(images="./i", duplicate_ids=(DuplicateIds("./d"),), output="./o")
    assert (settings.image_id_column, settings.duplicate_id_column) == ("image_id", None)
    assert (settings.output_mode, settings.max_removed_fraction) == ("error", 0.9)
    assert settings.resolved_output_format == "parquet"
    assert not any((settings.dry_run, settings.allow_no_matches, settings.allow_empty_list))


def test_the_keys_of_the_report_are_these():
    report = Report().as_dict()
    assert set(report) >= {
        "status", "method", "engine", "strategy", "error", "counts", "bytes", "seconds",
        "total_seconds", "inputs", "output", "versions", "run_key",
    }  # fmt: skip
    assert set(report["counts"]) >= {
        "input_rows", "kept_rows", "removed_rows", "null_id_rows", "list_rows", "list_null_ids",
        "list_distinct_ids", "list_matched_ids", "list_unmatched_ids",
    }  # fmt: skip
    assert set(report["bytes"]) == {"input", "output"}
    assert set(report["versions"]) >= {"python", "pyspark", "delta", "dedup_lib"}


def test_the_exit_codes_are_these():
    codes = {
        errors.DedupError: 1,
        errors.UsageError: 2,
        errors.InputError: 3,
        errors.SafetyLimitError: 4,
        errors.PublishError: 5,
    }
    assert {kind: kind.exit_code for kind in codes} == codes


def test_g14_only_four_modules_touch_what_spark_connect_lacks():
    banned = {"_jvm", "_jdf", "_jsc", "_jsparkSession", "sparkContext", "rdd", "SparkContext"}
    for path in sorted((ROOT / "dedup_lib").rglob("*.py")):
        if path.name in {
            "hadoop_footers.py",
            "hadoop_storage.py",
            "gpu_plans.py",
            "spark_session.py",
        }:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
            assert name not in banned, f"{path.name}:{getattr(node, 'lineno', 0)}: {name}"


def test_library_code_makes_no_session_but_for_the_command_line():
    makers = {"getOrCreate", "builder", "stop", "newSession"}
    for path in sorted((ROOT / "dedup_lib").rglob("*.py")):
        if path.name != "start.py":
            nodes = ast.walk(ast.parse(path.read_text()))
            used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            assert not used & makers, path.name


def test_g17_nothing_in_the_project_names_a_registry_or_a_path_of_some_machine():
    files = [
        *ROOT.glob("*.lock"),
        *ROOT.glob("tests/benchmarks/*.lock"),
        *ROOT.glob(".ci/*.*"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("*.toml"),
        *(path for path in ROOT.glob("conf/**/*.*") if path.suffix != ".pyc"),
        *ROOT.glob("dedup_lib/**/*.py"),
    ]
    for path in files:
        assert not re.search(r"https?://|index-url|/(home|root)/", path.read_text()), path.name


def test_the_example_job_file_holds_settings():
    Settings(**load_toml(str(ROOT / "conf/remove_duplicates.toml")))


def test_the_locked_versions_are_the_ones_the_docs_name():
    lock = (ROOT / "requirements.lock").read_text()
    for name, version in (("pyspark", "4.0.4"), ("delta-spark", "4.4.0")):
        assert f"{name}=={version} " in lock
        assert version in documents_text()
    assert all("--hash=sha256:" in part for part in re.split(r"^(?=\w)", lock, flags=re.M)[1:])


def test_the_libraries_that_a_run_needs_are_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []
    assert project["optional-dependencies"]["spark"] == ["pyspark>=4.0.0,<4.3"]
    assert project["optional-dependencies"]["delta"] == ["delta-spark>=4.0.1"]
