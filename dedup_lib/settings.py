"""What a user can set: one frozen dataclass, read from TOML and from flags."""

from __future__ import annotations

import typing
from dataclasses import dataclass, fields
from typing import Any, Literal

from dedup_lib.errors import SettingsError
from dedup_lib.locations import check_location, is_path
from dedup_lib.setting_contradictions import Combination, check_combination
from dedup_lib.setting_options import option
from dedup_lib.setting_types import check_storage_option, check_value
from dedup_lib.setting_values import (
    KeeperRule,
    bytes_of,
    check_count,
    check_range,
    check_run_key,
    eps_values_of,
    keeper_rule_of,
    key_values_of,
)

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
        location: A directory, a file (Parquet, or DataComp's .npy), or a table's path or name.
        id_column: The column with the IDs; None takes `Settings.duplicate_id_column`.
        kind: What its entries mean; None takes `Settings.list_kind`.
    """

    location: str
    id_column: str | None = None
    kind: AskedListKind | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run; each is a flag (with dashes) and a TOML key (as spelled here).

    Raises:
        SettingsError: A value is ill-typed, out of range, or contradicts another.
    """

    images: str = option("input", "image table: a path or URI, or a catalog table name")
    images_format: ImagesFormat = option(
        "input",
        "format of the image table; auto: Delta where there is a _delta_log, "
        "or as the catalog says",
        default="auto",
    )
    image_id_column: str = option(
        "input", "column of the image table that holds the image IDs", default="image_id"
    )
    duplicate_ids: tuple[DuplicateIds, ...] = option(
        "input",
        "removal list: a directory, a file (Parquet, or DataComp's .npy), or a table; may be "
        "repeated",
        default=(),
    )
    duplicate_id_column: str | None = option(
        "input",
        "column of the removal lists that holds the image IDs (default: that of the recognised "
        "producer, else id)",
    )
    list_kind: AskedListKind = option(
        "input",
        "what the lists' entries mean: IDs to remove; IDs to keep, where all others go; pairs with "
        "scores (NeMo Curator's pairwise results); or groups of which one stays; auto recognises "
        "each list by its columns and directory (and .npy files, which name IDs to keep), and "
        "refuses what may mean several things, such as IDs beside a column cluster_id",
        default="auto",
    )
    eps: float | None = option(
        "input",
        "pairwise lists: an image goes when its cosine_sim_score is at least 1 - EPS",
        metavar="EPS",
    )
    eps_sweep: str | None = option(
        "input",
        "dry runs: report how many rows, and about how many bytes, each of several EPS would "
        "remove, such as 0.01,0.05,0.1; the plan is that of the largest",
        metavar="EPS,EPS,…",
    )
    keeper: str = option(
        "input",
        "groups: which image of each stays: smallest-id, or largest:COLUMN or smallest:COLUMN of "
        "the image table, such as largest:width",
        default="smallest-id",
        metavar="RULE",
    )
    protect_ids: tuple[str, ...] = option(
        "input",
        "IDs that stay, whatever the lists say: marks saved from a review page (.jsonl or .csv), "
        "or what --duplicate-ids takes; may be repeated",
        default=(),
    )
    apply_plan: str | None = option(
        "input",
        "apply a plan that a dry run kept with --removed-output, in place of removal lists, if the "
        "image table is still what it was",
    )
    output: str | None = option(
        "output",
        "where the deduplicated table goes; required, but for --dry-run; not with in-place",
    )
    output_format: TableFormat | None = option(
        "output", "format of the output (default: delta for a table name or a clone, else parquet)"
    )
    output_mode: OutputMode = option(
        "output", "what to do where the output exists", default="error"
    )
    action: Action = option(
        "output",
        "what is written: the rows that stay; or all rows, with is_duplicate and kept_image_id as "
        "columns more; or the duplicates alone",
        default="remove",
    )
    removed_output: str | None = option(
        "output",
        "keep the removal plan as a table: Parquet at a path, Delta for a table name; "
        "obeys --output-mode",
    )
    unmatched_output: str | None = option(
        "output",
        "keep the listed IDs that are not in the image table, as --removed-output keeps the plan",
    )
    since_last_run: bool = option(
        "output",
        "Delta output: do only what is new since the last such run: append images that came, "
        "delete those that are listed now; the first run, or --output-mode overwrite, does all",
        default=False,
    )
    report: str | None = option(
        "output",
        "write the report as JSON: without a scheme a file on the driver, else through "
        "Hadoop's file system; an older report is replaced; written on failure too",
    )
    review: str | None = option(
        "output",
        "write a page that shows the plan, before anything is removed: one HTML file with figures "
        "and pairs of pictures, the least certain first; a place as for --report; an older page is "
        "replaced; needs Jinja2 and Pillow",
    )
    review_samples: int = option(
        "output",
        "--review: how many of the images that go are shown",
        default=200,
        metavar="N",
    )
    metrics_output: str | None = option(
        "output",
        "append the run's numbers as a row to a table, on failure too: Delta for a table name, or "
        "where there is a Delta table at the path, else Parquet; no failure to do so fails the run",
    )
    lineage_config: str | None = option(
        "output",
        "tell OpenLineage of the run: a configuration of its client, in YAML, on the driver",
        metavar="FILE.yml",
    )
    purge: bool = option(
        "output",
        "clone and in-place: rewrite the files that lost rows, so that no data file of the table "
        "holds them any more; the files before go with a VACUUM, which is yours to run",
        default=False,
    )
    dry_run: bool = option(
        "safety",
        "plan and check only: no image is written; --report, --removed-output and "
        "--unmatched-output are",
        default=False,
    )
    max_removed_fraction: float = option(
        "safety",
        "stop when the removed share of the image rows is above this",
        default=0.9,
        metavar="FRACTION",
    )
    allow_no_matches: bool = option(
        "safety", "go on when no listed ID is in the image table", default=False
    )
    allow_empty_list: bool = option(
        "safety", "go on when the removal lists hold no ID at all", default=False
    )
    on_lost_keeper: OnLostKeeper = option(
        "safety",
        "what to do with images whose every keeper would go, too, where lists name keepers: stop, "
        "spare the best of each such cluster (by --keeper), or remove them all the same",
        default="error",
    )
    run_key: str | None = option(
        "safety",
        "the same key again is the same run: it is not applied twice",
        metavar="KEY",
    )
    enable_deletion_vectors: bool = option(
        "safety",
        "in-place: switch the table's deletion vectors on where they are off; this raises its "
        "protocol, so that old readers can't read it any more",
        default=False,
    )
    method: Method = option(
        "tuning",
        "how rows are removed: new files hold the kept rows; a Delta clone shares the files and "
        "hides the rows; or they are hidden in the Delta image table itself",
        default="rewrite",
    )
    engine: Engine = option(
        "tuning",
        "what moves the bytes in a rewrite: arrow (Parquet to Parquet, file by file, by pyarrow on "
        "the executors) or spark; auto: arrow where it can run",
        default="auto",
    )
    strategy: Strategy = option(
        "tuning", "how the spark engine finds the rows; auto chooses by size", default="auto"
    )
    target_file_size: str | None = option(
        "tuning",
        "what an output file of the spark engine should weigh, such as 512MB (default: 256MB, "
        "less where there would be fewer files than cores); arrow keeps the files as they are",
        metavar="SIZE",
    )
    list_counts: ListCounts = option(
        "tuning",
        "distinct and unmatched counts of the list: exact costs a pass over it; "
        "auto: exact up to 5 million entries",
        default="auto",
    )
    require_gpu: bool = option(
        "tuning",
        "rewrites: stop (exit code 2) and say what would fall back and why, rather than read "
        "and write images on the CPU where the RAPIDS Accelerator can't run it all; in a dry "
        "run the accelerator's explain-only mode will do, which needs no GPU",
        default=False,
    )
    storage_option: tuple[str, ...] = option(
        "tuning",
        "for the arrow engine: an argument of pyarrow's file system for the images' store, such as "
        "region=eu-west-1; may be repeated",
        default=(),
        metavar="KEY=VALUE",
        is_secret=True,
    )
    work_location: str | None = option(
        "tuning", "where the plan and staged files go (default: a hidden sibling of the output)"
    )
    log_level: LogLevel = option(
        "tuning", "how much the command line logs to stderr", default="INFO"
    )

    def __post_init__(self) -> None:
        if self.images is None:
            raise SettingsError("no image table given: --images is required.")
        for item in fields(self):
            check_type(item.name, getattr(self, item.name))
        _check_values(self)
        check_combination(Combination.of(self))
        _check_locations(self)

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
        return () if self.eps_sweep is None else eps_values_of(self.eps_sweep)

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
        return keeper_rule_of(self.keeper)

    @property
    def target_file_bytes(self) -> int | None:
        """The target file size in bytes."""
        return None if self.target_file_size is None else bytes_of(self.target_file_size)

    @property
    def storage_options(self) -> dict[str, str]:
        """The storage options by key."""
        return key_values_of(self.storage_option)


def check_type(name: str, value: Any) -> None:
    """Check that a value is of the type that its setting has.

    Raises:
        SettingsError: It isn't.
    """
    if name == "storage_option":
        check_storage_option(value)
        return
    check_value(name, value, typing.get_type_hints(Settings)[name])
    if name == "duplicate_ids":
        for item in value:
            check_value(f"{name}: kind", item.kind, typing.get_type_hints(DuplicateIds)["kind"])


def _check_values(settings: Settings) -> None:
    if not settings.duplicate_ids and settings.apply_plan is None:
        raise SettingsError("no removal list given: --duplicate-ids is required (or --apply-plan).")
    check_range("--max-removed-fraction", settings.max_removed_fraction, 1)
    check_range("--eps", settings.eps, 2)
    for eps in settings.eps_values:
        check_range("--eps-sweep", eps, 2)
    check_count("--review-samples", settings.review_samples, 2000)
    keeper_rule_of(settings.keeper)
    check_run_key(settings.run_key)
    if settings.target_file_size is not None:
        bytes_of(settings.target_file_size)


def _check_locations(settings: Settings) -> None:
    written = ("output", "removed_output", "unmatched_output", "metrics_output", "work_location")
    for name in ("images", "apply_plan", *written):
        check_location(name, getattr(settings, name))
    for item in settings.duplicate_ids:
        check_location("duplicate_ids", item.location)
    for location in settings.protect_ids:
        check_location("protect_ids", location)
