"""The limit: a plain copy of as many bytes as the kept rows weigh, and no thought given to rows."""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve


class PlainCopy(Peer):
    def work(self, request: Request) -> Options:
        folder, left = request.make_output(), request.kept_bytes
        for number, path in enumerate(request.image_files()):
            left -= copy(path, folder / f"{number:05}.copied", left)
            if left <= 0:
                break
        return {"copied_bytes": request.kept_bytes - left}


def copy(path: Path, target: Path, limit: int) -> int:
    """Copy a file, or its first bytes; return how many."""
    wanted = left = min(path.stat().st_size, limit)
    with path.open("rb") as source, target.open("wb") as copied:
        while left > 0:
            left -= os.copy_file_range(source.fileno(), copied.fileno(), left)
    return wanted


if __name__ == "__main__":
    serve(PlainCopy)
