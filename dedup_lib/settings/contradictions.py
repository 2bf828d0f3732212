"""Contradictions between settings, each of which is well by itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dedup_lib.errors import SettingsError
from dedup_lib.locations import is_path


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Those settings that can contradict each other, under their names in `Settings`."""

    apply_plan: str | None
    duplicate_ids: tuple[object, ...]
    protect_ids: tuple[str, ...]
    duplicate_id_column: str | None
    list_kind: str
    keeper: str
    on_lost_keeper: str
    eps: float | None
    eps_sweep: str | None
    dry_run: bool
    output: str | None
    output_format: str | None
    resolved_output_format: str
    output_mode: str
    since_last_run: bool
    removed_output: str | None
    unmatched_output: str | None
    review: str | None
    action: str
    purge: bool
    enable_deletion_vectors: bool
    method: str
    engine: str
    strategy: str
    target_file_size: str | None
    require_gpu: bool
    storage_option: tuple[str, ...]

    @classmethod
    def of(cls, settings: object) -> Combination:
        """Take them from what has them as attributes, and more."""
        return cls(**{item.name: getattr(settings, item.name) for item in fields(cls)})


def check_combination(settings: Combination) -> None:
    """Refuse settings that contradict each other.

    Raises:
        SettingsError: Two do; both are named.
    """
    _check_apply_plan(settings)
    _check_eps(settings)
    _check_clone_and_in_place(settings)
    _check_what_a_method_has(settings)
    _check_engine(settings)
    _check_what_only_a_rewrite_has(settings)
    _check_output(settings)
    if settings.require_gpu:
        _check_require_gpu(settings)
    if settings.since_last_run:
        _check_since_last_run(settings)


def _check_apply_plan(settings: Combination) -> None:
    """Refuse what makes a plan, where one is given."""
    if settings.apply_plan is None:
        return
    given = {
        "--duplicate-ids": settings.duplicate_ids,
        "--protect-ids": settings.protect_ids,
        "--duplicate-id-column": settings.duplicate_id_column,
        "--list-kind": settings.list_kind != "auto",
        "--eps": settings.eps is not None,
        "--eps-sweep": settings.eps_sweep,
        "--keeper": settings.keeper != "smallest-id",
        "--on-lost-keeper": settings.on_lost_keeper != "error",
        "--unmatched-output": settings.unmatched_output,
        "--since-last-run": settings.since_last_run,
    }
    if flags := [flag for flag, is_given in given.items() if is_given]:
        raise SettingsError(
            f"--apply-plan takes the plan as it was made, and can't be had with {flags[0]}: leave "
            "one of the two out, or make another plan (--dry-run --removed-output …)."
        )


def _check_eps(settings: Combination) -> None:
    if settings.eps_sweep is None:
        return
    if settings.eps is not None:
        raise SettingsError("--eps-sweep takes the place of --eps: leave one of the two out.")
    if not settings.dry_run:
        raise SettingsError(
            "--eps-sweep is for choosing: add --dry-run, and then run with the --eps you chose."
        )


def _check_clone_and_in_place(settings: Combination) -> None:
    """Refuse an output that the method can't have."""
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


def _check_what_a_method_has(settings: Combination) -> None:
    """Refuse what the method can't do."""
    method = settings.method
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


def _check_engine(settings: Combination) -> None:
    """Refuse settings that contradict the engine or its strategy."""
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


def _check_what_only_a_rewrite_has(settings: Combination) -> None:
    tuned = settings.strategy != "auto" or settings.engine != "auto"
    if settings.method != "rewrite" and (tuned or settings.target_file_size is not None):
        raise SettingsError(
            "--strategy and --engine are for --method rewrite, and so is --target-file-size: "
            f"{settings.method} moves no image."
        )


def _check_require_gpu(settings: Combination) -> None:
    """Refuse what no GPU does."""
    flag = "--require-gpu"
    if settings.method != "rewrite":
        raise SettingsError(
            f"{flag} is for --method rewrite: {settings.method} moves no image, and Delta writes "
            "deletion vectors on the CPU."
        )
    if settings.engine == "arrow":
        raise SettingsError(f"{flag} is for --engine spark: arrow runs on the CPU. Leave one out.")
    if settings.strategy == "row-positions":
        raise SettingsError(
            f"{flag} can't be had with --strategy row-positions, which reads `_metadata` and so "
            "takes the whole scan to the CPU. Leave one out."
        )
    if settings.since_last_run:
        raise SettingsError(
            f"{flag} can't be had with --since-last-run, which deletes by deletion vectors: these "
            "are the CPU's. Leave one out."
        )


def _check_output(settings: Combination) -> None:
    if settings.output is None and not settings.dry_run and settings.method != "in-place":
        raise SettingsError("--output is required (but for --dry-run and --method in-place).")
    to_table = settings.output is not None and not is_path(settings.output)
    if to_table and settings.resolved_output_format == "parquet":
        raise SettingsError(
            f"--output {settings.output!r} is a table name, which can't be "
            "--output-format parquet: use delta, or give a path with a slash."
        )


def _check_since_last_run(settings: Combination) -> None:
    """Refuse what has no meaning for runs that do only what is new."""
    flag = "--since-last-run"
    if settings.method != "rewrite" or settings.action != "remove":
        raise SettingsError(f"{flag} is for --method rewrite and --action remove.")
    if settings.output is None:
        raise SettingsError(f"{flag} needs --output, which says how far the last run came.")
    if settings.resolved_output_format != "delta":
        raise SettingsError(
            f"{flag} needs an output that takes rows and gives them up in commits: use "
            "--output-format delta."
        )
    if settings.eps_sweep is not None:
        raise SettingsError(f"--eps-sweep is for choosing: leave {flag} out.")
    if settings.removed_output or settings.unmatched_output:
        raise SettingsError(
            f"--removed-output and --unmatched-output are kept by full runs: leave {flag} out."
        )
    if settings.review is not None:
        raise SettingsError(f"--review shows the plan of a full run: leave {flag} out.")
