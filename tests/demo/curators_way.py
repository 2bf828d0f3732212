"""The demo's way of NeMo Curator: shards, a list of its IDs, shards again, read by webdataset."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.demo import near_duplicates
from tests.demo.steps import Json, Places, check, size_mb, step, submit_aloud

Members = dict[str, bytes]
Samples = dict[str, Members]


def show(places: Places, images: pa.Table, listed: Sequence[str]) -> None:
    """Write the pictures as shards, remove near-duplicates by Curator's IDs, and read what stays.

    Args:
        places: Where the demo keeps what it makes.
        images: The image table.
        listed: The near-duplicates by their IDs in the image table.
    """
    if importlib.util.find_spec("webdataset") is None:
        print("\nNo shards: they need webdataset")
        return
    with step("NeMo Curator's way: the same pictures as shards, and a list of its IDs"):
        write_shards(images, places.shards)
        ids = curator_ids(images)
        gone = [image_id for image_id in listed if image_id in ids]
        near_duplicates.write_list([ids[image_id] for image_id in gone], places.curator_list)
        print_inputs(places, ids, gone)
    with step("Remove them: shards again, with all that belongs to a picture that stays"):
        report = submit(places)
        check_counts(report, images, ids, gone)
    with step("Read the shards back by the webdataset package"):
        compare(places, images, gone)


def curator_ids(images: pa.Table) -> dict[str, str]:
    """Number the JPEG pictures of each shard from 0, as Curator does: other suffixes don't count.

    Returns:
        Curator's ID of each JPEG, by its ID in the image table, which counts all pictures.
    """
    found = {}
    for shard, rows in rows_by_shard(images):
        jpegs = (row["image_id"] for row in rows if row["format"] == "JPEG")
        found.update({image_id: f"{shard}_{n:06d}" for n, image_id in enumerate(jpegs)})
    return found


def write_shards(images: pa.Table, directory: Path) -> None:
    """Write the pictures as img2dataset does, by webdataset: picture, facts and caption."""
    import webdataset as wds

    directory.mkdir(parents=True)
    for shard, rows in rows_by_shard(images):
        with wds.TarWriter(f"{directory}/{shard}.tar") as writer:
            for row in rows:
                writer.write({"__key__": key_of(row["image_id"]), **members_of(row)})


def read_shards(directory: Path) -> dict[str, Samples]:
    """Read shards by webdataset: names of shards, keys of samples, suffixes of members."""
    found = {}
    for path in sorted(directory.glob("*.tar")):
        found[path.stem] = {
            sample["__key__"]: {
                name: data for name, data in sample.items() if not name.startswith("__")
            }
            for sample in samples_in(path)
        }
    return found


def samples_in(shard: Path) -> list[dict[str, Any]]:
    import webdataset as wds

    with warnings.catch_warnings():  # it closes no file
        warnings.simplefilter("ignore", ResourceWarning)
        return list(wds.WebDataset(str(shard), shardshuffle=False))


def expected_shards(images: pa.Table, gone: Sequence[str]) -> dict[str, Samples]:
    """What must be in the shards without some pictures."""
    left = set(images["image_id"].to_pylist()).difference(gone)
    return {
        shard: {key_of(row["image_id"]): members_of(row) for row in rows if row["image_id"] in left}
        for shard, rows in rows_by_shard(images)
    }


def rows_by_shard(images: pa.Table) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    rows = images.to_pylist()
    for shard, group in itertools.groupby(rows, key=lambda row: row["image_id"].partition("_")[0]):
        yield shard, list(group)


def key_of(image_id: str) -> str:
    """The key of a picture: its shard, and its position, as img2dataset writes it."""
    shard, _, position = image_id.partition("_")
    return f"{shard}{int(position):04d}"


def members_of(row: dict[str, Any]) -> Members:
    """The members of a sample, by suffix."""
    suffix = "jpg" if row["format"] == "JPEG" else row["format"].lower()
    facts = {name: row[name] for name in ("width", "height", "source")}
    caption = row["caption"].encode()
    return {suffix: row["image"], "json": json.dumps(facts).encode(), "txt": caption}


def submit(places: Places) -> Json:
    """Run the job on the shards through spark-submit."""
    arguments = ["--images", str(places.shards), "--image-id-from", "curator"]
    arguments += ["--duplicate-ids", str(places.curator_list)]
    arguments += ["--output", str(places.kept_shards), "--output-format", "webdataset"]
    return submit_aloud([*arguments, "--report", str(places.report("kept-shards"))], places)


def check_counts(report: Json, images: pa.Table, ids: dict[str, str], gone: Sequence[str]) -> None:
    """See that the report's books are those of the shards, and print them."""
    names = ("input_rows", "null_id_rows", "removed_rows", "kept_rows", "list_unmatched_ids")
    counts = {name: report["counts"][name] for name in names}
    total = images.num_rows
    expected = (total, total - len(ids), len(gone), total - len(gone), 0)
    check("counts of the shards", counts, dict(zip(names, expected, strict=True)))
    print(
        f"   {total:,} samples = {total - len(gone):,} kept + {len(gone):,} removed; "
        f"{total - len(ids):,} without a number of Curator's stay"
    )


def compare(places: Places, images: pa.Table, gone: Sequence[str]) -> None:
    """See that each shard has the samples that stay, in their order, and each member its bytes."""
    found = read_shards(places.kept_shards)
    expected = expected_shards(images, gone)
    check("shards", sorted(found), sorted(expected))
    for shard, samples in expected.items():
        check(f"keys in {shard}.tar", list(found[shard]), list(samples))
        check(f"SHA-256 of the members of {shard}.tar", digest(found[shard]), digest(samples))
    members = [one for samples in found.values() for sample in samples.values() for one in sample]
    num_samples = sum(map(len, found.values()))
    print(
        f"   {places.kept_shards}: {len(found)} shards, {num_samples:,} samples, "
        f"{len(members):,} members, {size_mb(places.kept_shards)}\n"
        "   each is the same as it was written, to the byte, and in its place"
    )


def digest(samples: Samples) -> str:
    """Return a SHA-256 over keys, suffixes and bytes of all members."""
    lines = [
        f"{key}.{suffix} {hashlib.sha256(data).hexdigest()}"
        for key, members in samples.items()
        for suffix, data in sorted(members.items())
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def print_inputs(places: Places, ids: dict[str, str], gone: Sequence[str]) -> None:
    """Say what is in the shards and in the list."""
    num_shards = len(list(places.shards.iterdir()))
    example = max(gone)
    print(
        f"   {places.shards}: {num_shards} shards, {size_mb(places.shards)}; a picture, its facts "
        f"and its caption are a sample\n"
        f"   {places.curator_list}: {len(gone):,} IDs, which are positions\n"
        f"   Curator counts only .jpg: {ids[example]} is the picture {key_of(example)}.jpg"
    )
