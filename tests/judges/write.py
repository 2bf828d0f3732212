"""Write shards by the programs that people write them with, and lists; runs in their environment.

    python -m tests.judges.write FOLDER

Below the folder comes a directory for each writer: `shards/`, `by-key/` (a list of keys, of every
third sample), `by-1/` and `by-2/` (lists of NeMo Curator's IDs, of one or two shards in a task) and
`kept-1.json`, `kept-2.json`: what Curator's stage keeps.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset as wds
from PIL import Image

from tests.judges import curator

SHARDS, SAMPLES = 3, 8
Sample = dict[str, bytes]


def image(number: int, kind: str = "JPEG") -> bytes:
    """A picture of noise; its size says which it is, whatever a decoder makes of the noise."""
    height, width = 16 + number // 64, 16 + number % 64
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def samples() -> Iterator[tuple[int, int, Sample]]:
    """Shard, number and members of each sample, as img2dataset orders members."""
    for number in range(SHARDS * SAMPLES):
        facts = json.dumps({"uid": f"uid-{number}", "width": 16 + number % 64})
        members = {"jpg": image(number), "json": facts.encode(), "txt": b"caption %d" % number}
        yield number // SAMPLES, number, members


def by_shard() -> Iterator[tuple[int, list[tuple[int, Sample]]]]:
    for shard, group in itertools.groupby(samples(), key=lambda one: one[0]):
        yield shard, [(number, members) for _, number, members in group]


def by_webdataset(shards: Path) -> None:
    with wds.ShardWriter(f"{shards}/%05d.tar", maxcount=SAMPLES, verbose=0) as writer:
        for _, number, members in samples():
            mask = {"seg.png": image(number, "PNG")}
            writer.write({"__key__": f"{number:06d}", **members, **mask})


def like_img2dataset(shards: Path) -> None:
    """By its own calls of webdataset: in order of arrival, with the files beside the shards."""
    for shard, group in by_shard():
        rows = []
        with wds.TarWriter(f"{shards}/{shard:05d}.tar") as writer:
            for number, members in sorted(group, key=lambda one: -one[0] % 5):
                key = f"{shard:05d}{number % SAMPLES:04d}"
                writer.write({"__key__": key, **members})
                rows.append({"key": key, "status": "success", "uid": f"uid-{number}"})
        rows.append({"key": f"{shard:05d}9999", "status": "failed_to_download", "uid": None})
        pq.write_table(pa.Table.from_pylist(rows), f"{shards}/{shard:05d}.parquet")
        Path(f"{shards}/{shard:05d}_stats.json").write_text('{"count": 9}')


def by_tarfile(shards: Path) -> None:
    """Three forms of headers; directories, long names, members of no sample, other suffixes."""
    forms = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    for (shard, group), form in zip(by_shard(), forms, strict=True):
        with tarfile.open(f"{shards}/part.{shard}.tar", "w", format=form) as tar:
            tar.addfile(tarfile.TarInfo("README"))
            for number, members in group:
                folder = "a/b.c" if number % 4 else "d" * 60 + "/" + "e" * 50
                for suffix, data in members.items():
                    info = tarfile.TarInfo(f"{folder}/{number:03d}.{suffix}")
                    if number == 15 and suffix == "jpg":
                        info.name = f"{folder}/{number:03d}.jpeg"
                    info.size, info.mtime, info.uname = len(data), 1_700_000_000, "someone"
                    tar.addfile(info, io.BytesIO(data))


def by_gnu_tar(shards: Path) -> None:
    """`tar -C directory .`, so that each name begins with `./`; its default form, and POSIX."""
    for shard, group in by_shard():
        files = shards.parent / f"files-{shard}"
        files.mkdir()
        for number, members in group:
            for suffix, data in members.items():
                (files / f"{number:03d}.{suffix}").write_bytes(data)
        form = ("gnu", "posix", "ustar")[shard]
        target = f"{shards}/{shard}.tar"
        command = ["tar", "--sort=name", f"--format={form}", "-C", str(files), "-cf", target, "."]
        subprocess.run(command, check=True)


def by_curator(shards: Path) -> None:
    source = shards.parent / "source"
    source.mkdir()
    by_webdataset(source)
    curator.write(curator.read(source), shards)


WRITERS: dict[str, Callable[[Path], None]] = {
    "webdataset": by_webdataset,
    "img2dataset's calls": like_img2dataset,
    "tarfile": by_tarfile,
    "GNU tar": by_gnu_tar,
    "NeMo Curator": by_curator,
}


def keys_in(shards: Path) -> list[str]:
    """The keys, as webdataset reads them."""
    paths = [str(path) for path in sorted(shards.glob("*.tar"))]
    return [one["__key__"] for one in wds.WebDataset(paths, shardshuffle=False)]


def main(folder: Path) -> None:
    for name, writer in WRITERS.items():
        place = folder / name
        (place / "shards").mkdir(parents=True)
        writer(place / "shards")
        (place / "by-key").mkdir()
        listed = pa.table({"id": keys_in(place / "shards")[::3]})
        pq.write_table(listed, place / "by-key/0.parquet")
        for each in (1, 2):
            batches = curator.read(place / "shards", each)
            kept = curator.remove(batches, place / f"by-{each}")
            (place / f"kept-{each}.json").write_text(json.dumps(kept))


if __name__ == "__main__":
    main(Path(os.path.abspath(sys.argv[1])))  # noqa: PTH100  # links stay as they are
