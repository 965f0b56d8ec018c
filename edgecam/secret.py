"""Secrets that stand somewhere else than in an address: ``env:NAME`` and ``file:PATH``."""

from __future__ import annotations

import os
from pathlib import Path

from edgecam.errors import UsageError


def read(text: str, what: str) -> str:
    """The secret that ``text`` names, or is.

    Args:
        text: ``env:NAME``, ``file:PATH`` (``~`` is the home folder; a last newline is no part of the secret;
            ``file:$CREDENTIALS_DIRECTORY/NAME`` takes a credential of systemd), or the secret itself.
        what: what it is for, in errors; they never show the secret.

    Raises:
        UsageError: there is no such variable or file, or nothing in it.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == "env":
        value = os.environ.get(rest, "")
        if not value:
            raise UsageError(f"{what}: the variable {rest} is not set", f"export {rest}=...")
        return value
    if colon and kind == "file":
        return _of_file(Path(os.path.expandvars(rest)).expanduser(), what)
    return text


def _of_file(path: Path, what: str) -> str:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(
            f"{what}: {path} cannot be read ({why})", "name a file that this user may read"
        ) from error
    if not value:
        raise UsageError(f"{what}: {path} is empty", "write the secret into it")
    return value
