"""The shapes in which programs list duplicates, each of the same groups, with any column names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from itertools import permutations
from typing import Any, Literal

import pyarrow as pa

Stays = Literal["smallest", "listed", "unknown"]


@dataclass(frozen=True)
class Shape:
    """A list in one shape.

    Attributes:
        name: What tells it from others in messages.
        table: Its rows.
        id_column: Its ID column.
        flags: The other fields of `DuplicateIds` that settle its meaning.
        stays: Which image of each group stays with these flags; "unknown" if no flags settle it.
        is_right: Whether it must also end with the right survivors without flags.
    """

    name: str
    table: pa.Table
    id_column: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    stays: Stays = "smallest"
    is_right: bool = False


def group_shapes(
    groups: Sequence[Sequence[str]], singles: Sequence[str], names: Sequence[str]
) -> Iterator[Shape]:
    """Write all members of groups, with or without the single images.

    Args:
        groups: The IDs of each group.
        singles: IDs of images without duplicates.
        names: Three column names: those of the IDs, of the groups and of another column.
    """
    id_name, group_name, other = names
    members = [(one, number) for number, group in enumerate(groups) for one in group]
    everyone = members + [(one, len(groups) + number) for number, one in enumerate(singles)]
    flags = {"group_column": group_name}
    ids, numbers = map(list, zip(*members, strict=True))
    yield Shape("number", pa.table({id_name: ids, group_name: numbers}), id_name, flags)
    hashes = [md5(str(number).encode(), usedforsecurity=False).hexdigest() for number in numbers]
    yield Shape("hash", pa.table({id_name: ids, group_name: hashes}), id_name, flags)
    ranks = [rank for group in groups for rank, _ in enumerate(group)]
    ranked = pa.table({id_name: ids, group_name: numbers, other: ranks})
    yield Shape("number and rank", ranked, id_name, flags)
    yield Shape("rank alone", pa.table({id_name: ids, group_name: ranks}), id_name, stays="unknown")
    all_ids, all_numbers = map(list, zip(*everyone, strict=True))
    yield Shape(
        "singles too", pa.table({id_name: all_ids, group_name: all_numbers}), id_name, flags
    )
    first = {one: group[0] for group in groups for one in group}
    named = pa.table({id_name: all_ids, group_name: [first.get(one, one) for one in all_ids]})
    yield Shape("named by a member", named, id_name, flags)
    noise = [-1 if number >= len(groups) else number for number in all_numbers]
    yield Shape("noise", pa.table({id_name: all_ids, group_name: noise}), id_name, flags)


def pair_shapes(
    groups: Sequence[Sequence[str]], names: Sequence[str], *, chained: bool = False
) -> Iterator[Shape]:
    """Write pairs in one direction or both, with scores or without.

    Args:
        groups: The IDs of each group.
        names: Three column names: those of the IDs, of the partners and of the scores.
        chained: Whether each member is paired with the next one only. There are no scores then.
    """
    id_name, partner, score = names
    flags = {"partner_column": partner}
    scored = {**flags, "score_column": score}
    both = [pair for group in groups for pair in _both_ways(group, chained=chained)]
    ids, others = map(list, zip(*both, strict=True))
    yield Shape("both ways", pa.table({id_name: ids, partner: others}), id_name, flags)
    if not chained:
        alike = pa.table({id_name: ids, partner: others, score: [0.97] * len(ids)})
        limited = {**scored, "score_means": "similarity"}
        yield Shape("both ways, similarity", alike, id_name, limited)
        apart = pa.table({id_name: ids, partner: others, score: [3] * len(ids)})
        limited = {**scored, "score_means": "distance", "max_distance": 4.0}
        yield Shape("both ways, distance", apart, id_name, limited)
    ids, others = map(list, zip(*(pair for pair in both if pair[0] < pair[1]), strict=True))
    yield Shape("once", pa.table({id_name: ids, partner: others}), id_name, flags)
    if not chained:
        kept = [(min(group), one) for group in groups for one in group if one != min(group)]
        ids, others = map(list, zip(*kept, strict=True))
    yield Shape(
        "keepers", pa.table({id_name: others, partner: ids}), id_name, {"keeper_column": partner}
    )


def _both_ways(group: Sequence[str], *, chained: bool) -> Iterator[tuple[str, str]]:
    if not chained:
        yield from permutations(group, 2)
        return
    for one, other in zip(sorted(group)[:-1], sorted(group)[1:], strict=True):
        yield from ((one, other), (other, one))


def plain_shapes(groups: Sequence[Sequence[str]], names: Sequence[str]) -> Iterator[Shape]:
    """Write the IDs of all but the smallest of each group, in a column of each name."""
    others = [one for group in groups for one in sorted(group)[1:]]
    for name in names:
        yield Shape(f"one column {name!r}", pa.table({name: others}), name, is_right=True)
