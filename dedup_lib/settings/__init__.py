"""What a user can set, and whether the settings fit together."""

from dedup_lib.settings.condition import Condition
from dedup_lib.settings.model import Settings
from dedup_lib.settings.toml_file import load_toml
from dedup_lib.settings.traits import (
    FormatTraits,
    MethodTraits,
    choose_format,
    find_format,
    find_method,
    register_format,
)
from dedup_lib.settings.values import (
    Action,
    AskedListKind,
    DuplicateIds,
    Engine,
    ImagesFormat,
    KeeperRule,
    ListCounts,
    ListKind,
    LogLevel,
    Method,
    OnLostKeeper,
    OutputMode,
    ScoreMeaning,
    Strategy,
    TableFormat,
)

__all__ = [
    "Action",
    "AskedListKind",
    "Condition",
    "DuplicateIds",
    "Engine",
    "FormatTraits",
    "ImagesFormat",
    "KeeperRule",
    "ListCounts",
    "ListKind",
    "LogLevel",
    "Method",
    "MethodTraits",
    "OnLostKeeper",
    "OutputMode",
    "ScoreMeaning",
    "Settings",
    "Strategy",
    "TableFormat",
    "choose_format",
    "find_format",
    "find_method",
    "load_toml",
    "register_format",
]
