#!/usr/bin/env bash
# difPy 4.2.1 + NumPy 2: the list of images of lower quality can't be read back, and its order changes from run to run
#
# Expected: …_lower_quality.txt holds paths that a program can read again, the same for the same folder.
# Happens:  the file is the text that Python makes of a list of NumPy strings. NumPy 2 spells these np.str_('…'), so
#           the file is neither JSON, nor a list of Python (ast.literal_eval refuses it), nor a path in each line. With
#           NumPy 1.26 the same file is a list of Python. difPy asks for "numpy" of any version. The results in
#           JSON, beside it, are not affected.
# Hurts:    scripts that read this file to delete or to filter stop after an upgrade of NumPy, or, if they search for
#           quotes and commas, go on with texts such as np.str_('/a.png' that match no image: nothing is removed.
# Versions: difPy 4.2.1, numpy 2.4.6 and 1.26.4, pillow 11.3.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >run.py <<'PY'
import ast
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image

if __name__ == "__main__":
    from difPy import dif

    random = np.random.default_rng(0)
    pictures, out = pathlib.Path("pictures").absolute(), pathlib.Path("out").absolute()
    pictures.mkdir(exist_ok=True)
    for number in range(3):
        pixels = Image.fromarray(random.integers(0, 256, (6, 6, 3)).astype(np.uint8)).resize((200, 200))
        for copy in "ab":
            pixels.save(pictures / f"{number}{copy}.png")
    subprocess.run([sys.executable, dif.__file__, "-D", str(pictures), "-Z", str(out), "-ro", "False", "-p", "False", "-proc", "1"],
                   check=True, stdout=subprocess.DEVNULL)
    [found] = out.glob("*lower_quality.txt")
    text = found.read_text().strip().replace(str(pictures), "")
    try:
        readable = len(ast.literal_eval(text))
    except ValueError:
        readable = None
    print(f"numpy {np.__version__}: {text}; as a list of Python: {readable or 'refused'}")
    assert (readable is None and "np.str_(" in text) if np.__version__.startswith("2.") else readable == 3
PY
for numpy in 1.26.4 2.4.6; do
  python3 -m venv "venv-$numpy"
  "venv-$numpy/bin/pip" install --quiet --disable-pip-version-check difPy==4.2.1 "numpy==$numpy" pillow==11.3.0
  rm -rf out
  "venv-$numpy/bin/python" run.py
done
echo "as described: with NumPy 2 the list is no list any more"
