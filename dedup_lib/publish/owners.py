"""Tell which run owns a hidden file beside an output, and whether that run is still alive."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import uuid
from pathlib import Path

_PROCESS_TOKEN = uuid.uuid4().hex
# The attempts of this process that have ended.
_ENDED: set[str] = set()
# Those of them that published nothing, and never will.
_WITHOUT_RESULT: set[str] = set()
_NAME = re.compile(
    r"dedup-(?P<attempt>[0-9a-f]{12})-(?P<pid>\d+)-(?P<process>\w+)-(?P<machine>\w+)"
)


def owner_text(attempt_id: str) -> str:
    """Return the text that identifies an attempt: its name, machine and process."""
    return json.dumps(
        {
            "attempt": attempt_id,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "process": _PROCESS_TOKEN,
        }
    )


def died_here(owner: str) -> bool:
    """Tell whether an owner was a process of this machine and has ended; False if unsure."""
    try:
        values = json.loads(owner)
        host, pid, process = values["host"], int(values["pid"]), values["process"]
        machine = values.get("machine")
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    is_here = (host, machine) == (socket.gethostname(), _machine())
    return is_here and _has_ended(pid, is_own=process == _PROCESS_TOKEN)


def owner_name(attempt_id: str) -> str:
    """Return a name that identifies an attempt and its process, where no owner file can be."""
    return f"dedup-{attempt_id}-{os.getpid()}-{_PROCESS_TOKEN[:12]}-{_machine_digest()}"


def is_owner_name(name: str) -> bool:
    """Tell whether `owner_name` made a name."""
    return _NAME.fullmatch(name) is not None


def named_died_here(name: str) -> bool:
    """Tell whether the owner in a name was a run on this machine and has ended, if certain."""
    found = _NAME.fullmatch(name)
    if found is None or found["machine"] != _machine_digest():
        return False
    is_own = found["process"] == _PROCESS_TOKEN[:12]
    return (is_own and found["attempt"] in _ENDED) or _has_ended(int(found["pid"]), is_own=is_own)


def note_ended(attempt_id: str) -> None:
    """Note that an attempt of this process has ended, so that a later one may take its place."""
    _ENDED.add(attempt_id)


def note_without_result(attempt_id: str) -> None:
    """Note that an attempt of this process published nothing, and never will."""
    _WITHOUT_RESULT.add(attempt_id)


def named_without_result(name: str) -> bool:
    """Tell whether the owner in a name was an attempt of this process that published nothing."""
    found = _NAME.fullmatch(name)
    return (
        found is not None
        and found["attempt"] in _WITHOUT_RESULT
        and owner_name(found["attempt"]) == name
    )


def _machine_digest() -> str:
    text = json.dumps([socket.gethostname(), _machine()])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _has_ended(pid: int, *, is_own: bool) -> bool:
    """Tell whether a process of this machine has ended; False if unsure."""
    if pid == os.getpid():
        return not is_own
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended, but its parent has not collected it.

    This is usual in a container without an init process. The answer is False if /proc numbers the
    processes of an outer container, or if only the first thread of the process has ended.
    """
    try:
        is_ours = str(Path("/proc/self").readlink()) == str(os.getpid())
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = status.rpartition(")")[2].split()
    return is_ours and fields[0] in {"Z", "X"} and int(fields[17]) <= 1


def _machine() -> list[str]:
    """Return an ID that differs between machines and containers, even if their names are equal.

    Each machine numbers its own processes. If the system gives no ID, only the name is used.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return []
