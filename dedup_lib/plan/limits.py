"""Check a plan against the safety limits, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dedup_lib.errors import (
    EmptyListError,
    LostKeeperError,
    NoMatchesError,
    RemovedFractionError,
)
from dedup_lib.plan.inputs import Inputs
from dedup_lib.plan.keepers import KeeperCounts
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.protection import ProtectedList
from dedup_lib.settings import Settings


def check_limits(plan: Plan, inputs: Inputs, settings: Settings) -> None:
    """Check a plan against all safety limits; for an eps sweep only against the limits on lists.

    Raises:
        SafetyLimitError: The plan exceeds a limit.
    """
    check_lists(plan, inputs, settings)
    if settings.eps_values:  # an eps sweep removes nothing
        return
    check_removed_fraction(
        input_rows=plan.image_ids.num_rows,
        removed_rows=plan.counts.removed_rows,
        max_removed_fraction=settings.max_removed_fraction,
    )


def check_lists(plan: Plan, inputs: Inputs, settings: Settings) -> None:
    """Check the lists against the safety limits, but not the share of removed rows.

    Raises:
        SafetyLimitError: The lists exceed a limit.
    """
    num_ids = plan.list_ids.num_rows - plan.list_ids.num_nulls
    check_list_not_empty(
        num_ids=num_ids,
        allow_empty_list=settings.allow_empty_list,
        dissimilar_pairs=sum(
            item.listed_rows or 0 for item in inputs.lists if item.pairs is not None
        ),
    )
    check_lists_to_keep(
        {
            item.location: matched
            for item, matched in zip(inputs.lists, plan.matched_by_list, strict=True)
            if item.kind == "keep"
        },
        allow_no_matches=settings.allow_no_matches,
    )
    if plan.protection is not None:
        check_protected(
            plan.protection.lists,
            allow_empty_list=settings.allow_empty_list,
            allow_no_matches=settings.allow_no_matches,
        )
        check_protected_rows(
            plan.protection.condition_ids, allow_no_matches=settings.allow_no_matches
        )
    check_matches(
        num_ids=num_ids,
        matched_ids=plan.list_matched_ids,
        allow_no_matches=settings.allow_no_matches,
        hints=plan.hint_texts,
    )
    must_survive = settings.on_lost_keeper == "error" and not settings.eps_values
    if plan.keepers is not None and must_survive:
        check_keepers(plan.keepers)


def check_list_not_empty(
    *, num_ids: int, allow_empty_list: bool, dissimilar_pairs: int = 0
) -> None:
    """Refuse lists without an ID.

    Args:
        num_ids: Number of non-null entries. Only pairs that are similar enough count.
        allow_empty_list: Whether to accept lists without an ID.
        dissimilar_pairs: Number of pairs in the lists, if no pair is similar enough.

    Raises:
        EmptyListError: There is no non-null entry, and `allow_empty_list` is false.
    """
    if num_ids == 0 and dissimilar_pairs > 0 and not allow_empty_list:
        raise EmptyListError(
            f"all {dissimilar_pairs} listed pairs have scores beyond their limit, or no other "
            "image, and the lists hold nothing else. Choose a larger --eps (--eps-sweep shows what "
            "each value would remove) or --max-distance, or use --allow-empty-list if that is "
            "expected."
        )
    if num_ids == 0 and not allow_empty_list:
        raise EmptyListError(
            "the removal lists hold no ID: the upstream step may have failed. "
            "Use --allow-empty-list if that is expected."
        )


def check_matches(
    *, num_ids: int, matched_ids: int, allow_no_matches: bool, hints: Sequence[str] = ()
) -> None:
    """Refuse lists without an ID that is in the image table.

    Args:
        num_ids: Number of non-null entries.
        matched_ids: Number of distinct IDs that are in the table.
        allow_no_matches: Whether to accept lists that match nothing.
        hints: Possible reasons, as sentences.

    Raises:
        NoMatchesError: The lists hold IDs, no ID matches, and `allow_no_matches` is false.
    """
    if num_ids > 0 and matched_ids == 0 and not allow_no_matches:
        why = hints or ["the list may belong to another table, or hold another kind of ID"]
        raise NoMatchesError(
            f"none of the {num_ids} list entries is in the image table: {'; '.join(why)}. "
            "Compare a few IDs of both (--unmatched-output keeps the listed ones); use "
            "--allow-no-matches if that is expected."
        )


def check_lists_to_keep(matched_ids: Mapping[str, int], *, allow_no_matches: bool) -> None:
    """Refuse a list of IDs to keep if no ID is in the image table: it would remove all rows.

    Args:
        matched_ids: Number of IDs in the table, for each list to keep, by location.
        allow_no_matches: Whether to accept a list that matches nothing.

    Raises:
        NoMatchesError: A list matches nothing.
    """
    for location, num_ids in matched_ids.items():
        if num_ids == 0 and not allow_no_matches:
            raise NoMatchesError(
                f"no ID of the list to keep {location!r} is in the image table: it is empty, or "
                "belongs to another table. The images that it should keep would be removed. Use "
                "--allow-no-matches if that is expected."
            )


def check_protected(
    lists: Sequence[ProtectedList], *, allow_empty_list: bool, allow_no_matches: bool
) -> None:
    """Refuse a list of IDs to protect that protects nothing.

    Args:
        lists: The counts of each list.
        allow_empty_list: Whether to accept a list without an ID.
        allow_no_matches: Whether to accept a list without an ID of the image table.

    Raises:
        EmptyListError: A list holds no ID.
        NoMatchesError: A list holds IDs, but no ID is in the image table.
    """
    for item in lists:
        num_ids = item.num_rows - item.num_nulls
        if num_ids == 0 and not allow_empty_list:
            raise EmptyListError(
                f"the list to protect {item.location!r} holds no ID, and protects nothing. "
                "Leave it out, or use --allow-empty-list if that is expected."
            )
        if num_ids > 0 and item.matched_ids == 0 and not allow_no_matches:
            raise NoMatchesError(
                f"no ID of the list to protect {item.location!r} is in the image table: it belongs "
                "to another table. The images that it should protect may be removed. Use "
                "--allow-no-matches if that is expected."
            )


def check_protected_rows(condition_ids: int | None, *, allow_no_matches: bool) -> None:
    """Refuse a condition that protects nothing.

    Args:
        condition_ids: Number of IDs for which the condition is true; None if there is no condition.
        allow_no_matches: Whether to accept a condition that is true for no ID.

    Raises:
        NoMatchesError: The condition is true for no ID.
    """
    if condition_ids == 0 and not allow_no_matches:
        raise NoMatchesError(
            "--protect-where is true for no image, so it protects nothing: compare its values with "
            "those of the image table (upper and lower case differ, and nothing equals NULL). Use "
            "--allow-no-matches if that is expected."
        )


def check_keepers(counts: KeeperCounts) -> None:
    """Refuse to remove an image together with all its duplicates.

    Raises:
        LostKeeperError: The plan also removes all keepers of an image.
    """
    if counts.lost_ids > 0:
        shown = ", ".join(repr(image_id) for image_id in counts.examples)
        raise LostKeeperError(
            f"{counts.lost_ids} of {counts.with_keeper_ids} images would be removed together with "
            f"every image that they duplicate (such as {shown}): the lists contradict each other "
            "(a list to keep may lack the keepers), or name images in a circle. Use "
            "--on-lost-keeper keep-one to spare the best image of each such cluster, or ignore "
            "to remove them anyway."
        )


def check_removed_fraction(
    *, input_rows: int, removed_rows: int, max_removed_fraction: float
) -> None:
    """Refuse to remove more than a share of the rows.

    Raises:
        RemovedFractionError: removed_rows / input_rows is above the limit.
    """
    if removed_rows / input_rows > max_removed_fraction:
        raise RemovedFractionError(
            f"the plan removes {removed_rows} of {input_rows} rows "
            f"({removed_rows / input_rows:.4f}), more than --max-removed-fraction "
            f"{max_removed_fraction}. Look at the plan (--dry-run --removed-output …), and "
            "raise the limit if the plan is right."
        )
