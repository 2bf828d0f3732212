"""Keep secrets out of reports, logs and messages, and control characters out of logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"
_SENSITIVE_NAMES = (
    r"(?:(?<![a-zA-Z])sig(?![a-zA-Z])|signature|token|access_?token|password|passwd|passphrase|pwd|secret|secret_?key|api_?key"
    r"|account[_.]?key|access[_.]?key(?:[_.]?id)?|credential|x-amz-[a-z-]+"
    r"|sharedaccess(?:key|signature))"
)
_SENSITIVE_NAME = re.compile(_SENSITIVE_NAMES, re.IGNORECASE)
# user:password@, but not a port. Java drops a slash when it splits a URI.
_USER_INFO = re.compile(
    r"(?P<lead>://|(?<!file):/(?!/))(?=[^\s@'\"]*+@)[^/\s@'\"]*:(?!\d+/)[^\s@'\"]*@"
)
# token@, but not a user of HDFS or a container of Azure before the @.
_TOKEN_USER = re.compile(r"(?P<lead>\b(?:https?|ftps?|s3[an]?)://)[^/\s@'\":]++@", re.IGNORECASE)
_KEY_VALUE = re.compile(
    rf"(?P<lead>(?:^|[?&;\s,='\"(\[{{]|%3F|%26)[\w.-]*{_SENSITIVE_NAMES}[\w.-]*(?:=|%3D))"
    r"[^&;\s,'\"]+",
    re.IGNORECASE,
)
_QUERY_SIG = re.compile(
    r"(?P<lead>(?:[?&]|%3F|%26)(?:se|sp|sv|sr|st|spr|sig)(?:=|%3D))[^&\s'\"]+", re.IGNORECASE
)
_QUOTED_PAIR = re.compile(
    rf"(?P<lead>(['\"])[\w.-]*{_SENSITIVE_NAMES}[\w.-]*\2\s*[:=]\s*)"
    r"(['\"])(?:\\.|(?!\3)[^\\])*+(?:\3|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_HEADER = re.compile(
    r"(?P<lead>\bauthorization['\"]?\s*[:=]\s*['\"]?)(?:[\w-]+ )?[^'\"\s,]+", re.IGNORECASE
)
_PATTERNS = {
    _USER_INFO: rf"\g<lead>{HIDDEN}@",
    _TOKEN_USER: rf"\g<lead>{HIDDEN}@",
    _QUOTED_PAIR: rf"\g<lead>'{HIDDEN}'",
    _KEY_VALUE: rf"\g<lead>{HIDDEN}",
    _QUERY_SIG: rf"\g<lead>{HIDDEN}",
    _HEADER: rf"\g<lead>{HIDDEN}",
}
# The same for Java. conf/spark gives it to Spark, whose plans, event log and UI show paths.
# Plans cut paths short, so user:… is hidden even if its @ is cut off.
SPARK_PATTERN = (
    r"(?i)(?<=://)[^/\s@'\"\[]*:(?!\d{1,5}(?:[/,;)\]\s'\"]|$))[^\s@'\"]*"
    r"|(?:[?&;]|%3F|%26)[\w.-]{0,40}(?:sig|signature|token|password|passwd|pwd|secret|credential"
    r"|[._-]?key)[\w.-]{0,20}(?:=|%3D)[^&;,\s'\"\])]+"
)
# Shorter values also occur inside other words, which would become unreadable.
_SHORTEST_SECRET = 4


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace user:password@, signatures, tokens and keys in a text by ***.

    Args:
        text: Any text.
        secrets: Values to hide everywhere, such as those from `secret_values`.
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, hidden in _PATTERNS.items():
        text = pattern.sub(hidden, text)
    return text


def redact_all(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Redact all strings in nested dictionaries and lists."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {key: redact_all(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item, secrets) for item in value]
    return value


def secret_values(options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of options with secret names, such as `secret_key`, the longest first."""
    found = {
        value
        for name, value in options.items()
        if _SENSITIVE_NAME.search(name) and len(value) >= _SHORTEST_SECRET
    }
    return tuple(sorted(found, key=len, reverse=True))


def one_record(text: str) -> str:
    """Return a text that a terminal or a log file can show safely.

    Control characters, ANSI escapes and marks that change the text direction are spelled out.
    Lines after the first begin with `| `, so that they can't look like log records.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n| ".join("".join(map(_visible, line)) for line in lines)


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape").decode("ascii")
