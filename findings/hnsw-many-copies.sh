#!/usr/bin/env bash
# hnswlib 0.8.0, faiss-cpu 1.15.1, usearch 2.26.6: one picture in thousands of copies hides the exact copies of all others
#
# Expected: nearest-neighbour search for an image that is in the index twice gives both copies, at distance 0;
#           what else is in the index costs little.
# Happens:  5,000 copies of one vector (a "not available" placeholder), added before 4,000 others (2,000
#           images, each twice), spoil the graph, presumably as the few links of each copy all lead to other
#           copies, so that the search doesn't get out of that clump. hnswlib finds none or next to none of the
#           2,000 pairs, faiss and usearch lose hundreds. Without the placeholder all three find every pair.
#           Nothing is raised, and a wider search hardly brings any of hnswlib's pairs back.
# Hurts:    a big scrape usually has such a placeholder, and near-duplicate search is run just because copies are
#           many. The pairs that are missing look like "no duplicates". Remove exact copies (equal digest or
#           vector) first, and index what is left.
# Versions: hnswlib 0.8.0, faiss-cpu 1.15.1, usearch 2.26.6, numpy 2.4.6; one thread, fixed seeds
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  hnswlib==0.8.0 faiss-cpu==1.15.1 usearch==2.26.6 numpy==2.4.6
cd "$work"
export OMP_NUM_THREADS=1
venv/bin/python - <<'PY'
from importlib.metadata import version

import faiss
import hnswlib
import numpy as np
from usearch.index import Index

print(*(f"{p} {version(p)}" for p in ("hnswlib", "faiss-cpu", "usearch", "numpy")))
IMAGES, SIZE = 2000, 64
random = np.random.default_rng(0)


def vectors(count):
    raw = random.normal(size=(count, SIZE))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


images, placeholder = vectors(IMAGES), vectors(1)


def pairs_found(placeholders):
    data = np.vstack([np.repeat(placeholder, placeholders, axis=0), images, images])
    keys = np.arange(len(data))
    want = [{placeholders + i, placeholders + IMAGES + i} for i in range(IMAGES)]

    def right(answers):
        return sum(set(answer) == pair for answer, pair in zip(np.asarray(answers).tolist(), want))

    found = {}
    index = hnswlib.Index("cosine", SIZE)
    index.init_index(len(data), ef_construction=200, M=16, random_seed=1)
    index.add_items(data, keys, num_threads=1)
    for width in (50, 400):
        index.set_ef(width)
        found[f"hnswlib, ef {width}"] = right(index.knn_query(images, k=2, num_threads=1)[0])
    graph = faiss.IndexHNSWFlat(SIZE, 32)
    graph.add(data)
    graph.hnsw.efSearch = 64
    found["faiss, efSearch 64"] = right(graph.search(images, 2)[1])
    plain = Index(ndim=SIZE, metric="cos", dtype="f32")
    plain.add(keys, data, threads=1)
    found["usearch"] = right(plain.search(images, 2, threads=1).keys)
    print(f"{placeholders} placeholders, of {IMAGES} pairs found:", found)
    return found


assert min(pairs_found(0).values()) >= IMAGES * 0.99
spoilt = pairs_found(5000)
assert max(spoilt["hnswlib, ef 50"], spoilt["hnswlib, ef 400"]) < IMAGES * 0.1
assert max(spoilt["faiss, efSearch 64"], spoilt["usearch"]) < IMAGES * 0.95
PY
echo "as described: a placeholder's copies hide the exact copies of other images"
