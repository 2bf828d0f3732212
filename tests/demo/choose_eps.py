"""The demo's last steps: pairs with scores, and what each of three values of eps does with them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.demo import near_duplicates
from tests.demo.steps import Json, Places, check, step, submit_aloud
from tests.demo.survivors import Chain, prove_survivors

# Too strict, right, and too lax for these pictures: see the table that is printed.
EPS = (0.02, 0.1, 0.25)


@dataclass(frozen=True)
class Outcome:
    """What a run at one eps did to the pictures.

    Attributes:
        removed: How many went.
        kept: How many stayed.
        with_survivor: How many of those that went have a survivor in the output.
        longest_chain: How many pairs lead from a removed picture to its survivor, at most.
        true: Removed pictures whose survivor shows the same crop.
        mistaken: Removed pictures whose survivor shows another one.
        missed: Near-duplicates that stayed.
    """

    removed: int
    kept: int
    with_survivor: int
    longest_chain: int
    true: int
    mistaken: int
    missed: int


def show(spark: SparkSession, places: Places, images: pa.Table) -> None:
    """Write the pairs, ask what each eps would remove, remove it, and prove who survives."""
    with step("The near-duplicates as pairs with scores: how alike is a duplicate?"):
        clusters = near_duplicates.find_pairs(images)
        near_duplicates.write_pairs(clusters, places.pairs)
        print_pairs(places.pairs, clusters)
    with step("A dry run at three values of eps: what would each remove?"):
        swept = sweep(places)
    with step("Remove at each eps, by dedup_lib.run(…), and look for the survivors by pyarrow"):
        outcomes = [remove(spark, places, images, eps) for eps in EPS]
        print_outcomes(outcomes)
        check("rows by --eps-sweep", swept, [outcome.removed for outcome in outcomes])
    total = " + ".join(f"{outcome.removed:,}" for outcome in outcomes)
    print(
        f"\nEach of the {total} removed pictures has a survivor in its output, as large or larger."
    )


def sweep(places: Places) -> list[int]:
    """Ask through spark-submit what each eps would remove; return the counts of rows."""
    arguments = ["--images", str(places.images), "--duplicate-ids", str(places.pairs)]
    arguments += ["--dry-run", "--eps-sweep", ",".join(map(str, EPS))]
    arguments += ["--review", str(places.review)] if can_review() else []
    arguments += ["--report", str(places.report("eps-sweep"))]
    report = submit_aloud(arguments, places)
    entries: list[Json] = report["eps_sweep"]
    check("the eps of the sweep", [entry["eps"] for entry in entries], list(EPS))
    print(f"   {'eps':>5} {'similarity':>13} {'rows that go':>13} {'about MB':>9}")
    for entry in entries:
        similarity = f">= {1 - entry['eps']:.2f}"
        megabytes = entry["removed_bytes_estimate"] / 1e6
        print(
            f"   {entry['eps']:>5} {similarity:>13} {entry['removed_rows']:>13,} {megabytes:>9.1f}"
        )
    print_review(places, report)
    return [entry["removed_rows"] for entry in entries]


def can_review() -> bool:
    """Tell whether what a review page needs is there."""
    return all(map(importlib.util.find_spec, ("jinja2", "PIL")))


def print_review(places: Places, report: Json) -> None:
    """Say where the review page is, and see that it shows what it must."""
    if not can_review():
        print("   no review page: it needs Jinja2 and Pillow")
        return
    review = report["review"]
    check("pictures of the review", review["pictures"], 2 * review["pairs"])
    size = places.review.stat().st_size / 1e6
    print(
        f"   the plan of the last in pictures, {review['pairs']} pairs: open {places.review} in a "
        f"browser ({size:.1f} MB)"
    )


def remove(spark: SparkSession, places: Places, images: pa.Table, eps: float) -> Outcome:
    """Run the job at one eps, and see that each removed picture has a survivor in the output."""
    kept, removed = places.work / f"kept-eps-{eps}", places.work / f"removed-eps-{eps}"
    settings = Settings(
        images=str(places.images),
        duplicate_ids=(DuplicateIds(str(places.pairs)),),
        eps=eps,
        output=str(kept),
        removed_output=str(removed),
        report=str(places.report(kept.name)),
    )
    report = run(spark, settings).as_dict()
    chains = prove_survivors(places.pairs, removed, kept, eps=eps)
    outcome = outcome_of(images, chains)
    found = [report["counts"]["removed_rows"], report["counts"]["kept_rows"]]
    found.append(report["keepers"]["surviving_here_ids"])
    expected = [outcome.removed, outcome.kept, outcome.with_survivor]
    check(f"the report's counts at eps {eps}", found, expected)
    check_nothing_else_changed(images, kept, chains)
    return outcome


def outcome_of(images: pa.Table, chains: dict[str, Chain]) -> Outcome:
    """Count what went, what stayed, and what was right: captions tell one crop from another."""
    names = ("image_id", "caption")
    captions = dict(zip(*(images[name].to_pylist() for name in names), strict=True))
    stay = [caption for image_id, caption in captions.items() if image_id not in chains]
    true = sum(captions[chain[0]] == captions[chain[-1]] for chain in chains.values())
    return Outcome(
        removed=len(chains),
        kept=len(stay),
        with_survivor=sum(chain[-1] not in chains for chain in chains.values()),
        longest_chain=max((len(chain) - 1 for chain in chains.values()), default=0),
        true=true,
        mistaken=len(chains) - true,
        missed=len(stay) - len(set(stay)),
    )


def check_nothing_else_changed(images: pa.Table, kept: Path, chains: dict[str, Chain]) -> None:
    """See that the output is the input but for what went, and that no survivor is smaller."""
    expected = images.filter([i.as_py() not in chains for i in images["image_id"]])
    found = pq.read_table(kept).sort_by("image_id")
    check(f"the rows of {kept}, as they were", found.equals(expected.sort_by("image_id")), True)
    pixels = {row["image_id"]: row["width"] * row["height"] for row in images.to_pylist()}
    smaller = [chain for chain in chains.values() if pixels[chain[-1]] < pixels[chain[0]]]
    check("pictures whose survivor is smaller", smaller, [])


def print_pairs(directory: Path, clusters: list[pa.Table]) -> None:
    """Say what is in the pairwise results, and what its scores mean."""
    num_pairs = sum(cluster.num_rows for cluster in clusters)
    print(
        f"   {directory}: {num_pairs:,} pairs, one for each picture, in {len(clusters)} clusters "
        "and an empty one\n"
        "   similarity = 1 - different bits / 64 of the perceptual hashes, to the most similar "
        "picture\n   of those that rank before it in its cluster; the largest picture ranks first"
    )


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Print what each eps did, and what its columns mean."""
    print(
        f"   {'eps':>5} {'removed':>8} {'kept':>6} {'with survivor':>14} {'longest chain':>14} "
        f"{'same crop':>10} {'another crop':>13} {'missed':>7}"
    )
    for eps, outcome in zip(EPS, outcomes, strict=True):
        print(
            f"   {eps:>5} {outcome.removed:>8,} {outcome.kept:>6,} {outcome.with_survivor:>14,} "
            f"{outcome.longest_chain:>14} {outcome.true:>10,} {outcome.mistaken:>13,} "
            f"{outcome.missed:>7,}"
        )
    print(
        "   same crop, another crop: what the survivor of a removed picture shows, by its caption\n"
        "   missed: near-duplicates that stayed"
    )
