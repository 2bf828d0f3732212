"""Settings: what is refused, with which words, and how TOML and flags come together."""

import dataclasses
import typing

import pytest

from dedup_lib import DuplicateIds, Settings
from dedup_lib.cli import parse
from dedup_lib.errors import SettingsError
from dedup_lib.locations import is_path
from dedup_lib.settings.fields import alternatives, find_types
from dedup_lib.settings.toml_file import load_toml
from dedup_lib.settings.values import KeeperRule
from tests.support.made_settings import settings

FLAGS = ["--images", "a/images", "--duplicate-ids", "a/list", "--output", "a/out"]
LITERALS = {
    name: kind
    for name, hint in find_types(Settings).items()
    if typing.get_origin(kind := alternatives(hint)[0]) is typing.Literal
}


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "job.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_contracts_defaults_hold():
    found = settings()
    assert found.image_id_column == "image_id"
    assert found.output_mode == "error"
    assert found.method == "rewrite"
    assert (found.engine, found.strategy, found.list_counts) == ("auto", "auto", "auto")
    assert found.max_removed_fraction == 0.9
    assert not any([found.dry_run, found.allow_no_matches, found.allow_empty_list])


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"a/b.jsonl"', ("a/b.jsonl",)), ('["a/b.jsonl", "c.d"]', ("a/b.jsonl", "c.d"))],
)
def test_protected_ids_come_from_flags_and_from_toml(toml, text, expected):
    assert parse([*FLAGS, "--config", toml(f"protect_ids = {text}")]).protect_ids == expected
    flags = [part for location in expected for part in ("--protect-ids", location)]
    config = ["--config", toml('protect_ids = "other/list"')]
    assert parse([*FLAGS, *config, *flags]).protect_ids == expected
    with pytest.raises(SettingsError, match="protect_ids must be"):
        parse([*FLAGS, "--config", toml("protect_ids = [1]")])


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().output = "b/out"


@pytest.mark.parametrize(
    ("name", "choice"), [(n, c) for n, k in LITERALS.items() for c in k.__args__]
)
def test_every_choice_is_taken_by_flag_and_by_toml(toml, name, choice):
    argv = [*FLAGS, "--" + name.replace("_", "-"), choice]
    flags = FLAGS
    if name == "score_means":  # it needs a limit
        flags = [*FLAGS, "--eps", "0.1", "--max-distance", "3"]
        argv = [*flags, "--score-means", choice]
    if (name, choice) == ("method", "in-place"):  # it takes no output
        flags = FLAGS[: FLAGS.index("--output")]
        argv = [*flags, "--method", choice]
    if (name, choice) == ("output_format", "iceberg"):  # it takes no path
        with pytest.raises(SettingsError, match=r"catalog\.schema\.table"):
            parse(argv)
        flags = [*FLAGS[: FLAGS.index("--output")], "--output", "ice.db.out"]
        argv = [*flags, "--output-format", choice]
    assert getattr(parse(argv), name) == choice
    assert getattr(parse([*flags, "--config", toml(f'{name} = "{choice}"')]), name) == choice


@pytest.mark.parametrize("name", LITERALS)
@pytest.mark.parametrize("wrong", ["AUTO", "", "nothing", 1, True])
def test_every_choice_refuses_what_it_does_not_list(name, wrong):
    with pytest.raises(SettingsError, match=f"{name} must be one of .*got {wrong!r}") as caught:
        settings(**{name: wrong})
    assert all(choice in str(caught.value) for choice in LITERALS[name].__args__)


@pytest.mark.parametrize("name", LITERALS)
def test_a_flag_refuses_what_its_choices_do_not_list(name):
    flag = "--" + name.replace("_", "-")
    with pytest.raises(SettingsError, match=f"{flag}: invalid choice: 'nothing'"):
        parse([*FLAGS, flag, "nothing"])


