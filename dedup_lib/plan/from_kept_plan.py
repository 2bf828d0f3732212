"""Apply a plan that was kept, rather than make one: the steps that other runs have not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.errors import PlanRefusedError, SafetyLimitError
from dedup_lib.plan import id_scan, kept_plan, limits, removal_plan
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.inputs import Inputs
from dedup_lib.plan.kept_plan import PLAN_NOTE, KeptPlan
from dedup_lib.plan.limits import check_lists
from dedup_lib.plan.plan import Plan
from dedup_lib.report import Report
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.pinned import PinnedTable

# What the report says of a plan beside its counts.
_TOLD = ("keepers", "protected")


def note_of(
    session: Session, plan: Plan, inputs: Inputs, settings: Settings, report: Report
) -> dict[str, Any]:
    """Return what a plan's manifest, or its Delta commit, says of it, so that it can be applied.

    *Cost:* one pass over the plan.
    """
    made_for = {
        "images": kept_plan.images_note(session, plan.images, settings.image_id_column),
        "digest": kept_plan.digest_of(plan.records["removed_output"].rows),
        "counts": plan.reported_counts(),
        "report": {name: getattr(report, name) for name in _TOLD},
        "refused": _why_refused(plan, inputs, settings),
    }
    return {PLAN_NOTE: report.hide(made_for)}


def make_plan(
    session: Session,
    images: PinnedTable,
    kept: KeptPlan,
    *,
    settings: Settings,
    report: Report,
    materialise: Callable[[DataFrame], DataFrame],
) -> Plan:
    """Take a plan as it was kept, once table and rows were compared with what its note says.

    Args:
        session: The session, with its file systems.
        images: The pinned image table.
        kept: The plan.
        settings: What to do.
        report: Gets the counts, which are those of the run that made the plan.
        materialise: Evaluates a frame once, and returns one that reads what came out.

    Raises:
        PlanMismatchError: They differ.

    *Cost:* a scan of the image IDs, and some passes over the plan.
    """
    column = settings.image_id_column
    with report.step("compare plan"):
        kept_plan.check_same_table(kept, kept_plan.images_note(session, images, column))
        rows = materialise(kept.rows)
        kept_plan.check_whole(kept, rows)
    with report.step("scan image IDs"):
        files = id_scan.scan_image_ids(
            images,
            column,
            moves_images=settings.method_traits.moves_images,
            materialise=materialise,
        )
    counts = kept.note["counts"]
    plan = Plan(
        images=images,
        rows=rows,
        counts=removal_plan.count_plan(rows),
        files=files,
        image_ids=id_scan.total(files),
        list_ids=IdSizes(counts["list_rows"], counts["list_null_ids"], id_bytes=0),
        list_distinct_ids=counts["list_distinct_ids"],
        list_matched_ids=counts["list_matched_ids"],
        matched_by_list=(),
        keepers=None,
        protection=None,
        match_hints=(),
        unmatched=None,
    )
    for name in _TOLD:
        setattr(report, name, kept.note["report"][name])
    report.counts |= plan.reported_counts()
    report.bytes["input"] = plan.input_bytes
    return plan


def check_limits(plan: Plan, kept: KeptPlan, settings: Settings) -> None:
    """Check a plan that was kept against the safety limits.

    Raises:
        SafetyLimitError: It passes that of the rows that go; or the run that made it had passed
            one of the others.
    """
    if (refused := kept.note["refused"]) is not None:
        raise PlanRefusedError(
            f"plan {kept.location!r} is not applied, for it passed a safety limit when it was "
            f"made: {refused} Then make the plan again."
        )
    limits.check_removed_fraction(
        input_rows=plan.image_ids.num_rows,
        removed_rows=plan.counts.removed_rows,
        max_removed_fraction=settings.max_removed_fraction,
    )


def _why_refused(plan: Plan, inputs: Inputs, settings: Settings) -> str | None:
    """Tell which limit a plan passes, but for that of the rows that go, which is looked at anew."""
    if inputs.kept_plan is not None:
        refused: str | None = inputs.kept_plan.note["refused"]
        return refused
    if settings.eps_values:
        return "it is for a choice among several eps. Choose one with --eps."
    try:
        check_lists(plan, inputs, settings)
    except SafetyLimitError as error:
        return str(error)
    return None
