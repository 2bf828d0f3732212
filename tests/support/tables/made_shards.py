"""Tar shards in memory, made by the standard library and by hand, and what is in them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.members import Layout
from dedup_lib.executor.shards.rewrite import extract_samples, remove_samples
from dedup_lib.executor.shards.samples import Shard, group_samples

END = bytes(1024)
SOURCE = "file:/shards/00000.tar"
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read."""

    num_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.num_bytes += len(data)
        return data


def member(name: str, data: bytes = b"", **changed: object) -> tuple[tarfile.TarInfo, bytes]:
    """One member; without data it holds its own name."""
    info = tarfile.TarInfo(name)
    data = data or name.encode("utf-8", "surrogateescape")
    info.size = len(data)
    for key, value in changed.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.LNKTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """One hard link; or another kind without data."""
    return member(name, type=kind, linkname=target, size=0)


def tar_of(*members: object, form: str = "gnu", pax_headers: dict[str, str] | None = None) -> bytes:
    """A shard of members, or of names."""
    content = io.BytesIO()
    with tarfile.open(
        fileobj=content, mode="w", format=FORMATS[form], pax_headers=pax_headers
    ) as tar:
        for given in members:
            info, data = member(given) if isinstance(given, str) else given
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def write_image_shard(rows: pa.Table, path: Path) -> None:
    """Write a sample for each row that has an ID: image and caption, with PAX headers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = [
        member(f"{row['image_id']}.{suffix}", data, mtime=1.5)
        for row in rows.to_pylist()
        for suffix, data in (("jpg", row["image"]), ("txt", row["caption"].encode()))
        if row["image_id"] is not None
    ]
    path.write_bytes(tar_of(*members, form="pax"))


def member_digests(directory: Path, without: Collection[str] = ()) -> list[str]:
    """The name, the shard and SHA-256 of each member in a directory, without some keys."""
    return [
        f"{path.name} {name} {hashlib.sha256(data).hexdigest()}"
        for path in sorted(directory.glob("*.tar"))
        for name, data in read_by_tarfile(path.read_bytes())
        if name.partition(".")[0] not in without
    ]


def read_image_shards(directory: Path) -> pa.Table:
    """Read IDs, images and captions; fails where a member of a sample lacks."""
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted(directory.glob("*.tar")):
        content = path.read_bytes()
        assert layout_of(content).has_end
        for name, data in read_by_tarfile(content):
            key, _, suffix = name.partition(".")
            samples.setdefault(key, {})[suffix] = data
    return pa.table(
        {
            "image_id": list(samples),
            "image": [members["jpg"] for members in samples.values()],
            "caption": [members["txt"].decode() for members in samples.values()],
        }
    )


def without_end(content: bytes) -> bytes:
    """A shard without its zero blocks."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        last = tar.getmembers()[-1]
    return content[: last.offset_data + -(-last.size // 512) * 512]


def raw_header(name: bytes, size: bytes, kind: bytes = b"0", magic: bytes = b"") -> bytes:
    """A header by hand; without a magic word it is one of v7."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    return with_sum(block)


def with_sum(block: bytes) -> bytes:
    """A header with its checksum."""
    summed = bytearray(block)
    summed[148:156] = b" " * 8
    summed[148:156] = b"%06o\0 " % sum(summed)
    return bytes(summed)


def padded(data: bytes) -> bytes:
    """Data up to the end of a block."""
    return data + bytes(-len(data) % 512)


def layout_of(content: bytes) -> Layout:
    return read_layout(io.BytesIO(content), len(content), SOURCE)


def shard_of(content: bytes) -> Shard:
    return group_samples(layout_of(content))


def indexes_of(shard: Shard, keys: Iterable[str]) -> set[int]:
    by_key = {sample.key: index for index, sample in enumerate(shard.samples)}
    return {by_key[key] for key in keys}


def without(content: bytes, *keys: str) -> bytes:
    """What remains of a shard."""
    shard, sink = shard_of(content), io.BytesIO()
    written = remove_samples(io.BytesIO(content), shard, indexes_of(shard, keys), sink)
    assert written.written_bytes == len(sink.getvalue())
    return sink.getvalue()


def only(content: bytes, *keys: str) -> bytes:
    """What is taken out of a shard."""
    shard, sink = shard_of(content), io.BytesIO()
    written = extract_samples(io.BytesIO(content), shard, indexes_of(shard, keys), sink)
    assert written.written_bytes == len(sink.getvalue())
    return sink.getvalue()


def read_by_tarfile(content: bytes) -> list[tuple[str, bytes]]:
    """Names and data of the files, as Python reads them."""
    with tarfile.open(fileobj=io.BytesIO(content), errors="surrogateescape") as tar:
        return [
            (info.name, tar.extractfile(info).read() if info.isreg() else b"")
            for info in tar.getmembers()
        ]
