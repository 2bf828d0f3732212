"""What a user can set: one frozen dataclass, read from TOML and from flags."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dedup_lib.errors import SettingsError

ImagesFormat = Literal["auto", "parquet", "delta"]
TableFormat = Literal["parquet", "delta"]
OutputMode = Literal["error", "overwrite"]
Method = Literal["rewrite", "clone", "in-place"]
Engine = Literal["auto", "arrow", "spark"]
Strategy = Literal["auto", "broadcast-ids", "row-positions"]
ListCounts = Literal["auto", "exact", "matched"]
ListKind = Literal["remove", "keep", "pairwise", "groups"]
AskedListKind = Literal["auto", "remove", "keep", "pairwise", "groups"]
OnLostKeeper = Literal["error", "keep-one", "ignore"]
Action = Literal["remove", "annotate", "extract"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True)
class DuplicateIds:
    """One removal list: where it is, and which of its columns holds the IDs.

    Attributes:
        location: A Parquet file or directory, a Delta table's path, or a catalog table name.
        id_column: The column with the IDs; None takes `Settings.duplicate_id_column`.
        kind: What its entries mean; None takes `Settings.list_kind`.
    """

    location: str
    id_column: str | None = None
    kind: AskedListKind | None = None


def _option(
    group: str,
    text: str,
    *,
    default: Any = None,
    metavar: str | None = None,
    is_secret: bool = False,
) -> Any:
    metadata = {"group": group, "help": text, "metavar": metavar}
    return field(default=default, metadata=metadata, repr=not is_secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run; each is a flag (with dashes) and a TOML key (as spelled here).

    Raises:
        SettingsError: A value is ill-typed, out of range, or contradicts another.
    """

    images: str = _option("input", "image table: a path or URI, or a catalog table name")
    images_format: ImagesFormat = _option(
        "input",
        "format of the image table; auto: Delta where there is a _delta_log, "
        "or as the catalog says",
        default="auto",
    )
    image_id_column: str = _option(
        "input", "column of the image table that holds the image IDs", default="image_id"
    )
    duplicate_ids: tuple[DuplicateIds, ...] = _option(
        "input", "removal list: a directory, a file, or a table; may be repeated", default=()
    )
    duplicate_id_column: str | None = _option(
        "input",
        "column of the removal lists that holds the image IDs (default: that of the recognised "
        "producer, else id)",
    )
    list_kind: AskedListKind = _option(
        "input",
        "what the lists' entries mean: IDs to remove; IDs to keep, where all others go; pairs with "
        "scores (NeMo Curator's pairwise results); or groups of which one stays; auto recognises "
        "each list by its columns and directory (and .npy files, which name IDs to keep)",
        default="auto",
    )
    eps: float | None = _option(
        "input",
        "pairwise lists: an image goes when its cosine_sim_score is at least 1 - EPS",
        metavar="EPS",
    )
    eps_sweep: str | None = _option(
        "input",
        "dry runs: report how many rows, and about how many bytes, each of several EPS would "
        "remove, such as 0.01,0.05,0.1; the plan is that of the largest",
        metavar="EPS,EPS,…",
    )
    keeper: str = _option(
        "input",
        "groups: which image of each stays: smallest-id, or largest:COLUMN or smallest:COLUMN of "
        "the image table, such as largest:width",
        default="smallest-id",
        metavar="RULE",
    )
    output: str | None = _option(
        "output",
        "where the deduplicated table goes; required, but for --dry-run; not with in-place",
    )
    output_format: TableFormat | None = _option(
        "output", "format of the output (default: delta for a table name or a clone, else parquet)"
    )
    output_mode: OutputMode = _option(
        "output", "what to do where the output exists", default="error"
    )
    action: Action = _option(
        "output",
        "what is written: the rows that stay; or all rows, with is_duplicate and kept_image_id as "
        "columns more; or the duplicates alone",
        default="remove",
    )
    removed_output: str | None = _option(
        "output",
        "keep the removal plan as a table: Parquet at a path, Delta for a table name; "
        "obeys --output-mode",
    )
    unmatched_output: str | None = _option(
        "output",
        "keep the listed IDs that are not in the image table, as --removed-output keeps the plan",
    )
    report: str | None = _option(
        "output",
        "write the report as JSON: without a scheme a file on the driver, else through "
        "Hadoop's file system; an older report is replaced; written on failure too",
    )
    purge: bool = _option(
        "output",
        "clone and in-place: rewrite the files that lost rows, so that no data file of the table "
        "holds them any more; the files before go with a VACUUM, which is yours to run",
        default=False,
    )
    dry_run: bool = _option(
        "safety",
        "plan and check only: no image is written; --report and --removed-output are",
        default=False,
    )
    max_removed_fraction: float = _option(
        "safety",
        "stop when the removed share of the image rows is above this",
        default=0.9,
        metavar="FRACTION",
    )
    allow_no_matches: bool = _option(
        "safety", "go on when no listed ID is in the image table", default=False
    )
    allow_empty_list: bool = _option(
        "safety", "go on when the removal lists hold no ID at all", default=False
    )
    on_lost_keeper: OnLostKeeper = _option(
        "safety",
        "what to do with images whose every keeper would go, too, where lists name keepers: stop, "
        "spare the best of each such cluster (by --keeper), or remove them all the same",
        default="error",
    )
    run_key: str | None = _option(
        "safety",
        "the same key again is the same run: it is not applied twice",
        metavar="KEY",
    )
    enable_deletion_vectors: bool = _option(
        "safety",
        "in-place: switch the table's deletion vectors on where they are off; this raises its "
        "protocol, so that old readers can't read it any more",
        default=False,
    )
    method: Method = _option(
        "tuning",
        "how rows are removed: new files hold the kept rows; a Delta clone shares the files and "
        "hides the rows; or they are hidden in the Delta image table itself",
        default="rewrite",
    )
    engine: Engine = _option(
        "tuning",
        "what moves the bytes in a rewrite: arrow (Parquet to Parquet, file by file, by pyarrow on "
        "the executors) or spark; auto: arrow where it can run",
        default="auto",
    )
    strategy: Strategy = _option(
        "tuning", "how the spark engine finds the rows; auto chooses by size", default="auto"
    )
    target_file_size: str | None = _option(
        "tuning",
        "what an output file of the spark engine should weigh, such as 512MB (default: 256MB, "
        "less where there would be fewer files than cores); arrow keeps the files as they are",
        metavar="SIZE",
    )
    list_counts: ListCounts = _option(
        "tuning",
        "distinct and unmatched counts of the list: exact costs a pass over it; "
        "auto: exact up to 5 million entries",
        default="auto",
    )
    storage_option: tuple[str, ...] = _option(
        "tuning",
        "for the arrow engine: an argument of pyarrow's file system for the images' store, such as "
        "region=eu-west-1; may be repeated",
        default=(),
        metavar="KEY=VALUE",
        is_secret=True,
    )
    work_location: str | None = _option(
        "tuning", "where the plan and staged files go (default: a hidden sibling of the output)"
    )
    log_level: LogLevel = _option(
        "tuning", "how much the command line logs to stderr", default="INFO"
    )

    def __post_init__(self) -> None:
        if self.images is None:
            raise SettingsError("no image table given: --images is required.")
        for item in dataclasses.fields(self):
            check_type(item.name, getattr(self, item.name))
        _check_values(self)

    @property
    def resolved_output_format(self) -> TableFormat:
        """The format of the output, with the default worked out."""
        if self.output_format is not None:
            return self.output_format
        to_table = self.output is not None and not is_path(self.output)
        return "delta" if to_table or self.method != "rewrite" else "parquet"

    @property
    def eps_values(self) -> tuple[float, ...]:
        """The values of --eps-sweep, in their order; none where it is not given."""
        return () if self.eps_sweep is None else _eps_values_of(self.eps_sweep)

    @property
    def planned_eps(self) -> float | None:
        """What the plan takes from pairs: --eps, or the largest of a sweep."""
        return max(self.eps_values, default=self.eps)

    @property
    def record_locations(self) -> dict[str, str]:
        """Where what a run keeps beside its output goes, by setting: those that are given."""
        named = {name: getattr(self, name) for name in ("removed_output", "unmatched_output")}
        return {name: location for name, location in named.items() if location is not None}

    @property
    def keeper_rule(self) -> KeeperRule:
        """Which image of a group stays."""
        return _keeper_rule_of(self.keeper)

    @property
    def target_file_bytes(self) -> int | None:
        """The target file size in bytes."""
        return None if self.target_file_size is None else _bytes_of(self.target_file_size)

    @property
    def storage_options(self) -> dict[str, str]:
        """The storage options by key."""
        pairs = (option.partition("=") for option in self.storage_option)
        return {key: value for key, _, value in pairs}


