"""What must not be shown, taken out of what is shown: the one place that knows how secrets look.

Whatever edgecam logs, prints, serves or writes into files goes through here where it may hold an address.
"""

from __future__ import annotations

import logging
import re

HIDDEN = "***"

_NAMES = r"(?:access_token|token|passphrase|passwd|password|pass|pwd|pas|api_?key|key|secret|auth)"
# To a URL parser an unescaped / or # in a password ends the host; so: up to the last @ of the word.
_USERINFO = re.compile(r"(?<=://)(?:[^/?#]*|[^/?#@:]*:(?!\d+(?:[/?#]|$))\S*)@")
_QUERY_TO_END = re.compile(rf"(?i)({_NAMES}=).*?(?=&|_channel=|$)")
# With many services the path of a webhook is all that one must know.
_HOOK_PATH = re.compile(r"(?i)^(webhook:https?://[^/?#]*/)[^?#]+")
# Not what an error's remedy says of how to write one.
_WORD_USERINFO = re.compile(r"(?<=://)(?!USER:PASSWORD@)(?:[^\s/?#]*|[^\s/?#@:]*:(?!\d+(?:[\s/?#]|$))\S*)@")
_WORD_QUERY = re.compile(rf"(?i)(\b{_NAMES}=)[^\s&'\"]+")
_HEADER = re.compile(r"(?i)\b((?:Bearer|Basic|Digest) +)[^\s'\"]+")

# C0 and C1 controls, line and paragraph separators, and signs that turn the direction of what follows.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def uri(text: str) -> str:
    """One address with user, password and other secrets taken out, fit for logs and screens.

    In doubt it hides: an unescaped / or # in a password, ``pwd=`` and its kin in the query or the path.
    """
    text = _HOOK_PATH.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))
    return _QUERY_TO_END.sub(rf"\1{HIDDEN}", text)


def line(text: str) -> str:
    """A line for people in which addresses and headers may stand, with their secrets taken out."""
    text = _WORD_USERINFO.sub(f"{HIDDEN}@", text)
    return _HEADER.sub(rf"\1{HIDDEN}", _WORD_QUERY.sub(rf"\1{HIDDEN}", text))


def printable(text: str, most: int = 200) -> str:
    """What somebody else wrote, fit for one line of a terminal or a log: controls become ``?``."""
    text = _UNSEEN.sub("?", text[: most + 1])
    return text if len(text) <= most else text[:most] + "…"


class Filter(logging.Filter):
    """Takes secrets and what steers terminals out of log records, those of libraries included."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        record.msg, record.args = printable(line(message), 4000), None
        return True
