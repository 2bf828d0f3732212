"""Which refusals are needed, and how a refusal's message is counted."""

from __future__ import annotations

import re

# Patterns of class and message, and the row of docs/writers.md that says why, and the way out.
ALLOWED: dict[str, str] = {
    r"Parquet type .* which Spark would write as another type": "types that Spark lacks",
    r"DECIMAL_PRECISION_EXCEEDS_MAX": "types that Spark lacks",
    r"Illegal Parquet type|Parquet type not (yet )?supported": "types that Spark lacks",
    r"INT96 timestamps of file .* have nanoseconds": "INT96 timestamps with nanoseconds",
    r"timestamps of several Parquet types": "timestamps of several types",
    r"Spark's fast reader does not know this encoding": "encodings that Spark lacks",
    r"The file is sound, but Spark lacks the codec": "codecs that Spark lacks",
    r"Spark would change the value of the directory": "directories that are not ASCII",
    r"has the Parquet type (VARIANT|GEOMETRY)": "VARIANT, GEOMETRY",
    r"pyarrow can't read (column .* in DELTA_BINARY_PACKED|file .*Unexpected end of stream)": (
        "DuckDB's 32-bit integers by `PARQUET_VERSION v2`"
    ),
    r"pyarrow can't read file .*Length spanned by list offsets|DuckDB stored values for a NULL": (
        "DuckDB's ARRAY with NULL instead of an array"
    ),
    r"pyarrow would write '.*\(Interval\)": "DuckDB's INTERVAL",
    r"pyarrow would write '.*Decimal.*Decimal": "decimals in more bytes than needed",
    r"Integers with more than 64 bits": "Polars' Int128 and UInt128",
}
_PLACEHOLDERS = (
    (r"(?<![\w'])'(?:[^'\\\n]|\\.)*'(?!\w)", "'X'"),
    (r"\b(?:file|hdfs):/[^\s',]*", "PATH"),
    (r"\d+", "N"),
)


def reason_of(error: Exception) -> str:
    """An error's class and message, with placeholders for names and numbers."""
    text = " ".join(str(error).split())
    for pattern, placeholder in _PLACEHOLDERS:
        text = re.sub(pattern, placeholder, text)
    return f"{type(error).__name__}: {text}"


def why_allowed(error: Exception) -> str | None:
    """The row of docs/writers.md about a refusal; None if there is none."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return next((row for pattern, row in ALLOWED.items() if re.search(pattern, text)), None)