@dataclass(frozen=True)
class KeeperRule:
    """Which image of a group stays.

    Attributes:
        column: The column of the image table to go by; None for the ID itself.
        is_largest: Whether the largest value stays; NULL never does where there is another.
            Of equal ones the smallest ID stays.
    """

    column: str | None
    is_largest: bool


def _keeper_rule_of(text: str) -> KeeperRule:
    if text == "smallest-id":
        return KeeperRule(None, is_largest=False)
    order, _, column = text.partition(":")
    if order not in ("largest", "smallest") or not column:
        raise SettingsError(
            f"--keeper must be smallest-id, largest:COLUMN or smallest:COLUMN (got {text!r})."
        )
    return KeeperRule(column, is_largest=order == "largest")


def _eps_values_of(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            "--eps-sweep must be numbers with commas between them, such as 0.01,0.05 "
            f"(got {text!r})."
        ) from error


def is_path(location: str) -> bool:
    """Tell a path or URI (it has a slash or a scheme) from a catalog table name."""
    return "/" in location or has_scheme(location)


def has_scheme(location: str) -> bool:
    """Tell a URI with a scheme from a plain path or name."""
    scheme, colon, _ = location.partition(":")
    return bool(colon) and scheme.replace("+", "").isalnum()


def check_type(name: str, value: Any) -> None:
    """Check that a value is of the type that its setting has.

    Raises:
        SettingsError: It isn't.
    """
    hint = typing.get_type_hints(Settings)[name]
    if name == "duplicate_ids":
        if not isinstance(value, tuple) or not all(isinstance(v, DuplicateIds) for v in value):
            raise SettingsError(f"{name} must be a tuple of DuplicateIds (got {value!r}).")
        for item in value:
            if item.kind is not None and not _fits(item.kind, AskedListKind):
                kinds = _described((AskedListKind,))
                raise SettingsError(f"{name}: kind must be {kinds} (got {item.kind!r}).")
        return
    if name == "storage_option":
        _check_storage_option(value)
        return
    members = alternatives(hint)
    if not any(_fits(value, member) for member in members):
        raise SettingsError(f"{name} must be {_described(members)} (got {value!r}).")


