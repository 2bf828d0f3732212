"""Keep secrets out of reports, logs and messages, and what a terminal would obey out of logs."""

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
# user:password@, but no port. Java drops a slash where it takes a URI apart.
_USER_INFO = re.compile(
    r"(?P<lead>://|(?<!file):/(?!/))(?=[^\s@'\"]*+@)[^/\s@'\"]*:(?!\d+/)[^\s@'\"]*@"
)
# token@, where what stands before @ is neither a user of HDFS nor a container of Azure.
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
# The same for Java, as conf/spark gives it to Spark: plans, event log and UI show paths.
# Plans cut paths short: so user:… is hidden where its @ is not seen any more, too.
SPARK_PATTERN = (
    r"(?i)(?<=://)[^/\s@'\"\[]*:(?!\d{1,5}(?:[/,;)\]\s'\"]|$))[^\s@'\"]*"
    r"|(?:[?&;]|%3F|%26)[\w.-]{0,40}(?:sig|signature|token|password|passwd|pwd|secret|credential"
    r"|[._-]?key)[\w.-]{0,20}(?:=|%3D)[^&;,\s'\"\])]+"
)
# What is shorter stands in other words, too: hiding it there would garble them.
_SHORTEST_SECRET = 4


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace user:password@, signatures, tokens and keys in a text by ***.

    Args:
        text: Any text.
        secrets: What is secret wherever it stands, such as `secret_values` returns.
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
    """Return those values of options whose names say that they are secret, the longest first."""
    found = {
        value
        for name, value in options.items()
        if _SENSITIVE_NAME.search(name) and len(value) >= _SHORTEST_SECRET
    }
    return tuple(sorted(found, key=len, reverse=True))


def one_record(text: str) -> str:
    """Return a text as a terminal or a log file may show it.

    Control characters, ANSI escapes and marks that turn the direction of writing are spelled out;
    lines after the first begin with `| `, so that none can pass for a record of the log.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n| ".join("".join(map(_visible, line)) for line in lines)


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape").decode("ascii")
