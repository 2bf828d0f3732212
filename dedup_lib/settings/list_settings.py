"""What a user can set about lists: their meaning, and which of several images stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dedup_lib.settings import values
from dedup_lib.settings.condition import Condition, parse_condition
from dedup_lib.settings.fields import option


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The settings that decide which images go; `Settings` has them, with all others."""

    duplicate_ids: tuple[values.DuplicateIds, ...] = option(
        "lists",
        "removal list: a directory, a file (Parquet, DataComp's .npy, CSV, JSON Lines or text), or "
        "a table; may be repeated",
        default=(),
    )
    duplicate_id_column: str | None = option(
        "lists",
        "column of the removal lists that holds the image IDs (default: that of the recognised "
        "producer, else id, else the only column)",
    )
    list_kind: values.AskedListKind = option(
        "lists",
        "what the entries of the lists mean: remove: IDs to remove; keep: IDs to keep, all others "
        "are removed; pairwise: images with the one that stays (NeMo Curator's pairwise results); "
        "groups: groups in which one image stays; auto recognises each list by its columns, its "
        "values and its directory; .npy files hold IDs to keep",
        default="auto",
    )
    group_column: str | None = option(
        "lists",
        "column of the removal lists whose value the members of a group share: one of them stays",
    )
    keeper_column: str | None = option(
        "lists",
        "column of the removal lists that holds the image that stays for the one in the ID column",
    )
    partner_column: str | None = option(
        "lists",
        "column of the removal lists that holds the other image of a pair, if either may stay: "
        "images that pairs connect are a group",
    )
    score_column: str | None = option(
        "lists",
        "column of the removal lists that tells how alike the images of a pair are; it needs --eps "
        "or --max-distance",
    )
    score_means: values.ScoreMeaning | None = option(
        "lists",
        "what a high score means: similarity: the images are alike (--eps); distance: they differ "
        "(--max-distance); needed if the name of the column says something else",
    )
    eps: float | None = option(
        "lists",
        "pairs with similarities need it (or --eps-sweep), and it needs them: a pair counts if its "
        "similarity is at least 1 - EPS",
        metavar="EPS",
    )
    eps_sweep: str | None = option(
        "lists",
        "dry runs: report how many rows, and about how many bytes, each of several EPS would "
        "remove, such as 0.01,0.05,0.1; the plan is made with the largest EPS",
        metavar="EPS,EPS,…",
    )
    max_distance: float | None = option(
        "lists",
        "pairs with distances need it, and it needs them: a pair counts if its distance is at most "
        "DISTANCE",
        metavar="DISTANCE",
    )
    keeper: str = option(
        "lists",
        "which image of a group stays: smallest-id, or largest:COLUMN or smallest:COLUMN of the "
        "image table; several preferences have commas between them, such as "
        "largest:width,smallest:bytes",
        default="smallest-id",
        metavar="RULE,RULE,…",
    )
    protect_ids: tuple[str, ...] = option(
        "lists",
        "IDs that stay, whatever the lists say: marks saved from a review page, or what "
        "--duplicate-ids takes; may be repeated",
        default=(),
    )
    protect_where: str | None = option(
        "lists",
        "images that stay, whatever the lists say, and stay rather than their duplicates: a "
        "condition on columns of the image table, such as \"split = 'test'\"",
        metavar="CONDITION",
    )
    apply_plan: str | None = option(
        "lists",
        "apply a plan that a dry run kept with --removed-output, in place of removal lists; the "
        "image table must not have changed since",
    )

    @property
    def asked_lists(self) -> tuple[values.DuplicateIds, ...]:
        """The removal lists, each with the settings of all lists that it has no own value for."""
        return tuple(self._with_shared(item) for item in self.duplicate_ids)

    def _with_shared(self, item: values.DuplicateIds) -> values.DuplicateIds:
        shared: dict[str, Any] = {
            "id_column": self.duplicate_id_column,
            "kind": self.list_kind,
            "score_column": self.score_column,
            "score_means": self.score_means,
            "max_distance": self.max_distance,
        }
        if item.max_distance is not None:  # it has its own limit, so its own meaning
            del shared["score_means"]
        if not item.relations:
            fit = (name for name, of in values.RELATIONS.items() if item.kind in (None, "auto", of))
            shared |= {name: getattr(self, name) for name in fit}
        missing = {name for name in shared if getattr(item, name) is None}
        return replace(item, **{name: shared[name] for name in missing})

    @property
    def eps_values(self) -> tuple[float, ...]:
        """The values of --eps-sweep, in their order; empty if it is not set."""
        return () if self.eps_sweep is None else values.parse_eps_sweep(self.eps_sweep)

    @property
    def planned_eps(self) -> float | None:
        """The eps of the plan: --eps, or the largest of --eps-sweep."""
        return max(self.eps_values, default=self.eps)

    @property
    def keeper_rules(self) -> tuple[values.KeeperRule, ...]:
        """Which image of a group stays: the preferences in order, the IDs last."""
        return values.parse_keeper(self.keeper)

    @property
    def protected_rows(self) -> Condition | None:
        """The condition of --protect-where; None if it is not set."""
        return None if self.protect_where is None else parse_condition(self.protect_where)
