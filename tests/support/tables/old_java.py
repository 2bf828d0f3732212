"""Files that say that another program wrote them."""

from __future__ import annotations

from pathlib import Path

from tests.support.tables.made import image_rows, write_parquet

_CREATED_BY = b"parquet-cpp-arrow version "


def written_by_java(path: Path, created_by: str, encoding: str) -> None:
    """Write five images, id-0 to id-4, with captions in an encoding, and another `created_by`."""
    rows = image_rows([f"id-{number}" for number in range(5)])
    encodings = {"caption": encoding, "image_id": "PLAIN", "image": "PLAIN"}
    write_parquet(rows, path, use_dictionary=False, column_encoding=encodings)
    content = path.read_bytes()
    start = content.rindex(_CREATED_BY)
    length = content[start - 1]  # Thrift: the length of the text
    assert length == len(created_by)
    path.write_bytes(content[:start] + created_by.encode() + content[start + length :])
