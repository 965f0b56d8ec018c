"""Who has signed in: what a cookie stands for, on the server's side, so that it can be ended there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from edgecam import state

log = logging.getLogger(__name__)

LASTS = 30 * 24 * 3600  # seconds
MOST = 200
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Session:
    """
    Attributes:
        name: of the account.
        proof: see :meth:`edgecam.sinks.web.auth.Access.proof`.
        began: wall time.
    """

    name: str
    proof: str
    began: float


class Sessions:
    """All of a page. Only hashes of what cookies hold are kept, in memory and on disk. Any thread may ask.

    Args:
        file: keeps them over a restart; without one, or where it cannot be written, people sign in again.
        proof: what the proof of a name is now.
    """

    def __init__(
        self, file: Path | None, proof: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._proof = proof
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions = {} if file is None else _read(file)

    def __len__(self) -> int:
        return len(self._sessions)

    def rule(self, proof: Callable[[str], str]) -> None:
        """New settings: what the proof of a name is from now on."""
        self._proof = proof

    def begin(self, name: str) -> str:
        """A new session; what its cookie holds. Never anything that came from outside."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._drop_stale()
            while len(self._sessions) >= MOST:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[_digest(cookie)] = Session(name, self._proof(name), self._clock())
            self._keep()
        return cookie

    def name(self, cookie: str) -> str:
        """Whose session it is, "" for none that is valid."""
        session = self._sessions.get(_digest(cookie))
        return session.name if session is not None and self._valid(session) else ""

    def end(self, cookie: str) -> None:
        with self._lock:
            if self._sessions.pop(_digest(cookie), None) is not None:
                self._keep()

    def _valid(self, session: Session) -> bool:
        # A clock that was set back makes nobody sign in again: a board without one begins in the past.
        return self._clock() - session.began < LASTS and session.proof == self._proof(session.name) != ""

    def _drop_stale(self) -> None:
        self._sessions = {key: found for key, found in self._sessions.items() if self._valid(found)}

    def _keep(self) -> None:
        if self._file is None:
            return
        data = json.dumps({key: asdict(found) for key, found in self._sessions.items()}, indent=0).encode()
        try:
            state.write(self._file, data)
        except OSError as error:
            log.info("%s cannot be written (%s): sign-ins end with this process", self._file, error.strerror)


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def _read(file: Path) -> dict[str, Session]:
    """What was kept; what is no good is left out."""
    found: dict[str, Session] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        if file.stat().st_size > _LARGEST:
            return {}
        for key, entry in list(json.loads(file.read_bytes()).items())[-MOST:]:
            found[key] = Session(str(entry["name"]), str(entry["proof"]), float(entry["began"]))
    return found
