"""Write random tables, in the writers' environment: `python -m tests.writers.write FOLDER SEED…`.

After each table it prints a line of JSON: what the table is, and which rows the list names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pyarrow as pa

from tests.writers import by_duckdb, by_fastparquet, by_polars, by_pyarrow
from tests.writers.columns import Column, Ids, draw_columns, images_of, values_of

WRITERS: dict[str, ModuleType] = {
    "pyarrow": by_pyarrow,
    "Polars": by_polars,
    "DuckDB": by_duckdb,
    "fastparquet": by_fastparquet,
}
# What several writers write alike.
_SHARED_IDS = (pa.string(), pa.int64(), pa.int32())
_SHARED = (pa.int64(), pa.int32(), pa.float64(), pa.float32(), pa.string(), pa.binary(), pa.bool_())
_PARTS = ("train", "test set", "10:30", "a%2Fb", "x=y", None, "1", "01", "2024-01-02", "café")
_TRIES = 12


class WriterError(Exception):
    """A writer refuses a table, whatever the options."""


class Table:
    """A random table: its writers, columns and rows.

    Args:
        seed: What chooses all of it.
        folder: Where its files are written.
    """

    def __init__(self, seed: str, folder: Path) -> None:
        self.random = Random(seed)
        self.images = folder / "images"
        self.images.mkdir(parents=True)
        self.is_split = self.random.random() < 0.2
        self.names = self._writers()
        self.id_column, self.columns = self._columns()
        self.ids = Ids(self.id_column.type, self.random)
        self.num_files = self.random.choice([1, *[self.random.randint(8, 40)] * 6])
        self.has_null_ids = self.id_column.nullable and self.random.random() < 0.5
        self.parts = self.random.sample(_PARTS, 3)
        self.rows: list[tuple[int, int | None, str]] = []

    def _writers(self) -> list[str]:
        if not self.is_split and self.random.random() < 0.2:
            return self.random.sample(list(WRITERS), self.random.choice([2, 3, 4]))
        return [self.random.choice(list(WRITERS))]

    def _columns(self) -> tuple[Column, list[Column]]:
        name = "image_id"
        if len(self.names) > 1:
            drawn = draw_columns([(kind, None) for kind in _SHARED], self.random)
            return Column(name, self.random.choice(_SHARED_IDS), nullable=True), drawn
        writer = WRITERS[self.names[0]]
        kinds = writer.kinds(self.random)
        drawn = [
            column for column in draw_columns(kinds, self.random) if is_written(writer, column)
        ]
        id_types = [
            Column(name, kind, self.random.random() < 0.7, made_as)
            for kind, made_as in self.random.sample(writer.ID_TYPES, len(writer.ID_TYPES))
        ]
        return next(column for column in id_types if is_written(writer, column)), drawn

    def write(self) -> None:
        """Write the files."""
        wide = self.num_files if not self.is_split else -(-self.num_files // 4)
        chosen: dict[str, dict[str, Any]] = {}
        for number in range(wide):
            name = self.random.choice(self.names)
            if name not in chosen or self.random.random() < 0.3:
                chosen[name] = WRITERS[name].options(self.random, [self.id_column, *self.columns])
            size = self.random.choice([0, 1, 5, 12, 30])
            table = self._table(max(size, number == 0))
            chosen[name] = self._write_one(name, table, number, chosen[name])

    def _write_one(
        self, name: str, table: pa.Table, number: int, chosen: dict[str, Any]
    ) -> dict[str, Any]:
        """Write a file, with other options where the writer refuses these; return those used."""
        writer, columns = WRITERS[name], [self.id_column, *self.columns]
        for _ in range(_TRIES):
            place = self.images.with_name("next")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            try:
                if not self.is_split:
                    writer.write(table, columns, place / "0.parquet", chosen)
                elif table.num_rows:
                    writer.write_split(table, columns, place, chosen)
            except Exception as error:
                refused = error
                chosen = writer.options(self.random, columns)
            else:
                _move_files(place, self.images, f"{number:03}")
                return chosen
        raise WriterError(f"{name} can't write {table.schema}") from refused

    def _table(self, num_rows: int) -> pa.Table:
        first = len(self.rows)
        numbers = [self._number(first + n) for n in range(num_rows)]
        images = images_of(num_rows, self.random)
        self.rows += [
            (first + n, numbers[n], hashlib.sha256(images[n]).hexdigest()) for n in range(num_rows)
        ]
        arrays = [
            self.ids.array(numbers),
            pa.array(range(first, first + num_rows), pa.int64()),
            pa.array(images, pa.binary()),
            *(values_of(column, num_rows, self.random) for column in self.columns),
        ]
        fields = [
            pa.field("image_id", self.id_column.type, self.id_column.nullable),
            pa.field("row", pa.int64(), nullable=False),
            pa.field("image", pa.binary()),
            *(pa.field(column.name, column.type, _may_be_null(column)) for column in self.columns),
        ]
        if self.is_split:
            arrays.append(pa.array([self.random.choice(self.parts) for _ in range(num_rows)]))
            fields.append(pa.field("part", pa.string()))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _number(self, row: int) -> int | None:
        if self.has_null_ids and self.random.random() < 0.1:
            return None
        if row and self.random.random() < 0.1:
            return self.random.randrange(row) % self.ids.most
        return row % self.ids.most

    def write_list(self, path: Path) -> list[int]:
        """Write a list of a third of the IDs, and of some others; return the rows that it names."""
        known = sorted({number for _, number, _ in self.rows if number is not None})
        listed = self.random.sample(known, len(known) // 3)
        others = [n for n in range(self.ids.most - 5, self.ids.most) if n not in set(known)]
        shuffled = self.random.sample(listed + others, len(listed + others))
        column = Column("id", self.id_column.type, nullable=True, made_as=self.id_column.made_as)
        table = pa.table({"id": self.ids.array(shuffled)})
        writer = WRITERS[self.names[0]]
        writer.write(table, [column], path, writer.options(Random(0), []) | _plain(self.names[0]))
        gone = set(listed)
        return [row for row, number, _ in self.rows if number in gone]


def _move_files(made: Path, folder: Path, name: str) -> None:
    """Move Parquet files to the same directories of a table, and what else there is to its top."""
    for number, path in enumerate(sorted(made.rglob("*.parquet"))):
        place = folder / path.parent.relative_to(made)
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / f"{name}-{number}.parquet")
    for path in made.glob("_*"):
        path.replace(folder / path.name)
    shutil.rmtree(made)


def _may_be_null(column: Column) -> bool:
    return column.nullable or pa.types.is_null(column.type)


def _plain(name: str) -> dict[str, Any]:
    """Options without columns of the table's own."""
    if name == "pyarrow":
        return {"write_statistics": True, "compression": "zstd"}
    return {}


