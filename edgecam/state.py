"""Where edgecam keeps small things from one start to the next."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgecam import whole


def folder(environ: Mapping[str, str] | None = None) -> Path:
    """``$STATE_DIRECTORY`` under systemd, else ``$XDG_STATE_HOME/edgecam`` (``~/.local/state/edgecam``).

    A service with a name has two: the one all services share, and its own behind it, which is meant.
    """
    environ = os.environ if environ is None else environ
    given = environ.get("STATE_DIRECTORY", "").rpartition(":")[2]
    if given:
        return Path(given)
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - a user need not have a home
    return Path(environ.get("XDG_STATE_HOME") or Path(home) / ".local" / "state") / "edgecam"


def write(path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Put a file there whole, readable for nobody else from its first moment; its folder is made.

    Args:
        owner: user and group id; None leaves those of this process.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole.write(path, data, mode, None if owner is None else lambda file: os.chown(file, *owner))
