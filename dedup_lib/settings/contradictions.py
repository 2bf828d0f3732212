"""Settings that contradict each other, although each is valid by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dedup_lib.errors import SettingsError
from dedup_lib.locations import is_path
from dedup_lib.settings.traits import all_formats, all_methods, find_format, find_method
from dedup_lib.settings.values import RELATIONS, DuplicateIds, flag_of

if TYPE_CHECKING:
    from dedup_lib.settings.model import Settings


def check_combination(settings: Settings) -> None:
    """Refuse settings that contradict each other.

    Raises:
        SettingsError: Two settings contradict each other. The message names both.
    """
    _check_apply_plan(settings)
    _check_lists(settings)
    _check_eps(settings)
    _check_output_of_method(settings)
    _check_abilities_of_method(settings)
    _check_engine(settings)
    _check_tuning_of_method(settings)
    _check_output(settings)
    if settings.require_gpu:
        _check_require_gpu(settings)
    if settings.since_last_run:
        _check_since_last_run(settings)


def _check_apply_plan(settings: Settings) -> None:
    """Refuse settings that make a plan, if a plan is given."""
    if settings.apply_plan is None:
        return
    given = {
        "--duplicate-ids": settings.duplicate_ids,
        "--protect-ids": settings.protect_ids,
        "--protect-where": settings.protect_where is not None,
        "--duplicate-id-column": settings.duplicate_id_column,
        "--list-kind": settings.list_kind != "auto",
        "--group-column": settings.group_column,
        "--keeper-column": settings.keeper_column,
        "--partner-column": settings.partner_column,
        "--score-column": settings.score_column,
        "--score-means": settings.score_means,
        "--max-distance": settings.max_distance is not None,
        "--eps": settings.eps is not None,
        "--eps-sweep": settings.eps_sweep,
        "--keeper": settings.keeper != "smallest-id",
        "--on-lost-keeper": settings.on_lost_keeper != "error",
        "--unmatched-output": settings.unmatched_output,
        "--since-last-run": settings.since_last_run,
    }
    if flags := [flag for flag, is_given in given.items() if is_given]:
        raise SettingsError(
            f"--apply-plan applies a plan as it was made, so it can't be combined with {flags[0]}: "
            "leave one of the two out, or make another plan (--dry-run --removed-output …)."
        )


def _check_lists(settings: Settings) -> None:
    """Refuse columns of lists that contradict each other, or the kind or the limit of a list."""
    for item in settings.asked_lists:
        if len(item.relations) > 1:
            raise SettingsError(
                f"{_both(map(flag_of, item.relations))} contradict each other: a list has one of "
                "them. In TOML each list can have its own."
            )
        for name in item.relations:
            if item.kind not in ("auto", RELATIONS[name]):
                raise SettingsError(
                    f"{flag_of(name)} is for --list-kind {RELATIONS[name]}, not {item.kind}: leave "
                    "one of the two out. In TOML each list can have its own."
                )
        _check_score(item, settings.planned_eps)
    for item in settings.duplicate_ids:
        if item.score_means == "similarity" and item.max_distance is not None:
            raise SettingsError(
                "a list has score_means similarity and max_distance: similarities are limited by "
                "--eps. Leave one of the two out."
            )


def _check_score(item: DuplicateIds, eps: float | None) -> None:
    limits = {"similarity": ("--eps", eps), "distance": ("--max-distance", item.max_distance)}
    if item.score_means is not None:
        flag, limit = limits[item.score_means]
        if limit is None:
            raise SettingsError(f"--score-means {item.score_means} needs {flag}.")
    elif item.score_column is not None and eps is None and item.max_distance is None:
        raise SettingsError(
            "--score-column needs a limit: --eps for similarities, or --max-distance for distances."
        )


def _check_eps(settings: Settings) -> None:
    if settings.eps_sweep is None:
        return
    if settings.eps is not None:
        raise SettingsError("--eps-sweep replaces --eps: leave one of the two out.")
    if not settings.dry_run:
        raise SettingsError(
            "--eps-sweep helps to choose a value: add --dry-run, then run with the chosen --eps."
        )


def _check_output_of_method(settings: Settings) -> None:
    """Refuse an output that the method can't make."""
    method = find_method(settings.method)
    if not method.takes_output and (settings.output or settings.output_format):
        raise SettingsError(
            f"--method {method.name} takes no --output and no --output-format: it deletes rows "
            "from the image table itself. Leave them out, or use --method clone."
        )
    if not method.takes_output:
        return
    if not method.can_replace and settings.output_mode == "overwrite":
        replacing = _either(other.name for other in all_methods() if other.can_replace)
        raise SettingsError(
            f"--method {method.name} can't replace a table (--output-mode overwrite): it makes "
            f"new tables only. Choose another output, or use --method {replacing}."
        )
    output = find_format(settings.resolved_output_format)
    if method.name not in output.methods:
        made = _either(other.title for other in all_formats() if method.name in other.methods)
        makers = (other for other in all_methods() if other.takes_output)
        able = _either(maker.name for maker in makers if maker.name in output.methods)
        raise SettingsError(
            f"--method {method.name} makes a {made} table, not --output-format {output.name}: "
            f"leave the format out, or use --method {able}."
        )


def _check_abilities_of_method(settings: Settings) -> None:
    """Refuse settings for which the method has no use."""
    method = find_method(settings.method)
    if settings.action not in method.actions:
        able = _both(other.name for other in all_methods() if settings.action in other.actions)
        raise SettingsError(
            f"--action {settings.action} is for --method {able}: {method.name} only "
            f"{_both(f'{action}s' for action in sorted(method.actions))}."
        )
    if settings.purge and not method.can_purge:
        purging = _both(other.name for other in all_methods() if other.can_purge)
        raise SettingsError(
            f"--purge is for --method {purging}: a {method.name} leaves no removed row behind."
        )
    if settings.enable_deletion_vectors and not method.can_enable_deletion_vectors:
        able = _both(other.name for other in all_methods() if other.can_enable_deletion_vectors)
        raise SettingsError(f"--enable-deletion-vectors is for --method {able}.")


