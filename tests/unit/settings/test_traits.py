"""Table formats as data: a registered format is checked like those that come along."""

import pytest

from dedup_lib import cli
from dedup_lib.errors import SettingsError
from dedup_lib.settings import traits
from dedup_lib.settings.traits import FormatTraits, register_format
from tests.support.made_settings import settings

FOLDER = FormatTraits(
    name="folder",
    title="image folder",
    methods=frozenset({"rewrite"}),
    engines=frozenset({"arrow"}),
)


@pytest.fixture(autouse=True)
def own_formats(monkeypatch):
    """Formats that are registered in a test are gone after it."""
    monkeypatch.setattr(traits, "_formats", dict(traits._formats))


def register(**changes):
    register_format(FormatTraits(**{**vars(FOLDER), **changes}))


def test_an_unknown_format_is_refused_and_a_registered_one_is_taken():
    for name in ("images_format", "output_format"):
        with pytest.raises(SettingsError, match=f"^{name} must be one of .*got 'folder'"):
            settings(**{name: "folder"})
    register()
    found = settings(images_format="folder", output_format="folder")
    assert (found.images_format, found.resolved_output_format) == ("folder", "folder")


def test_help_flags_and_messages_list_a_registered_format(capsys):
    register()
    with pytest.raises(SystemExit):
        cli.parse(["--help"])
    text = capsys.readouterr().out
    assert "--images-format {auto,parquet,delta,iceberg,webdataset,folder}" in text
    assert "--output-format {parquet,delta,iceberg,webdataset,folder}" in text
    given = ["--images", "a/i", "--duplicate-ids", "a/d", "--output", "a/o"]
    assert cli.parse([*given, "--output-format", "folder"]).output_format == "folder"
    with pytest.raises(
        SettingsError, match="one of auto, parquet, delta, iceberg, webdataset, folder"
    ):
        settings(images_format="tar")


def test_a_format_that_no_method_can_make_a_table_of_is_no_choice_for_the_output():
    register(methods=frozenset({"in-place"}))
    assert settings(images_format="folder").images_format == "folder"
    with pytest.raises(
        SettingsError, match="output_format must be one of parquet, delta, iceberg, webdataset "
    ):
        settings(output_format="folder")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"output": "db.t"}, "--output-format folder: use delta or iceberg, or give a path"),
        ({"engine": "spark"}, "--engine spark writes Parquet, Delta and Iceberg, not image folder"),
        (
            {"since_last_run": True},
            "output that is image folder: use --output-format delta or iceberg,",
        ),
        (
            {"method": "clone"},
            "a Delta or Iceberg table, not --output-format folder: .* --method rewrite",
        ),
    ],
)
def test_what_a_format_can_t_do_is_refused(given, words):
    register()
    assert settings(output_format="folder", engine="arrow")
    with pytest.raises(SettingsError, match=words):
        settings(output_format="folder", **given)


@pytest.mark.parametrize(
    ("able", "given"),
    [
        ({"takes_names": True}, {"output": "db.t"}),
        ({"engines": frozenset({"spark"})}, {"engine": "spark"}),
        ({"can_follow_last_run": True}, {"since_last_run": True}),
        ({"methods": frozenset({"rewrite", "clone"})}, {"method": "clone"}),
    ],
)
def test_what_a_format_can_do_is_taken(able, given):
    register(**able)
    found = settings(output_format="folder", **given)
    assert found.resolved_output_format == "folder"


def test_formats_that_can_do_the_same_are_both_named():
    register(takes_names=True, can_follow_last_run=True, methods=frozenset({"rewrite", "clone"}))
    with pytest.raises(SettingsError, match="use delta, iceberg or folder, or give a path"):
        settings(output="db.t", output_format="parquet")
    with pytest.raises(SettingsError, match="use --output-format delta, iceberg or folder"):
        settings(output_format="parquet", since_last_run=True)
    with pytest.raises(SettingsError, match="makes a Delta, Iceberg or image folder table"):
        settings(output_format="parquet", method="clone")


@pytest.mark.parametrize("name", ["auto", "parquet", "delta"])
def test_a_name_means_one_format(name):
    register()
    register()
    with pytest.raises(ValueError, match=f"'{name}' is registered already"):
        register(name=name)


@pytest.mark.parametrize(
    ("location", "expected"), [(None, "parquet"), ("a/b", "parquet"), ("db.t", "delta")]
)
def test_a_location_chooses_the_format_of_what_is_written_there(location, expected):
    assert traits.choose_format(location) == expected
