"""From the accelerator to the CPU when it fails, and back when it works again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from edgecam.errors import DelegateError, EdgecamError, ModelError
from edgecam.types import Array, TensorInfo

log = logging.getLogger(__name__)

FIRST, LONGEST = 5.0, 600.0  # seconds until the accelerator is tried again, doubled each time it fails
HELD = 60.0  # seconds of work after which it counts as mended


class _Tensors(Protocol):
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]


class Opened(_Tensors, Protocol):
    """A model on a device; :class:`edgecam.engines.session.Session` and the one apart are such."""

    def run(self, tensor: Array) -> Sequence[Array]: ...

    def close(self) -> None: ...


class Failover:
    """Runs on the accelerator while it works, else on the CPU. :meth:`run` is for one thread.

    Args:
        accelerator: opens the model there; may take long, so it is called on a thread of its own but for the
            first time, which is the caller's.
        processor: opens the model, or its twin, on the CPU; called when it is first needed. None if there is
            none.
        first: what ``accelerator`` has given already, or the reason why it could not.

    Attributes:
        trouble: why the CPU does the work, "" while the accelerator does.

    Raises:
        DelegateError: the accelerator does not work and there is nothing to go over to.
    """

    def __init__(
        self,
        accelerator: Callable[[], Opened],
        processor: Callable[[], Opened] | None,
        first: Opened | DelegateError,
    ) -> None:
        self._open_accelerator = accelerator
        self._open_processor = processor
        self._processor: Opened | None = None
        self._accelerator: Opened | None = None
        self._pause = FIRST
        self._since = time.monotonic()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._back: Opened | None = None  # guarded by _lock: opened again, not yet in use
        self._thread: threading.Thread | None = None
        self.trouble = ""
        if isinstance(first, DelegateError):
            self._leave(first)
            active = self._on_processor()
        else:
            active = self._accelerator = first
        self.input, self.outputs = active.input, active.outputs

    def run(self, tensor: Array) -> Sequence[Array]:
        """Run once, wherever it works. A run that fails on the accelerator is made again on the CPU.

        Raises:
            DelegateError: the accelerator failed and there is no twin for the CPU.
            EngineError: the CPU's interpreter failed.
        """
        self._take_back()
        if self._accelerator is not None:
            try:
                return self._accelerator.run(tensor)
            except DelegateError as error:
                self._leave(error)
        return self._on_processor().run(tensor)

    def close(self) -> None:
        """End both; safe to call twice."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(1.0)  # one that is in the midst of opening closes what it gets
        with self._lock:
            left = [self._accelerator, self._processor, self._back]
            self._back = None
        self._accelerator = self._processor = None
        for session in left:
            if session is not None:
                session.close()

    def _leave(self, error: DelegateError) -> None:
        """The accelerator failed: close it, and see again later."""
        failed, self._accelerator = self._accelerator, None
        if failed is not None:
            failed.close()
        if self._open_processor is None:
            raise error
        if time.monotonic() - self._since >= HELD:
            self._pause = FIRST
        self.trouble = f"{error.message}; the CPU does its work"
        log.warning("%s", self.trouble)
        self._thread = threading.Thread(
            target=self._come_back, args=(self._pause,), name="edgecam-accelerator", daemon=True
        )
        self._pause = min(2 * self._pause, LONGEST)
        self._thread.start()

    def _on_processor(self) -> Opened:
        if self._processor is None:
            assert self._open_processor is not None  # or _leave would have raised
            opened = self._open_processor()
            if hasattr(self, "input"):
                _check_alike(self, opened)
            self._processor = opened
        return self._processor

    def _take_back(self) -> None:
        if self._back is None:
            return
        with self._lock:
            self._accelerator, self._back = self._back, None
        self._since = time.monotonic()
        log.warning("the accelerator works again")
        self.trouble = ""

    def _come_back(self, pause: float) -> None:
        """Open the accelerator again, as often as it takes; runs on a thread."""
        while not self._closed.wait(pause):
            try:
                opened = self._open_accelerator()
                _check_alike(opened, self)
            except ModelError as error:
                self.trouble = f"{error.message}; the CPU does its work"
                opened.close()
                return
            except EdgecamError as error:
                log.debug("the accelerator still fails: %s", error)
                pause = min(2 * pause, LONGEST)
                continue
            with self._lock:
                if not self._closed.is_set():
                    self._back = opened
                    return
            opened.close()


def _check_alike(compiled: _Tensors, twin: _Tensors) -> None:
    """
    Raises:
        ModelError: other tensors, so the answers of one would be misread as the other's. Names may differ.
    """
    theirs, ours = (
        [(info.shape, info.dtype, info.scale, info.zero_point) for info in (one.input, *one.outputs)]
        for one in (compiled, twin)
    )
    if theirs != ours:
        raise ModelError(
            "the model for the accelerator and the one for the CPU have other inputs or outputs",
            "compile it again from the model that stands beside it",
        )
