"""Tables by other programs, as they wrote them (tests/tables): none is refused without need."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import UnreadableFileError
from tests.support.paths import ROOT
from tests.support.tables.made import names_in, write_list

TABLES = ROOT / "tests/tables"


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["id-1"])


def rows(path: Path) -> list[dict[str, object]]:
    return sorted(pq.read_table(path).to_pylist(), key=lambda row: row["image_id"])


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("duckdb_integers", "arrow"),
        ("duckdb_integers", "spark"),
        ("duckdb_uuid", "arrow"),
        ("duckdb_v2", "arrow"),
    ],
)
def test_g3_tables_by_duckdb_stay(remove, listed, tmp_path, name, engine):
    table = TABLES / f"{name}.parquet"
    report = remove(table, listed, tmp_path / "out", engine=engine if engine == "spark" else "auto")
    assert report.engine == engine
    assert rows(tmp_path / "out") == [row for row in rows(table) if row["image_id"] != "id-1"]


def test_an_encoding_that_spark_lacks_is_no_broken_file(remove, listed, tmp_path):
    message = r"BYTE_STREAM_SPLIT.* Use --engine arrow\.$"
    with pytest.raises(UnreadableFileError, match=message):
        remove(TABLES / "duckdb_v2.parquet", listed, tmp_path / "out", engine="spark")
    assert names_in(tmp_path) == ["list"]