def is_written(writer: ModuleType, column: Column) -> bool:
    """Whether a writer takes such a column at all."""
    values = values_of(column, 4, Random(1))
    if column.name == "image_id":
        values = Ids(column.type, Random(1)).array([1, 2, 3, 4])
    table = pa.table({"row": pa.array(range(4), pa.int64()), column.name: values})
    with tempfile.TemporaryDirectory() as folder:
        try:
            writer.write(table, [column], Path(folder) / "1.parquet", writer.options(Random(3), []))
        except Exception:
            return False
    return True


def made(seed: int, trial: int, folder: Path) -> dict[str, Any]:
    """Write a table and its list; say what they are."""
    shutil.rmtree(folder, ignore_errors=True)
    table = Table(f"{seed} {trial}", folder)
    table.write()
    gone = table.write_list(folder / "list.parquet")
    columns = [table.id_column, *table.columns]
    return {
        "seed": seed,
        "writers": table.names,
        "files": sum(1 for _ in table.images.rglob("*.parquet")),
        "columns": {column.name: f"{column.type} {column.made_as or ''}" for column in columns},
        "images": {row: image for row, _, image in table.rows},
        "gone": gone,
    }


def is_made(seed: int, trial: int, folder: Path) -> bool:
    """Write a table in a process of its own, which a writer may crash; say whether it is there."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            print(json.dumps(made(seed, trial, folder)), flush=True)
            code = 0
        except WriterError as error:
            print(f"table {seed}: {error}", file=sys.stderr, flush=True)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        print(f"table {seed}: a writer crashed", file=sys.stderr, flush=True)
    return status == 0


def main(folder: Path, seeds: Sequence[int]) -> None:
    """Write a table for each seed; where a writer refuses or crashes, another one."""
    for seed in seeds:
        if not any(is_made(seed, trial, folder / str(seed)) for trial in range(_TRIES)):
            sys.exit(f"no table can be made of seed {seed}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]])
