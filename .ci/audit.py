"""Ask an advisory database about all that the lock files name: `make audit` runs it.

A known vulnerability ends in exit code 1. Where no database can be reached, that is said, and is no
failure. The version matrix is left out: it tries other versions because people have them.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pinned import lock_files

SERVICES = ("pypi", "osv")
# What pip-audit's failures say where a database can't be reached, or does not answer.
UNREACHABLE = re.compile(
    r"ConnectionError|Timeout|Max retries|Failed to resolve|HTTPError|[Pp]roxy"
)


class UnreachableError(Exception):
    """No advisory database answered."""


def dependencies(lock: Path, service: str) -> list[dict]:
    """Ask a database about a lock file; each dependency has `vulns`, or a `skip_reason`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = (
            *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
            *("--require-hashes", "--disable-pip", "--progress-spinner", "off"),
            *("--vulnerability-service", service, "--timeout", "10"),
            *("--format", "json", "--output", answer.name),
        )
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        text = Path(answer.name).read_text()
    if text:
        return json.loads(text)["dependencies"]
    if UNREACHABLE.search(result.stderr):
        raise UnreachableError(result.stderr.strip().splitlines()[-1][:200])
    sys.exit(f"audit: {lock.name}: {result.stderr.strip()[-3000:]}")


def looked_up() -> list[Path]:
    return [lock for lock in lock_files() if lock.parent.name != "matrix"]


def find_service() -> str:
    """Return the database that knows what the smallest lock file names.

    Raises:
        UnreachableError: None does: a mirror of the registry often answers, but knows nothing.
    """
    reasons = []
    for service in SERVICES:
        try:
            if any("vulns" in item for item in dependencies(looked_up()[0], service)):
                return service
            reasons.append(f"{service} knows none of the packages")
        except UnreachableError as error:
            reasons.append(f"{service}: {error}")
    raise UnreachableError("; ".join(reasons))


def vulnerabilities(service: str) -> Iterator[str]:
    for lock in looked_up():
        found = dependencies(lock, service)
        for item in found:
            for vulnerability in item.get("vulns", ()):
                fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
                yield (
                    f"{lock.name}: {item['name']} {item['version']} has {vulnerability['id']}, "
                    f"fixed in {fixed}"
                )
        skipped = [item["name"] for item in found if "skip_reason" in item]
        print(f"audit: {lock.name}: {len(found) - len(skipped)} packages looked up by {service}")
        if skipped:
            print(f"audit: {lock.name}: it knows nothing of {', '.join(skipped)}")


def main() -> int:
    found = []
    try:
        for text in vulnerabilities(find_service()):
            found.append(text)
            print(f"audit: {text}")
    except UnreachableError as error:
        print(f"audit: SKIPPED, for no advisory database can be reached: {error}")
    else:
        print(f"audit: {len(found)} known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
