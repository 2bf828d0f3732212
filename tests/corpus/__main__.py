"""Make the corpus anew: `python -m tests.corpus`, or a few tools: `python -m tests.corpus difpy`.

Each tool runs in an environment of its own below build/corpus, of up to 6 GB. A file that holds
paths has the paths of `pictures.FOLDER`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.corpus import conversions, pictures, written
from tests.corpus.environments import run_in_own
from tests.support.paths import ROOT

LISTS = Path(__file__).with_name("lists")
BUILD = ROOT / "build/corpus"
CAPTIONS = pictures.FOLDER.with_name("captions.csv")
# Each tool, and what it compares.
TOOLS = {
    "imagededup": pictures.FOLDER,
    "fastdup": pictures.FOLDER,
    "difpy": pictures.FOLDER,
    "cleanvision": pictures.FOLDER,
    "splink": CAPTIONS,
    "daft": CAPTIONS,
    "datatrove": CAPTIONS,
}


def main(tools: list[str]) -> None:
    """Draw the pictures, run the tools, convert what they wrote, and write what others would."""
    pictures.draw(pictures.FOLDER)
    pictures.write_captions(CAPTIONS)
    for tool in tools or TOOLS:
        print(tool, flush=True)
        out = LISTS / tool
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        run_in_own(tool, BUILD, TOOLS[tool], out)
    conversions.convert_all(LISTS)
    written.write_all(LISTS)


if __name__ == "__main__":
    main(sys.argv[1:])
