"""difPy 4.2.1: what its command leaves, and the same with --in_folder."""

import shutil
import subprocess
import sys
from pathlib import Path

from difPy import dif


def main(pictures: Path, out: Path) -> None:
    """Run difPy's own command for each form of its result."""
    for name, in_folder in (("results", "False"), ("in_folder", "True")):
        work = out / "work"
        command = [sys.executable, dif.__file__, "-D", str(pictures), "-Z", str(work)]
        # With "-dim False" it also compares pictures of other sizes.
        flags = ["-s", "20", "-dim", "False", "-ro", "False", "-p", "False", "-proc", "1"]
        subprocess.run([*command, *flags, "-i", in_folder], check=True)
        for path in work.iterdir():
            kind = path.name.split("_", 2)[2]
            if kind != "stats.json":
                shutil.copy(path, out / f"{name}_{kind}")
        shutil.rmtree(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
