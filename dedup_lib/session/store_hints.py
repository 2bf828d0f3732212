"""What mends a store's refusal, by what Hadoop's file systems say of it."""

from __future__ import annotations

import re

_HINTS = (
    (
        r"Class org\.apache\.hadoop\.fs\.s3a\.\S+ not found|NoClassDefFound\S+ software/amazon",
        "Give Spark what reaches S3: for 4.0 --packages org.apache.hadoop:hadoop-aws:3.4.1.",
    ),
    (
        r'No FileSystem for scheme "s3n?"',
        "Write s3a://, which is how Spark's Hadoop calls S3.",
    ),
    (
        r"No FileSystem for scheme|ClassNotFoundException: Class \S+ not found",
        "Spark lacks the connector of that store: its jar must be on the class path.",
    ),
    (
        r"Status Code: 40[13]|AccessDenied|InvalidAccessKeyId|Unable to load credentials",
        "Check the credentials that Spark has for it, and what they may do there.",
    ),
    (
        r"ConnectException|UnknownHostException|NoRouteToHost|SocketTimeout|Unable to execute HTTP",
        "It does not answer: check its address (for S3 fs.s3a.endpoint) and the network.",
    ),
)


def store_hint(reason: str) -> str:
    """Return `. …`: how to mend what a file system said, or nothing where that is not known."""
    for pattern, hint in _HINTS:
        if re.search(pattern, reason):
            return f". {hint}"
    return ""
