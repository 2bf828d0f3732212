"""What a user can set, and whether the settings fit together."""

from dedup_lib.settings.model import (
    Action,
    AskedListKind,
    DuplicateIds,
    Engine,
    ImagesFormat,
    ListCounts,
    ListKind,
    LogLevel,
    Method,
    OnLostKeeper,
    OutputMode,
    Settings,
    Strategy,
    TableFormat,
)
from dedup_lib.settings.toml_file import load_toml

__all__ = [
    "Action",
    "AskedListKind",
    "DuplicateIds",
    "Engine",
    "ImagesFormat",
    "ListCounts",
    "ListKind",
    "LogLevel",
    "Method",
    "OnLostKeeper",
    "OutputMode",
    "Settings",
    "Strategy",
    "TableFormat",
    "load_toml",
]
