#!/usr/bin/env bash
# difPy 4.2.1: white is "similar" to black, and different pictures are "duplicates", because its error wraps at 256
#
# Expected: the mean squared error of black against white is 65,025, that of red against white 43,350.
# Happens:  difPy subtracts and squares 8-bit numbers without widening them, so each step is taken modulo 256.
#           255 squared is 1 and 16 squared is 0. Black against white gets 1, red against white 0.67, both below
#           the 5 of similarity='similar'. Icons whose levels differ by multiples of 16 get 0, exact
#           'duplicates'. No error can pass 255, and unrelated pictures get some 100, so a
#           threshold of 150 of one's own, small for a squared error, matches everything.
# Hurts:    blank tiles of any colour, black-and-white icons and posterised ones are all copies of one another: the
#           list of lower quality holds all of them but one, and delete() would delete those.
# Versions: difPy 4.2.1, numpy 2.4.6, pillow 13.0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check difPy==4.2.1 numpy==2.4.6 pillow==13.0.0
cd "$work"
cat >run.py <<'PY'
import os
from importlib.metadata import version

import numpy as np
from PIL import Image


def save(folder, name, pixels, size=50):
    os.makedirs(folder, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).resize((size, size), Image.Resampling.BICUBIC).save(f"{folder}/{name}.png")


def search(folder, similarity):
    build = difPy.build(folder, show_progress=False, processes=1)
    found = difPy.search(build, similarity=similarity, show_progress=False, processes=1)
    pairs = {frozenset((os.path.basename(a)[:-4], os.path.basename(b[0])[:-4])): float(b[1])
             for a, matches in found.result.items() for b in matches}
    return pairs, [os.path.basename(path) for path in found.lower_quality]


if __name__ == "__main__":
    import difPy

    print(*(f"{p} {version(p)}" for p in ("difPy", "numpy", "pillow")))
    random = np.random.default_rng(0)
    for name, colour in (("black", (0, 0, 0)), ("white", (255, 255, 255)), ("red", (255, 0, 0))):
        save("plain", name, np.tile(colour, (10, 10, 1)), 400)
    for number in range(6):  # 50 pixels wide, the size that difPy compares at, so nothing blurs them
        save("icons", f"icon{number}", np.repeat(random.integers(0, 2, (50, 50, 1)) * 255, 3, axis=2))
        save("posters", f"poster{number}", random.integers(0, 16, (50, 50, 3)) * 16)
        save("photos", f"photo{number}", random.integers(0, 256, (6, 6, 3)), 400)

    pairs, _ = search("plain", "similar")
    print("plain colours, 'similar':", {" ".join(sorted(k)): round(v, 2) for k, v in pairs.items()})
    assert round(pairs[frozenset(("black", "white"))], 2) == 1 and round(pairs[frozenset(("red", "white"))], 2) == 0.67
    for folder, similarity in (("icons", "similar"), ("posters", "duplicates"), ("photos", "similar"), ("photos", 150)):
        found, to_go = search(folder, similarity)
        errors = f", errors {min(found.values()):.1f} to {max(found.values()):.1f}" if found else ""
        print(f"6 unrelated {folder}, {similarity!r}: {len(found)} matches{errors}, to go: {len(to_go)}")
        assert len(to_go) == (0 if (folder, similarity) == ("photos", "similar") else 5)
PY
venv/bin/python run.py
echo "as described: differences of 16 count as none, and white is next to black"
