"""Keep secrets out of reports, logs and messages."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = "***"
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]*:(?!\d+/)[^\s@'\"]*@")
_SENSITIVE_NAMES = (
    r"sig|signature|token|access_?token|password|passwd|pwd|secret|secret_?key|api_?key"
    r"|account[_.]?key|access[_.]?key(?:[_.]?id)?|credential|x-amz-[a-z-]+"
    r"|sharedaccess(?:key|signature)"
)
_KEY_VALUE = re.compile(
    rf"(?P<key>(?:^|[?&;\s,'\"])[\w.-]*(?:{_SENSITIVE_NAMES})[\w.-]*=)[^&;\s,'\"]+", re.IGNORECASE
)
_QUERY_SIG = re.compile(r"(?P<key>[?&](?:se|sp|sv|sr|st|spr|sig)=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace user:password@, signatures, tokens and keys in a text by ***."""
    text = _USER_INFO.sub(rf"\g<scheme>{_HIDDEN}@", text)
    text = _KEY_VALUE.sub(rf"\g<key>{_HIDDEN}", text)
    return _QUERY_SIG.sub(rf"\g<key>{_HIDDEN}", text)


def redact_all(value: Any) -> Any:
    """Redact all strings in nested dictionaries and lists."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
