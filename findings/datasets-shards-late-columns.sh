#!/usr/bin/env bash
# datasets 5.2.0: captions of tar shards vanish if the first five samples have none
#
# Expected: a column for each suffix that a shard's samples have, None where a sample lacks it; or an error.
# Happens:  load_dataset("webdataset") takes its columns from the first five samples of the first shard. What only
#           later samples have is dropped, without a warning, with streaming and without. So the order of samples, which
#           says nothing, decides about a column; the same shard in reverse order gives all captions. If one of the five has
#           a caption, and another has none, it is an error, so it's the uniform beginning that loses data.
#           webdataset 1.0.2 yields all members of each sample in both orders.
# Hurts:    shards where captions, masks or labels were added to a part of the images; and shards from which duplicates
#           were taken: that changes which samples are the first five. Put a complete sample first, or give `features`.
# Versions: datasets 5.2.0, webdataset 1.0.2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 webdataset==1.0.2
cd "$work"
export HF_HOME="$work/home" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
venv/bin/python - <<'PY'
import io
import tarfile
import warnings

import datasets
import webdataset
from datasets import load_dataset

print("datasets", datasets.__version__, "webdataset", webdataset.__version__)


def write(name, samples):
    with tarfile.open(name, "w") as tar:
        for key, members in samples:
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def captions(name, streaming):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        rows = load_dataset("webdataset", data_files={"train": [name]}, split="train", streaming=streaming)
        found = sum(row.get("txt") is not None for row in rows)
    assert not [one for one in warned if "txt" in str(one.message)], warned
    return found


samples = [(f"{n:04}", {"cls": b"%d" % (n % 3)}) for n in range(100)]
for number, (_, members) in enumerate(samples):
    if number >= 5:
        members["txt"] = b"caption %d" % number
write("late.tar", samples)
write("early.tar", list(reversed(samples)))
by_webdataset = [
    sum("txt" in sample for sample in webdataset.WebDataset(name, shardshuffle=False))
    for name in ("late.tar", "early.tar")
]
print("captions by webdataset, in both orders:", *by_webdataset)
assert by_webdataset == [95, 95]
by_datasets = [captions(name, streaming) for name in ("late.tar", "early.tar") for streaming in (False, True)]
print("captions by datasets: late", *by_datasets[:2], "early", *by_datasets[2:])
assert by_datasets == [0, 0, 95, 95]
samples[3][1]["txt"] = b"a caption among the first five"
write("mixed.tar", samples)
try:
    captions("mixed.tar", streaming=True)
    raise SystemExit("a shard whose first five samples differ is read now")
except ValueError as error:
    print("one of the first five has a caption: ValueError:", str(error).splitlines()[0][:80])
PY
echo "as described: 95 captions are gone, without a word, where the first five samples have none"
