"""What the lock files and the lists of jars pin."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JARS = (ROOT / "conf/spark/jars.sha256", *sorted(ROOT.glob("tests/matrix/*.sha256")))


def lock_files() -> list[Path]:
    """Return the lock files, the smallest first."""
    found = [*ROOT.glob("requirements*.lock"), *ROOT.glob("tests/**/*.lock")]
    return sorted(found, key=lambda path: path.stat().st_size)


def packages() -> dict[tuple[str, str], list[str]]:
    """Return the lock files that name each package, by its name and version."""
    places: dict[tuple[str, str], list[str]] = {}
    for path in lock_files():
        for pinned in re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE):
            places.setdefault(pinned, []).append(str(path.relative_to(ROOT)))
    return places


def jars() -> list[tuple[str, str, str]]:
    """Return name, version and SHA-256 of each jar of Delta and Iceberg."""
    lines = dict.fromkeys(line for path in JARS for line in path.read_text().splitlines())
    return [re.fullmatch(r"(\w+)  (.+)-([\d.]+)\.jar", line).group(2, 3, 1) for line in lines]


def group_of(name: str) -> str:
    """Return Maven's group of a jar."""
    return "io.delta" if name.startswith("delta-") else "org.apache.iceberg"
