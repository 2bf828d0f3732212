#!/usr/bin/env bash
# rensa 0.5.0: RMinHashLSH's duplicate flags are the same for threshold 0.5, 0.8 and 0.99
#
# Expected: RMinHashLSH(threshold=0.8, …).query_duplicate_flags(sketches) flags what is similar at 0.8.
# Happens:  the flag only says "shares a band with another sketch". How many share one is decided by num_bands
#           alone; the threshold is kept and never asked, neither here, nor in query(), nor in
#           insert_matrix_and_query_duplicate_flags(). Pairs with a Jaccard similarity of 0.54 are flagged at 0.99,
#           nearly all with 32 bands, a few with 16. is_similar() of the same index does ask, and says no to all.
#           RMinHashDeduplicator also verifies. (datasketch, by whose example such code is written, derives its
#           bands from the threshold.)
# Hurts:    a removal list built from the flags, e.g. over image captions or tags, holds pictures that are half alike
#           at best, and turning up the threshold, the natural remedy, changes nothing.
# Versions: rensa 0.5.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rensa==0.5.0
cd "$work"
venv/bin/python - <<'PY'
from importlib.metadata import version

from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH

print("rensa", version("rensa"))
PAIRS = 200


def sketch(words):
    m = RMinHash(num_perm=128, seed=42)
    m.update(words)
    return m


sketches = []
for i in range(PAIRS):  # two captions with 70 of 130 words in common: Jaccard 0.54
    common = [f"{i}-{j}" for j in range(70)]
    sketches.append(sketch(common + [f"left-{i}-{j}" for j in range(30)]))
    sketches.append(sketch(common + [f"right-{i}-{j}" for j in range(30)]))
likest = max(sketches[2 * i].jaccard(sketches[2 * i + 1]) for i in range(PAIRS))
print(f"{PAIRS} pairs; the highest similarity that rensa itself estimates for one: {likest:.2f}")
assert likest < 0.8

flags = {}
for bands in (16, 32):
    for threshold in (0.5, 0.8, 0.99):
        index = RMinHashLSH(threshold=threshold, num_perm=128, num_bands=bands)
        for key, m in enumerate(sketches):
            index.insert(key, m)
        flags[bands, threshold] = index.query_duplicate_flags(sketches)
        similar = sum(index.is_similar(sketches[2 * i], sketches[2 * i + 1]) for i in range(PAIRS))
        finder = RMinHashDeduplicator(threshold=threshold, num_perm=128, use_lsh=True, num_bands=bands, seed=42)
        dropped = sum(not finder.add(str(key), m) for key, m in enumerate(sketches))
        print(f"{bands} bands, threshold {threshold}: {sum(flags[bands, threshold])} of {len(sketches)} flagged, "
              f"{similar} pairs is_similar, RMinHashDeduplicator drops {dropped}")
        if threshold >= 0.8:
            assert similar == dropped == 0
    assert flags[bands, 0.5] == flags[bands, 0.8] == flags[bands, 0.99]
assert sum(flags[32, 0.99]) > len(sketches) * 0.8 and 0 < sum(flags[16, 0.99]) < len(sketches) * 0.3
PY
echo "as described: the flags ignore the threshold"