def _check_storage_option(value: Any) -> None:
    """Check the form only, and show no value: it may be a secret."""
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise SettingsError("storage_option must be a list of KEY=VALUE.")
    for item in value:
        if not re.fullmatch(r"[a-z_]+=.*", item, flags=re.DOTALL):
            raise SettingsError(
                "--storage-option must be KEY=VALUE, where KEY is an argument of pyarrow's file "
                "system, in lower case."
            )


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union of types, or the one type."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _fits(value: Any, member: Any) -> bool:
    if typing.get_origin(member) is Literal:
        return isinstance(value, str) and value in typing.get_args(member)
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, member)


def _described(members: tuple[Any, ...]) -> str:
    words = {str: "a string", bool: "true or false", float: "a number"}
    described = []
    for member in members:
        if typing.get_origin(member) is Literal:
            described.append("one of " + ", ".join(typing.get_args(member)))
        elif member is not type(None):
            described.append(words[member])
    return " or ".join(described)


def _check_values(settings: Settings) -> None:
    if not settings.duplicate_ids:
        raise SettingsError("no removal list given: --duplicate-ids is required.")
    if not 0 <= settings.max_removed_fraction <= 1:
        raise SettingsError(
            f"--max-removed-fraction must be from 0 to 1 (got {settings.max_removed_fraction})."
        )
    _check_eps(settings)
    _keeper_rule_of(settings.keeper)
    _check_method(settings)
    if settings.output is None and not settings.dry_run and settings.method != "in-place":
        raise SettingsError("--output is required (but for --dry-run and --method in-place).")
    to_table = settings.output is not None and not is_path(settings.output)
    if to_table and settings.resolved_output_format == "parquet":
        raise SettingsError(
            f"--output {settings.output!r} is a table name, which can't be "
            "--output-format parquet: use delta, or give a path with a slash."
        )
    for name in ("images", "output", "removed_output", "unmatched_output", "work_location"):
        _check_location(name, getattr(settings, name))
    for item in settings.duplicate_ids:
        _check_location("duplicate_ids", item.location)
    if settings.work_location is not None and not is_path(settings.work_location):
        raise SettingsError(
            f"--work-location must be a path (got {settings.work_location!r}): "
            f"write './{settings.work_location}'."
        )


