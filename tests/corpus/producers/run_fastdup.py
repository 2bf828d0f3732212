"""fastdup 2.54: the tables in its working directory."""

import os
import shutil
import sys
from pathlib import Path

KEPT = ("similarity.csv", "connected_components.csv", "outliers.csv", "atrain_features.dat.csv")


def main(pictures: Path, out: Path) -> None:
    """Run fastdup on the pictures; it compares them by a model that it brings along."""
    os.environ["FASTDUP_REPORT"] = "0"  # it reports each run to its makers otherwise
    import fastdup

    work = out / "work"
    fastdup.run(input_dir=str(pictures), work_dir=str(work), num_threads=1)
    for name in KEPT:
        shutil.copy(work / name, out / name)
    shutil.rmtree(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
