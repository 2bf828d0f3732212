"""The manifest beside a Parquet output: it speaks for this output alone, and no reader meets it."""

import json
import shutil

import pyarrow as pa
import pytest

from dedup_lib.errors import DedupError, OutputExistsError, StorageError
from dedup_lib.publish import promote
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.tables import manifest
from dedup_lib.tables.directory import MANIFEST_NAME
from tests.support.faults.in_process import StoppedError
from tests.support.tables.made import image_rows, manifest_at, note_of, write_list, write_parquet


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def keyed(remove, images, listed, out):
    """Remove the duplicates with a run key, and tell whether this was a repeat."""

    def keyed(key="k", **settings):
        return remove(images, listed, out, run_key=key, **settings).repeated

    return keyed


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_a_published_directory_holds_parquet_files_and_an_empty_marker(keyed, out, engine):
    """As Polars and Daft need it. Spark itself leaves checksums on a local disk."""
    keyed(engine=engine)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    others = {name for name in names if not name.endswith(".parquet")}
    if engine == "spark":
        others -= {name for name in others if name.endswith(".crc")}
    assert others == {"_SUCCESS"}
    assert (out / "_SUCCESS").read_bytes() == b""


def test_a_key_is_known_as_long_as_its_output_is_there(keyed, out):
    keyed()
    assert keyed()
    (out / "more.parquet").write_bytes(next(out.glob("*.parquet")).read_bytes())
    assert keyed()  # what another program added makes it no other output
    shutil.rmtree(out)
    assert not keyed()
    assert keyed()


def test_a_key_does_not_count_for_another_output_at_its_place(keyed, out, images):
    keyed()
    shutil.rmtree(out)
    shutil.copytree(images, out)
    with pytest.raises(OutputExistsError):
        keyed()
    assert not keyed(output_mode="overwrite")
    assert keyed()


def test_the_earlier_key_counts_if_its_output_was_not_replaced_in_the_end(keyed, out, monkeypatch):
    def stop(*args):
        raise StoppedError

    keyed("first")
    with monkeypatch.context() as patch:
        patch.setattr(promote, "replace", stop)
        with pytest.raises(StoppedError):
            keyed("second", output_mode="overwrite")
    assert note_of(out)["run_key"] == "first"
    assert keyed("first")
    assert not keyed("second", output_mode="overwrite")
    assert keyed("second")
    assert not keyed("first", output_mode="overwrite")


def sizes(output):
    return sorted((path.name, path.stat().st_size) for path in output.glob("*.parquet"))


def test_an_output_of_the_same_names_and_sizes_is_another_output(
    remove, images, keyed, out, tmp_path
):
    """A run was killed after it noted its output, before it replaced the earlier one."""
    rows = image_rows(["a", "b", "c", "d"])
    alike = rows.set_column(1, "image", pa.array([name * 50 for name in (b"1", b"2", b"3", b"4")]))
    shutil.rmtree(images)
    write_parquet(alike, images / "1.parquet", use_dictionary=False, compression="none")
    keyed("first", engine="arrow")
    other = write_list(tmp_path / "list-c/1.parquet", ["c"])
    second = {"run_key": "second", "engine": "arrow"}
    remove(images, other, tmp_path / "other", **second)
    assert sizes(out) == sizes(tmp_path / "other")
    noted = [json.loads(manifest_at(it).read_text()) for it in (out, tmp_path / "other")]
    both = {"outputs": [*noted[0]["outputs"], *noted[1]["outputs"]]}
    manifest_at(out).write_text(json.dumps(both))
    assert keyed("first", engine="arrow")
    with pytest.raises(OutputExistsError):
        remove(images, other, out, **second)


def test_a_copy_of_the_images_is_another_output(keyed, out, images, monkeypatch):
    """`arrow` copies files that lose no row, and not every file is noted."""
    write_parquet(image_rows(["x"]), images / "0.parquet")
    monkeypatch.setattr(manifest, "_MOST_FILES", 1)
    keyed(engine="arrow")
    assert keyed(engine="arrow")
    assert (out / "0.parquet").read_bytes() == (images / "0.parquet").read_bytes()
    shutil.rmtree(out)
    shutil.copytree(images, out)
    with pytest.raises(OutputExistsError):
        keyed(engine="arrow")


def test_the_key_counts_if_an_error_hides_that_the_output_was_published(keyed, out, monkeypatch):
    rename = HadoopStorage.rename

    def renamed(storage, source, target):
        rename(storage, source, target)
        if target.endswith("/out"):
            raise StorageError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(HadoopStorage, "rename", renamed)
        with pytest.raises(DedupError, match="no answer"):
            keyed()
    assert keyed()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"outputs": []}',
        '{"outputs": null}',
        '{"outputs": [1, {}]}',
        '{"outputs": [{"files": [], "note": {}}]}',
        '{"outputs": [{"files": [["/a", [], {}]], "note": {}}]}',
    ],
)
def test_a_damaged_manifest_makes_no_output_a_repeat(keyed, out, damage):
    keyed()
    manifest_at(out).write_text(damage)
    with pytest.raises(OutputExistsError):
        keyed()


def test_the_manifest_that_an_earlier_build_left_in_the_output_still_counts(keyed, out):
    keyed()
    (out / MANIFEST_NAME).write_text(json.dumps(note_of(out)))
    manifest_at(out).unlink()
    assert keyed()


def test_directories_of_outputs_are_read_as_one_table(remove, images, listed, tmp_path, keyed, out):
    """Their manifests are beside them, so within it."""
    both = tmp_path / "both"
    for split in ("train", "test"):
        remove(images, listed, both / f"split={split}")
    assert manifest_at(both / "split=test").exists()
    report = remove(both, listed, out, allow_no_matches=True)
    assert report.counts["input_rows"] == 6