def _check_eps(settings: Settings) -> None:
    for flag, values in (("--eps", (settings.eps,)), ("--eps-sweep", settings.eps_values)):
        for value in values:
            if value is not None and not 0 <= value <= 2:
                raise SettingsError(f"{flag} must be from 0 to 2 (got {value}).")
    if settings.eps_sweep is not None and settings.eps is not None:
        raise SettingsError("--eps-sweep takes the place of --eps: leave one of the two out.")
    if settings.eps_sweep is not None and not settings.dry_run:
        raise SettingsError(
            "--eps-sweep is for choosing: add --dry-run, and then run with the --eps you chose."
        )


def _check_method(settings: Settings) -> None:
    """Refuse settings that contradict the method."""
    method = settings.method
    if method == "in-place" and (settings.output or settings.output_format):
        raise SettingsError(
            "--method in-place takes no --output and no --output-format: rows go from the image "
            "table itself. Leave them out, or use --method clone."
        )
    if method == "clone" and settings.output_mode == "overwrite":
        raise SettingsError(
            "--method clone can't replace a table (--output-mode overwrite): Delta clones into a "
            "new place only. Choose another output, or use --method rewrite."
        )
    if method == "clone" and settings.output_format == "parquet":
        raise SettingsError(
            "--method clone makes a Delta table, not --output-format parquet: leave the format "
            "out, or use --method rewrite."
        )
    if method != "rewrite" and settings.action != "remove":
        raise SettingsError(
            f"--action {settings.action} is for --method rewrite: {method} only removes."
        )
    if method == "rewrite" and settings.purge:
        raise SettingsError(
            "--purge is for --method clone and in-place: a rewrite leaves no removed row behind."
        )
    if method != "in-place" and settings.enable_deletion_vectors:
        raise SettingsError("--enable-deletion-vectors is for --method in-place.")
    _check_engine(settings)
    tuned = settings.strategy != "auto" or settings.engine != "auto"
    if method != "rewrite" and (tuned or settings.target_file_size is not None):
        raise SettingsError(
            "--strategy and --engine are for --method rewrite, and so is --target-file-size: "
            f"{method} moves no image."
        )


def _bytes_of(size: str) -> int:
    found = re.fullmatch(r"([1-9]\d*) ?([KMG]?)B?", size.strip().upper())
    if found is None:
        raise SettingsError(
            "--target-file-size must be a number of bytes, KB, MB or GB, such as 512MB "
            f"(got {size!r})."
        )
    factor: int = 1024 ** " KMG".index(found[2] or " ")
    return int(found[1]) * factor


def _check_engine(settings: Settings) -> None:
    """Refuse settings that contradict the engine."""
    if settings.target_file_size is not None:
        _bytes_of(settings.target_file_size)
    if settings.engine == "arrow" and settings.strategy != "auto":
        raise SettingsError(
            "--strategy is for --engine spark: arrow finds rows by position. Leave one out."
        )
    if settings.action == "annotate" and settings.strategy == "row-positions":
        raise SettingsError(
            "--strategy row-positions knows no kept_image_id: leave it out for --action annotate."
        )
    if settings.engine == "arrow" and settings.resolved_output_format == "delta":
        raise SettingsError("--engine arrow writes Parquet, not Delta: leave one of the two out.")
    if settings.engine == "arrow" and settings.target_file_size is not None:
        raise SettingsError(
            "--target-file-size is for --engine spark: arrow writes a file for each of the input's."
        )
    if settings.engine == "spark" and settings.storage_option:
        raise SettingsError(
            "--storage-option is for --engine arrow: spark reads by its own settings."
        )


def _check_location(name: str, location: str | None) -> None:
    if location is None:
        return
    flag = "--" + name.replace("_", "-")
    if not location.strip():
        raise SettingsError(f"{flag} is empty.")
    if location.lower().startswith(("delta.`", "parquet.`")):
        raise SettingsError(
            f"{flag} {location!r} is SQL: give the path itself, without {location[:6]}…."
        )
    if is_path(location):
        return
    if location.lower().endswith(".parquet") or Path(location).exists():
        raise SettingsError(
            f"{flag} {location!r} reads as a table name, since it has no slash: "
            f"write './{location}' for the file."
        )
