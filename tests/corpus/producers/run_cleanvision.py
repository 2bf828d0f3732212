"""cleanvision 0.3.7: its table of issues, and the sets that it tells only in memory."""

import json
import sys
from pathlib import Path

from cleanvision import Imagelab


def main(pictures: Path, out: Path) -> None:
    """Look for exact and near duplicates, and save what it found."""
    lab = Imagelab(data_path=str(pictures))
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
    lab.issues.to_csv(out / "issues.csv")
    sets = {kind: lab.info[kind]["sets"] for kind in ("exact_duplicates", "near_duplicates")}
    (out / "sets.json").write_text(json.dumps(sets, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
