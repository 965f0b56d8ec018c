"""Gets something ready on a thread of its own while the main loop goes on, and hands it over there.

A model of the ladder may have to be tried in a child process first, for longer than a watchdog waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from edgecam.errors import EdgecamError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Changeover(Generic[T]):
    """One change at a time. All but ``load`` and ``discard`` runs on the caller's thread.

    Args:
        load: makes the thing that a name stands for; runs on the thread.
        use: takes it into use.
        discard: ends a thing that came too late.
    """

    def __init__(
        self, load: Callable[[str], T], use: Callable[[T], None], discard: Callable[[T], None]
    ) -> None:
        self._load = load
        self._use = use
        self._discard = discard
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Guarded by _lock:
        self._made: list[T] = []
        self._error: EdgecamError | None = None
        self._closed = False

    def begin(self, name: str) -> None:
        """Start to make it. Only after :meth:`pending` has said that the one before is done."""
        if self._thread is not None:
            raise RuntimeError("a change is going on")
        self._thread = threading.Thread(
            target=self._run, args=(name,), name="edgecam-changeover", daemon=True
        )
        self._thread.start()

    def pending(self) -> bool:
        """True while it is being made; takes it into use when it is there.

        Raises:
            EdgecamError: it cannot be made; what was in use stays so.
        """
        if self._thread is None:
            return False
        if self._thread.is_alive():
            return True
        self._thread = None
        with self._lock:
            error, self._error = self._error, None
            made = self._made.pop() if self._made else None
        if error is not None:
            raise error
        if made is not None:
            self._use(made)
        return False

    def close(self, timeout: float = 1.0) -> None:
        """Nothing more is taken into use; what is still being made ends by itself, and with the process."""
        with self._lock:
            self._closed = True
            left = self._made
            self._made = []
        for made in left:
            self._discard(made)
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.debug("what was being made is left behind")

    def _run(self, name: str) -> None:
        try:
            made = self._load(name)
        except EdgecamError as error:
            self._fail(error)
        except Exception as error:
            log.debug("making %s", name, exc_info=error)
            self._fail(EdgecamError(f"{type(error).__name__}: {error}"))
        else:
            with self._lock:
                late = self._closed
                if not late:
                    self._made.append(made)
            if late:
                self._discard(made)

    def _fail(self, error: EdgecamError) -> None:
        with self._lock:
            self._error = error