@pytest.mark.parametrize(
    ("name", "wrong", "wanted"),
    [
        ("images", 3, "a string"),
        ("image_id_column", None, "a string"),
        ("image_id_column", ["id"], "a string"),
        ("output", 1, "a string"),
        ("report", False, "a string"),
        ("dry_run", "yes", "true or false"),
        ("dry_run", 1, "true or false"),
        ("allow_no_matches", "false", "true or false"),
        ("max_removed_fraction", "0.5", "a number"),
        ("max_removed_fraction", True, "a number"),
        ("duplicate_ids", "a/list", "a tuple of DuplicateIds"),
        ("duplicate_ids", ("a/list",), "a tuple of DuplicateIds"),
        ("duplicate_ids", [DuplicateIds("a/list")], "a tuple of DuplicateIds"),
    ],
)
def test_an_ill_typed_value_names_the_setting_what_it_must_be_and_what_came(name, wrong, wanted):
    with pytest.raises(SettingsError, match=f"^{name} must be {wanted}") as caught:
        settings(**{name: wrong})
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("fraction", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_removed_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(SettingsError, match="--max-removed-fraction must be from 0 to 1"):
        settings(max_removed_fraction=fraction)


@pytest.mark.parametrize("fraction", [0, 1, 0.0, 1.0, 0.25])
def test_a_removed_fraction_from_0_to_1_is_taken(fraction):
    assert settings(max_removed_fraction=fraction).max_removed_fraction == fraction


@pytest.mark.parametrize(
    ("missing", "flag"),
    [("images", "--images"), ("duplicate_ids", "--duplicate-ids"), ("output", "--output")],
)
def test_what_is_required_is_named(missing, flag):
    given = [
        part
        for name, value in zip(FLAGS[::2], FLAGS[1::2], strict=True)
        if name != flag
        for part in (name, value)
    ]
    with pytest.raises(SettingsError, match=f"{flag} is required"):
        parse(given)


def test_a_dry_run_needs_no_output():
    assert parse([*FLAGS[:4], "--dry-run"]).output is None


def test_a_table_name_is_delta_and_a_path_parquet_by_default():
    assert settings(output="db.out").resolved_output_format == "delta"
    assert settings(output="./out").resolved_output_format == "parquet"
    assert settings(output="s3a://b/out").resolved_output_format == "parquet"
    assert settings(output="./out", output_format="delta").resolved_output_format == "delta"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/a", True),
        ("./a", True),
        ("a/b", True),
        ("s3a://b/c", True),
        ("file:/x", True),
        ("file:x", True),
        ("a", False),
        ("main.db.images", False),
        ("`a b`.c", False),
    ],
)
def test_a_slash_or_a_scheme_makes_a_path(location, expected):
    assert is_path(location) is expected


ROLES = [
    "images",
    "output",
    "removed_output",
    "unmatched_output",
    "metrics_output",
    "duplicate_ids",
    "protect_ids",
    "apply_plan",
]


def with_location(role, location):
    several = {"duplicate_ids": (DuplicateIds(location),), "protect_ids": (location,)}
    lists = {"duplicate_ids": ()} if role == "apply_plan" else {}
    return {**lists, role: several.get(role, location)}


