"""Write lists as programs do that are not run here: they need a GPU, a cluster, or a long build."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpus import pictures


def write_all(lists: Path) -> None:
    """Write a folder for each program; each function names the version and what it does."""
    for write in (_curator_1, _curator_0, _data_prep_kit, _graphframes, _czkawka, _datacomp, _snip):
        write(lists)


def _curator_1(lists: Path) -> None:
    """NeMo Curator 1.4: `IdentifyDuplicatesStage`, and before it `PairwiseCosineSimilarityStage`,
    `ConnectedComponentsStage` and `IdentifyDuplicatesStage` of the fuzzy workflow.
    """
    folder = lists / "curator-1.4"
    others = [name for group in pictures.names() for name in group[1:]]
    _save(folder / "duplicates/part.0.parquet", id=sorted(others))
    pairs = [
        (name, group[0] if number else name, 0.995 if number else 0.0)
        for group in pictures.names()
        for number, name in enumerate(group)
    ]
    names, keepers, scores = map(list, zip(*pairs, strict=True))
    _save(
        folder / "pairwise_results/cluster_0.parquet",
        id=names,
        max_id=keepers,
        cosine_sim_score=pa.array(scores, pa.float32()),
    )
    _save(folder / "FuzzyDuplicateIds/part.0.parquet", _curator_dedup_id=_positions(others))
    members = [(name, number) for number, group in _groups() for name in group]
    _save(
        folder / "ConnectedComponentsStage/part.0.parquet",
        _curator_dedup_id=_positions([name for name, _ in members]),
        _duplicate_group_id=[number for _, number in members],
    )


def _curator_0(lists: Path) -> None:
    """NeMo Curator 0.9: `ExactDuplicates`, `FuzzyDuplicates`, and `SemDedup`; RAPIDS cuDF writes
    the step in between (`JaccardSimilarity`). Dask writes a directory for each.
    """
    folder = lists / "curator-0.9"
    members = [(name, number) for number, group in _groups() for name in group]
    ids, numbers = [name for name, _ in members], [number for _, number in members]
    hashes = [md5(str(number).encode(), usedforsecurity=False).hexdigest() for number in numbers]
    _save(folder / "_exact_duplicates.parquet/part.0.parquet", id=ids, _hashes=hashes)
    _save(folder / "fuzzy_duplicates.parquet/part.0.parquet", id=ids, group=numbers)
    pairs = [(group[0], name) for _, group in _groups() for name in group[1:]]
    _save(
        folder / "jaccard_similarity_results.parquet/part.0.parquet",
        id_x=[one for one, _ in pairs],
        id_y=[other for _, other in pairs],
        jaccard=pa.array([0.95] * len(pairs), pa.float32()),
    )
    others = [name for _, group in _groups() for name in group[1:]]
    _save(
        folder / "unique_ids_0.01.parquet/part.0.parquet",
        id=others,
        dist=pa.array([0.01] * len(others), pa.float32()),
        cluster=pa.array([0] * len(others), pa.int32()),
    )


def _data_prep_kit(lists: Path) -> None:
    """data-prep-kit 1.1: the fuzzy transform's `docs_to_remove_consolidated.parquet`."""
    others = [name for _, group in _groups() for name in group[1:]]
    path = lists / "data-prep-kit-1.1/docs_to_remove_consolidated.parquet"
    _save(path, docs_to_remove=_positions(others))


def _graphframes(lists: Path) -> None:
    """GraphFrames 0.12: `connectedComponents` and `maximal_independent_set`, saved by Spark."""
    folder = lists / "graphframes-0.12"
    members = [(name, group[0]) for group in pictures.names() for name in group]
    ids = [name for name, _ in members]
    components = _positions([first for _, first in members])
    _save(folder / "components.parquet", id=ids, component=components)
    selected = [name == first for name, first in members]
    _save(folder / "independent_set.parquet", id=ids, selected=selected)


def _czkawka(lists: Path) -> None:
    """czkawka 12: `image -C FILE`, the compact JSON of similar pictures (a list for each group)."""
    groups = [[_of_czkawka(name) for name in group] for _, group in _groups()]
    path = lists / "czkawka-12/similar_images.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(groups))
    rows = [(one["path"], number) for number, group in enumerate(groups) for one in group]
    _save(
        path.with_suffix(".parquet"), path=[one for one, _ in rows], group_id=[n for _, n in rows]
    )


def _of_czkawka(name: str) -> dict[str, Any]:
    path = str(pictures.FOLDER / name)
    side = pictures.SIDE
    return {"path": path, "size": 900, "width": side, "height": side, "hashes": [], "difference": 0}


def _datacomp(lists: Path) -> None:
    """DataComp: `baselines.py` saves the IDs to keep, as pairs of 64 bits, sorted."""
    kept = sorted(int(pictures.uid(group[0]), 16) for group in pictures.names())
    pairs = [(one >> 64, one % 2**64) for one in kept]
    path = lists / "datacomp/kept.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(pairs, np.dtype("u8,u8")))


def _snip(lists: Path) -> None:
    """snip-dedup: one boolean per row over all shards, True for what goes."""
    others = {name for _, group in _groups() for name in group[1:]}
    path = lists / "snip-dedup/is_dup.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([name in others for name in pictures.all_names()]))


def _groups() -> list[tuple[int, list[str]]]:
    return [(number, group) for number, group in enumerate(pictures.names()) if len(group) > 1]


def _positions(names: list[str]) -> pa.Array:
    order = {name: number for number, name in enumerate(pictures.all_names())}
    return pa.array([order[name] for name in names], pa.int64())


def _save(path: Path, /, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
