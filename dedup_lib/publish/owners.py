"""Name hidden files beside an output, and tell whether the run that owns them still lives."""

from __future__ import annotations

import json
import os
import socket
import uuid
from pathlib import Path

_PROCESS_TOKEN = uuid.uuid4().hex


def sibling(location: str, suffix: str) -> str:
    """Return a hidden name beside a canonical location."""
    parent, _, name = location.rpartition("/")
    return f"{parent}/.{name}.dedup-{suffix}"


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
    if (host, machine) != (socket.gethostname(), _machine()):
        return False
    if pid == os.getpid():
        return bool(process != _PROCESS_TOKEN)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended, but its parent has not collected it.

    That is the usual end in a container without an init. The answer is False if /proc numbers the
    processes of an outer container. It is also False if only the process's first thread has ended.
    """
    try:
        is_ours = str(Path("/proc/self").readlink()) == str(os.getpid())
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = status.rpartition(")")[2].split()
    return is_ours and fields[0] in {"Z", "X"} and int(fields[17]) <= 1


def _machine() -> list[str]:
    """Return what tells apart machines and containers of the same name.

    Each of them numbers its own processes. If the system does not tell, the name alone must do.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return []