@pytest.mark.parametrize("role", ROLES)
def test_a_name_without_a_slash_that_is_a_file_gets_the_hint(role, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thing").mkdir()
    with pytest.raises(SettingsError, match=r"write '\./thing' for the file") as caught:
        settings(**with_location(role, "thing"))
    assert "--" + role.replace("_", "-") in str(caught.value)
    assert settings(**with_location(role, "./thing"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["ids.parquet", "IDS.PARQUET", "ids.jsonl", "ids.csv"])
def test_a_name_without_a_slash_that_ends_as_a_file_gets_the_hint(role, name):
    with pytest.raises(SettingsError, match=rf"write '\./{name}' for the file"):
        settings(**with_location(role, name))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["delta.`/data/x`", "DELTA.`s3://b/x`", "parquet.`/data/x`"])
def test_sql_that_names_a_path_is_refused(role, name):
    with pytest.raises(SettingsError, match="is SQL: give the path itself"):
        settings(**with_location(role, name))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("location", ["", " "])
def test_an_empty_location_is_refused(role, location):
    with pytest.raises(SettingsError, match=rf"--{role.replace('_', '-')} is empty"):
        settings(**with_location(role, location))


def test_a_work_location_must_be_a_path():
    with pytest.raises(SettingsError, match=r"--work-location must be a path.*'\./scratch'"):
        settings(work_location="scratch")


def test_storage_options_come_by_flag_and_by_toml_and_are_shown_nowhere(toml):
    pairs = ["access_key=k", "secret_key=a=b", "endpoint_override="]
    argv = [part for pair in pairs for part in ("--storage-option", pair)]
    by_flag = parse([*FLAGS, *argv])
    by_toml = parse([*FLAGS, "--config", toml(f"storage_option = {pairs}")])
    expected = {"access_key": "k", "secret_key": "a=b", "endpoint_override": ""}
    assert by_flag.storage_options == by_toml.storage_options == expected
    assert "a=b" not in repr(by_flag)


@pytest.mark.parametrize(
    "wrong", [("hunter2",), ("=hunter2",), ("KEY=hunter2",), "k=hunter2", (1,)]
)
def test_an_ill_formed_storage_option_is_an_error_that_does_not_show_it(wrong):
    with pytest.raises(SettingsError, match="KEY=VALUE") as caught:
        settings(storage_option=wrong)
    assert "hunter2" not in str(caught.value)


def test_toml_keys_are_the_flags_with_underscores(toml):
    path = toml(
        """
        images = "db.images"
        image_id_column = "key"
        duplicate_ids = "a/list"
        duplicate_id_column = "dup"
        output = "db.out"
        output_mode = "overwrite"
        max_removed_fraction = 1
        dry_run = true
        """
    )
    found = parse(["--config", path])
    assert found == Settings(
        images="db.images",
        image_id_column="key",
        duplicate_ids=(DuplicateIds("a/list"),),
        duplicate_id_column="dup",
        output="db.out",
        output_mode="overwrite",
        max_removed_fraction=1,
        dry_run=True,
    )


def test_flags_win_over_toml(toml):
    path = toml(
        'images = "a/old"\nduplicate_ids = ["a/x", "a/y"]\noutput = "a/old_out"\n'
        'output_mode = "overwrite"\nmax_removed_fraction = 0.5\n'
    )
    flags = ["--images", "a/new", "--duplicate-ids", "a/z", "--max-removed-fraction", "0.1"]
    found = parse(["--config", path, *flags])
    assert found.images == "a/new"
    assert found.duplicate_ids == (DuplicateIds("a/z"),)
    assert found.max_removed_fraction == 0.1
    assert (found.output, found.output_mode) == ("a/old_out", "overwrite")


def test_flags_that_are_not_given_leave_toml_alone(toml):
    path = toml('dry_run = true\nallow_empty_list = true\nimage_id_column = "key"\n')
    found = parse([*FLAGS, "--config", path])
    assert (found.dry_run, found.allow_empty_list, found.image_id_column) == (True, True, "key")


def test_several_lists_are_an_array_of_tables(toml):
    path = toml(
        '[[duplicate_ids]]\nlocation = "a/x"\nid_column = "dup"\n'
        '[[duplicate_ids]]\nlocation = "db.y"\n'
    )
    found = load_toml(path)["duplicate_ids"]
    assert found == (DuplicateIds("a/x", "dup"), DuplicateIds("db.y", None))


def test_several_lists_are_a_repeated_flag():
    found = parse([*FLAGS, "--duplicate-ids", "db.more"]).duplicate_ids
    assert found == (DuplicateIds("a/list"), DuplicateIds("db.more"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('image = "a/x"', r"unknown key 'image'\. Did you mean 'images'\?"),
        (
            'image-id-column = "x"',
            r"unknown key 'image-id-column'\. Did you mean 'image_id_column'",
        ),
        ('Output = "x"', r"unknown key 'Output'\. Did you mean 'output'\?"),
        ("zzz = 1", r"unknown key 'zzz'\.$"),
        ("[images]\nlocation = 'x'", "images must be a string"),
        ("dry_run = 1", r"dry_run must be true or false \(got 1\)"),
        ('max_removed_fraction = "0.5"', r"max_removed_fraction must be a number \(got '0.5'\)"),
        ('output_mode = "append"', "output_mode must be one of error, overwrite"),
        ("duplicate_ids = 3", r"duplicate_ids must be locations or tables .*got 3"),
        ("[[duplicate_ids]]\nplace = 'x'", "unknown key 'place'"),
        ("[[duplicate_ids]]\nlocations = 'x'", r"'locations'\. Did you mean 'location'\?"),
        ("[[duplicate_ids]]\nid_column = 'x'", "needs a location"),
        ("[[duplicate_ids]]\nlocation = 5", r"location must be a string \(got 5\)"),
        ("images = ", "is not TOML"),
    ],
)
def test_a_fault_in_the_toml_file_is_named(toml, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse([*FLAGS, "--config", toml(text)])
    assert caught.value.exit_code == 2


def test_a_toml_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"job\.toml' can't be read"):
        parse([*FLAGS, "--config", str(tmp_path / "job.toml")])
    (tmp_path / "job.toml").write_bytes(b"images = '\xff'")
    with pytest.raises(SettingsError, match="is not TOML"):
        parse([*FLAGS, "--config", str(tmp_path / "job.toml")])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("--duplicates-ids", "--duplicate-ids"),
        ("--output-fromat=delta", "--output-format"),
        ("--max_removed_fraction", "--max-removed-fraction"),
        ("--dryrun", "--dry-run"),
        ("--out", "--output"),
    ],
)
def test_a_misspelled_flag_gets_the_nearest_one(wrong, right):
    with pytest.raises(SettingsError, match=f"Did you mean '{right}'") as caught:
        parse([*FLAGS, wrong])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([*FLAGS, "stray"], "unrecognized arguments: 1 that belong to no flag"),
        ([*FLAGS, "--image-id-column"], "--image-id-column: expected one argument"),
        ([*FLAGS, "--max-removed-fraction", "half"], "--max-removed-fraction: invalid float value"),
    ],
)
def test_a_malformed_command_line_is_a_settings_error(argv, message):
    with pytest.raises(SettingsError, match=message):
        parse(argv)


