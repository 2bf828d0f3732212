"""What a Python worker of Spark is left with."""

import contextlib
import gc
import importlib
import sys
import zipfile
from zipimport import zipimporter

import pytest

from dedup_lib.executor import worker


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive like pyspark.zip, from which a package was imported."""
    path = tmp_path / "like_pyspark.zip"
    with zipfile.ZipFile(path, "w") as written:
        for name in ("__init__", "one", "two"):
            written.writestr(f"of_an_archive/{name}.py", "")
    monkeypatch.syspath_prepend(str(path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    importlib.import_module("of_an_archive.one")
    return str(path)


def archives_in_cache():
    """Each of these is read again before the next task."""
    found = sys.path_importer_cache.items()
    return {path for path, importer in found if isinstance(importer, zipimporter)}


def test_spark_s_archives_are_not_read_again_before_each_task(archive):
    assert {archive, f"{archive}/of_an_archive"} <= archives_in_cache()
    others = set(sys.path_importer_cache) - archives_in_cache()
    assert worker.run(lambda one, other: one + other, 1, 2) == 3
    assert set(sys.path_importer_cache) == others
    importlib.import_module("of_an_archive.two")


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_function_runs_without_gc_which_is_then_as_before(is_enabled, fails):
    @worker.without_gc
    def run(given, *, named):
        if fails:
            raise ValueError
        return gc.isenabled(), given, named

    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with pytest.raises(ValueError) if fails else contextlib.nullcontext():
            assert run(1, named=2) == (False, 1, 2)
        assert gc.isenabled() == is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