def _check_engine(settings: Settings) -> None:
    """Refuse settings that contradict the engine or its strategy."""
    if settings.engine == "arrow" and settings.strategy != "auto":
        raise SettingsError(
            "--strategy is for --engine spark: arrow finds rows by position. Leave one of the two "
            "out."
        )
    if settings.action == "annotate" and settings.strategy == "row-positions":
        raise SettingsError(
            "--strategy row-positions can't write kept_image_id: leave it out, or use another "
            "--action than annotate."
        )
    output = find_format(settings.resolved_output_format)
    if settings.engine not in {"auto", *output.engines}:
        written = _both(item.title for item in all_formats() if settings.engine in item.engines)
        raise SettingsError(
            f"--engine {settings.engine} writes {written}, not {output.title}: leave one of the "
            "two out."
        )
    if settings.engine == "arrow" and settings.target_file_size is not None:
        raise SettingsError(
            "--target-file-size is for --engine spark: arrow writes one file for each input file."
        )
    sizes = {"--shard-size": settings.shard_size, "--samples-per-shard": settings.samples_per_shard}
    if not output.has_shards and (flag := next((f for f, it in sizes.items() if it), None)):
        written = _either(item.name for item in all_formats() if item.has_shards)
        raise SettingsError(
            f"{flag} is for --output-format {written}: leave it out, or use that format."
        )
    if settings.engine == "spark" and settings.storage_option:
        raise SettingsError(
            "--storage-option is for --engine arrow: spark uses the settings of the Spark session."
        )


def _check_tuning_of_method(settings: Settings) -> None:
    method = find_method(settings.method)
    tuned = settings.strategy != "auto" or settings.engine != "auto"
    if not method.moves_images and (tuned or settings.target_file_size is not None):
        raise SettingsError(
            f"--strategy, --engine and --target-file-size are for --method {_moving_methods()}: "
            f"{method.name} moves no image."
        )


def _check_require_gpu(settings: Settings) -> None:
    """Refuse settings for which no work would run on a GPU."""
    flag, method = "--require-gpu", find_method(settings.method)
    if not method.moves_images:
        raise SettingsError(
            f"{flag} is for --method {_moving_methods()}: {method.name} moves no image, and Delta "
            "writes deletion vectors on the CPU."
        )
    if settings.engine == "arrow":
        raise SettingsError(
            f"{flag} is for --engine spark: arrow runs on the CPU. Leave one of the two out."
        )
    if settings.strategy == "row-positions":
        raise SettingsError(
            f"{flag} can't be combined with --strategy row-positions: it reads `_metadata`, which "
            "takes the whole scan to the CPU. Leave one of the two out."
        )
    if settings.since_last_run:
        raise SettingsError(
            f"{flag} can't be combined with --since-last-run: it deletes by deletion vectors, "
            "which only the CPU writes. Leave one of the two out."
        )


def _check_output(settings: Settings) -> None:
    method = find_method(settings.method)
    if settings.output is None and not settings.dry_run and method.takes_output:
        outputless = _both(other.name for other in all_methods() if not other.takes_output)
        raise SettingsError(
            f"--output is required, except for --dry-run and --method {outputless}."
        )
    to_table = settings.output is not None and not is_path(settings.output)
    output = find_format(settings.resolved_output_format)
    if to_table and not output.takes_names:
        named = _either(item.name for item in all_formats() if item.takes_names)
        raise SettingsError(
            f"--output {settings.output!r} is a table name, which can't be "
            f"--output-format {output.name}: use {named}, or give a path with a slash."
        )
    if settings.output is not None and not to_table and not output.takes_paths:
        raise SettingsError(
            f"--output {settings.output!r} is a path, which can't be --output-format "
            f"{output.name}: only a catalog can tell which state of such a table is the newest. "
            "Give a table name (catalog.schema.table)."
        )


def _check_since_last_run(settings: Settings) -> None:
    """Refuse settings that have no effect with --since-last-run."""
    flag, method = "--since-last-run", find_method(settings.method)
    if not method.can_follow_last_run or settings.action != "remove":
        able = _both(other.name for other in all_methods() if other.can_follow_last_run)
        raise SettingsError(f"{flag} is for --method {able} and --action remove.")
    if settings.output is None:
        raise SettingsError(f"{flag} needs --output, whose commits say what the last run did.")
    output = find_format(settings.resolved_output_format)
    if not output.can_follow_last_run:
        able = _either(item.name for item in all_formats() if item.can_follow_last_run)
        raise SettingsError(
            f"{flag} can't update an output that is {output.title}: use --output-format {able}, "
            "with a path or a name that can be such a table, or leave the flag out."
        )
    if settings.eps_sweep is not None:
        raise SettingsError(f"--eps-sweep helps to choose a value: leave {flag} out.")
    if settings.removed_output or settings.unmatched_output:
        raise SettingsError(
            f"only full runs write --removed-output and --unmatched-output: leave {flag} out."
        )
    if settings.review is not None:
        raise SettingsError(f"--review shows the plan of a full run: leave {flag} out.")


def _moving_methods() -> str:
    return _both(method.name for method in all_methods() if method.moves_images)


def _both(words: Iterable[str]) -> str:
    return _enumerated(words, "and")


def _either(words: Iterable[str]) -> str:
    return _enumerated(words, "or")


def _enumerated(words: Iterable[str], conjunction: str) -> str:
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last
