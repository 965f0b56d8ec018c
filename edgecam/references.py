"""Secrets that stand somewhere else: ``{env:NAME}``, ``{file:PATH}`` and ``{credential:NAME}`` in an address.

``rtsp://user:{env:CAMERA_PASSWORD}@camera/stream`` shows nothing in a process list, a settings file or a
log. Only what a user wrote is filled in, never what came from elsewhere: a camera must not be able to ask for
a file by a redirect.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from edgecam import redact
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

    A credential is one of systemd's: ``LoadCredential=NAME:PATH`` in the unit (systemd.exec(5)). In a path
    ``~`` is the home folder and variables are filled in; a last newline is no part of the secret.

    Raises:
        UsageError: see :func:`fill`.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("env", "file", "credential"):
        return text
    if not name:
        raise UsageError(f"{text} names nothing", "write env:NAME, file:PATH or credential:NAME")
    if kind == "env":
        return _of_environment(name, text)
    if kind == "credential":
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in (".", ".."):
            raise UsageError(f"{text}: not the name of a credential", "letters, digits, . _ and -")
        name = f"$CREDENTIALS_DIRECTORY/{name}"
        text = f"file:{name}"
    return _of_file(Path(os.path.expandvars(name)).expanduser(), text)


def _of_environment(name: str, what: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        raise UsageError(f"{what}: the variable {name} is not set", f"export {name}=...")
    return found


def _of_file(path: Path, what: str) -> str:
    try:
        found = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(
            f"{what}: {path} cannot be read ({why})", "name a file that this user may read"
        ) from error
    if not found:
        raise UsageError(f"{what}: {path} is empty", "write the secret into it")
    return found


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
