"""Apply a removal plan that an earlier run kept (--apply-plan)."""

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
from dedup_lib.session.progress import Step
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable

# The report's keys that a kept plan's note repeats, besides the counts.
_REPORT_KEYS = ("keepers", "protected")


def note_of(session: Session, plan: Plan, inputs: Inputs, settings: Settings) -> dict[str, Any]:
    """Return the note that a plan's manifest or Delta commit needs, so that it can be applied.

    *Cost:* one pass over the plan.
    """
    facts = plan.reported_facts()
    made_for = {
        "images": kept_plan.images_note(session, plan.images),
        "digest": kept_plan.digest_of(plan.records["removed_output"].rows),
        "counts": plan.reported_counts(),
        "report": {name: facts[name] for name in _REPORT_KEYS},
        "refused": _why_refused(plan, inputs, settings),
    }
    return {PLAN_NOTE: made_for}


def make_plan(
    session: Session,
    images: ImageTable,
    kept: KeptPlan,
    *,
    settings: Settings,
    step: Step,
    materialise: Callable[[DataFrame], DataFrame],
) -> Plan:
    """Load a kept plan, and compare the table and the plan's rows with the plan's note.

    Args:
        session: The session, with its file systems.
        images: The pinned image table.
        kept: The plan.
        settings: The run's settings.
        step: Times a step.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    Raises:
        PlanMismatchError: The table or the rows differ from the note.

    *Cost:* a scan of the image IDs, and some passes over the plan.
    """
    with step("compare plan"):
        kept_plan.check_same_table(kept, kept_plan.images_note(session, images))
        rows = materialise(kept.rows)
        kept_plan.check_whole(kept, rows)
    with step("scan image IDs"):
        files = id_scan.scan_image_ids(images, settings, materialise)
    counts = kept.note["counts"]
    return Plan(
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
        match_hints=None,
        unmatched=None,
        kept_facts={name: kept.note["report"][name] for name in _REPORT_KEYS},
    )


def check_limits(plan: Plan, kept: KeptPlan, settings: Settings) -> None:
    """Check a kept plan against the safety limits.

    Raises:
        SafetyLimitError: The plan removes too large a share of the rows, or it exceeded another
            limit when it was made.
    """
    if (refused := kept.note["refused"]) is not None:
        raise PlanRefusedError(
            f"plan {kept.location!r} is not applied: it exceeded a safety limit when it was made: "
            f"{refused} Then make the plan again."
        )
    limits.check_removed_fraction(
        input_rows=plan.image_ids.num_rows,
        removed_rows=plan.counts.removed_rows,
        max_removed_fraction=settings.max_removed_fraction,
    )


def _why_refused(plan: Plan, inputs: Inputs, settings: Settings) -> str | None:
    """Return the message of the limit that a plan exceeds, except the share of removed rows.

    --apply-plan itself checks that share.
    """
    if inputs.kept_plan is not None:
        refused: str | None = inputs.kept_plan.note["refused"]
        return refused
    if settings.eps_values:
        return "it compares several eps values. Choose one with --eps."
    try:
        check_lists(plan, inputs, settings)
    except SafetyLimitError as error:
        return str(error)
    return None
