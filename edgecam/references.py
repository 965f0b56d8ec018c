"""Secrets that stand somewhere else: ``{env:NAME}``, ``{file:PATH}`` and ``{credential:NAME}`` in an address.

``rtsp://user:{env:CAMERA_PASSWORD}@camera/stream`` shows nothing in a process list, a settings file or a
log. Only what a user wrote is filled in, never what came from elsewhere: a camera must not be able to ask for
a file by a redirect.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from edgecam import redact, secret
from edgecam.errors import UsageError

_REFERENCE = re.compile(r"\{(env|file|credential):([^{}]*)\}")


def fill(text: str) -> str:
    """An address with the secrets in place of what stands for them, percent-encoded.

    Raises:
        UsageError: there is no such variable, file or credential; names it.
    """
    return _REFERENCE.sub(lambda match: quote(value(match[0][1:-1]), safe=""), text)


def value(text: str) -> str:
    """What ``env:NAME``, ``file:PATH`` or ``credential:NAME`` names; other text is the secret itself.

    A credential is one of systemd's: ``LoadCredential=NAME:PATH`` in the unit (systemd.exec(5)).

    Raises:
        UsageError: see :func:`fill`.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("env", "file", "credential"):
        return text
    if not name:
        raise UsageError(f"{text} names nothing", "write env:NAME, file:PATH or credential:NAME")
    if kind == "credential":
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in (".", ".."):
            raise UsageError(f"{text}: not the name of a credential", "letters, digits, . _ and -")
        text = f"file:$CREDENTIALS_DIRECTORY/{name}"
    return secret.read(text, text)


def is_reference(text: str) -> bool:
    """The text says where the secret is, and is none itself."""
    return re.match(r"(env|file|credential):", text) is not None


def holds_secret(text: str) -> bool:
    """Something secret stands in an address itself: a password, a token, a key."""
    text = _REFERENCE.sub("", text)
    text = re.sub(r"=(?:env|file|credential):[^&]*", "=", text)
    text = re.sub(r"(?<=://)[^/?#@:]*:?@", "", text)  # a user without a password is none
    text = re.sub(r"[\w]+=(?=&|$)", "", text)
    return redact.uri(text) != text
