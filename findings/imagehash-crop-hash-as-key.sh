#!/usr/bin/env bash
# imagehash 4.3.2: two crop-resistant hashes that are equal (==) are still two keys of a set or dict
#
# Expected: objects that compare equal have one hash(), as Python's data model demands, so a set, a dict,
#           Counter, groupby or drop_duplicates puts them together.
# Happens:  crop_resistant_hash() gives an object whose == means "some segment is within the tolerance", while
#           hash() is made of the exact segments. An image and its crop are == and yet both stay in a set, and
#           `h in dict` says no. The relation isn't transitive either: a collage is == to each of its parts, and
#           the parts are != to each other. And a - b differs from b - a, so that "the distance of a pair"
#           depends on who comes first.
# Hurts:    grouping images by this hash in a dict, the usual way to find duplicates, finds none of those for which
#           the hash was made; comparing all pairs by == and merging puts different pictures into one group.
#           Compare with matches() or a distance in both directions, and don't use these objects as keys.
# Versions: imagehash 4.3.2, pillow 13.0.0, numpy 2.4.6, scipy 1.17.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  imagehash==4.3.2 pillow==13.0.0 numpy==2.4.6 scipy==1.17.1
cd "$work"
venv/bin/python - <<'PY'
from importlib.metadata import version

import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

print(*(f"{p} {version(p)}" for p in ("imagehash", "pillow", "numpy")))


def picture(seed):
    """Bright blobs on dark ground: each blob becomes a segment."""
    random = np.random.default_rng(seed)
    image = Image.new("L", (400, 400), 20)
    draw = ImageDraw.Draw(image)
    for row in range(2):
        for column in range(2):
            left, top = 30 + 200 * column, 30 + 200 * row
            points = [tuple(map(int, random.integers(0, 140, 2) + (left, top))) for _ in range(7)]
            draw.polygon(points, fill=int(random.integers(190, 250)))
    return image.filter(ImageFilter.GaussianBlur(2))


one, other = picture(1), picture(7)
crop = one.crop((0, 0, 400, 300))
collage = Image.new("L", (800, 400))
collage.paste(one, (0, 0))
collage.paste(other, (400, 0))
h = {name: imagehash.crop_resistant_hash(image, min_segment_size=300)
     for name, image in (("one", one), ("crop", crop), ("other", other), ("collage", collage))}
print({name: len(value.segment_hashes) for name, value in h.items()}, "segments")
for a, b in (("one", "crop"), ("one", "collage"), ("other", "collage"), ("one", "other")):
    print(f"{a} and {b}: == {h[a] == h[b]}, keys in a set {len({h[a], h[b]})}, "
          f"{a} - {b} = {h[a] - h[b]:.2f}, {b} - {a} = {h[b] - h[a]:.2f}")
assert h["one"] == h["crop"] and h["crop"] == h["one"]
assert hash(h["one"]) != hash(h["crop"]) and len({h["one"], h["crop"]}) == 2
assert h["crop"] not in {h["one"]: "one.jpg"}
assert h["one"] == h["collage"] and h["collage"] == h["other"] and h["one"] != h["other"]
assert abs((h["one"] - h["collage"]) - (h["collage"] - h["one"])) > 1
PY
echo "as described: equal hashes are two keys, and == is no grouping"