def test_a_value_with_an_equals_sign_stays_whole():
    """The partition directory that splitting at = would break."""
    assert parse([*FLAGS, "--images", "a/dt=2026-01-01"]).images == "a/dt=2026-01-01"
    assert parse([*FLAGS, "--images=a/dt=2026-01-01"]).images == "a/dt=2026-01-01"


def test_every_setting_is_a_flag_in_the_grouped_help(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    places = [
        text.index(f"\n{group}:") for group in ("input", "lists", "output", "safety", "tuning")
    ]
    assert places == sorted(places)
    for item in dataclasses.fields(Settings):
        assert "--" + item.name.replace("_", "-") in text


def test_a_clone_is_delta_wherever_it_goes():
    assert settings(method="clone").resolved_output_format == "delta"
    assert settings().resolved_output_format == "parquet"


@pytest.mark.parametrize(
    ("size", "num_bytes"),
    [("1", 1), ("512MB", 512 * 1024**2), ("1 gb", 1024**3), ("4k", 4096), ("7B", 7)],
)
def test_a_size_is_read_with_its_unit(size, num_bytes):
    assert settings(target_file_size=size).target_file_bytes == num_bytes


@pytest.mark.parametrize("size", ["1 TB", "0", "", "-1MB", "big"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(SettingsError, match=r"--target-file-size must be .* such as 512MB"):
        settings(target_file_size=size)


@pytest.mark.parametrize("pairs", [0, -1, 2001])
def test_a_number_of_pairs_out_of_range_is_refused(pairs):
    assert [settings(review_samples=most).review_samples for most in (1, 2000)] == [1, 2000]
    with pytest.raises(SettingsError, match=r"--review-samples must be from 1 to 2,000 \(got"):
        settings(review_samples=pairs)


def sweep(text="0.01,0.1,0.05", **values):
    return settings(**{"eps_sweep": text, "dry_run": True, "output": None, **values})


def test_a_sweep_keeps_its_order_and_plans_its_largest_eps():
    assert sweep().eps_values == (0.01, 0.1, 0.05)
    assert sweep().planned_eps == 0.1
    assert sweep(" 0.2 ,1").eps_values == (0.2, 1.0)


def test_without_a_sweep_the_plan_takes_eps():
    assert settings(eps=0.3).planned_eps == 0.3
    assert (settings().eps_values, settings().planned_eps) == ((), None)


@pytest.mark.parametrize("text", ["", "0.1,", "0.1;0.2", "small"])
def test_a_sweep_of_what_is_no_number_is_refused(text):
    with pytest.raises(SettingsError, match="--eps-sweep must be numbers with commas") as caught:
        sweep(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0.1,2.01", "-0.1", "nan", "0.1,inf"])
def test_a_sweep_out_of_range_is_refused(text):
    with pytest.raises(SettingsError, match="--eps-sweep must be from 0 to 2"):
        sweep(text)


@pytest.mark.parametrize("eps", [-0.1, 2.1, float("nan")])
def test_an_eps_out_of_range_is_refused(eps):
    with pytest.raises(SettingsError, match="--eps must be from 0 to 2"):
        settings(eps=eps)


def test_records_that_are_asked_for_have_their_places():
    both = {"removed_output": "a/removed", "unmatched_output": "db.unmatched"}
    assert settings().record_locations == {}
    assert settings(unmatched_output="a/u").record_locations == {"unmatched_output": "a/u"}
    assert settings(**both).record_locations == both


@pytest.mark.parametrize("wrong", ["most", "largest", "largest:", "smallest-id:width"])
def test_a_keeper_that_is_no_rule_is_refused(wrong):
    with pytest.raises(SettingsError, match="--keeper must be smallest-id, largest:COLUMN"):
        settings(keeper=wrong)


def test_a_keeper_names_a_column_and_its_end():
    largest = KeeperRule("a:b", is_largest=True)
    for text, rules in {
        "smallest-id": [],
        "largest:a:b": [largest],
        "largest:a:b,smallest:c,d,smallest-id": [largest, KeeperRule("c,d", is_largest=False)],
    }.items():
        assert list(settings(keeper=text).keeper_rules) == rules


def test_the_parts_of_a_list_are_checked_like_settings():
    with pytest.raises(SettingsError, match=r"duplicate_ids: location must be a string \(got 3\)"):
        settings(duplicate_ids=(DuplicateIds(3),))


def test_a_list_of_an_unknown_kind_is_refused():
    lists = (DuplicateIds("a/list", kind="all"),)
    with pytest.raises(SettingsError, match=r"duplicate_ids: kind must be one of auto, .*'all'"):
        settings(duplicate_ids=lists)
