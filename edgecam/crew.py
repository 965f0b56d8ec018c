"""Several interpreters of one model, each at work on a picture of its own.

The threads of one interpreter share every layer and wait for each other at its end; whatever else wants a
core meanwhile makes all of them wait. That is the price of a live picture's early result. From a file nobody
waits for a single picture: there as many interpreters as cores, of one thread each, do more in the same time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from edgecam.errors import EdgecamError
from edgecam.model import Model
from edgecam.types import Frame, Result

log = logging.getLogger(__name__)


class Crew:
    """Threads that each run a model of their own; results are fetched in any order.

    They start with the first frame.

    Args:
        model: of the first thread; the caller's to close. Nobody else may run it meanwhile.
        make: makes the same model for each other thread, on that thread. Where that fails there are fewer.
        hands: threads.
    """

    def __init__(self, model: Model, make: Callable[[], Model], hands: int) -> None:
        self._model = model
        self._make = make
        self._orders: SimpleQueue[tuple[Frame, Future[Result]] | None] = SimpleQueue()
        self._hands = hands
        self._threads: list[threading.Thread] = []

    def begin(self, frame: Frame) -> None:
        """Have a frame looked at; does not wait."""
        if not self._threads:
            self._start()
        frame.pending = Future()
        self._orders.put((frame, frame.pending))

    def result(self, frame: Frame) -> Result:
        """What was found on a frame, waiting for it; a frame that was not begun begins now.

        Raises:
            FrameError: its JPEG is broken.
            EngineError: the interpreter failed.
        """
        if frame.pending is None:
            self.begin(frame)
        assert frame.pending is not None
        return frame.pending.result()

    def close(self) -> None:
        """End the threads after the frames they are at; what is left over is not looked at."""
        with contextlib.suppress(Empty):
            while True:
                self._orders.get_nowait()
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"edgecam-crew-{number}", daemon=True)
            for number in range(self._hands)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        try:
            model = self._make() if number else self._model
        except (EdgecamError, MemoryError) as error:
            log.warning("one interpreter less: %s", error)
            return
        try:
            while (order := self._orders.get()) is not None:
                self._look(model, *order)
        finally:
            if number:
                model.engine.close()

    def _look(self, model: Model, frame: Frame, pending: Future[Result]) -> None:
        frame.times.taken = time.monotonic()
        try:
            pending.set_result(model.run(frame))
        except BaseException as error:  # whoever fetches the result gets it
            pending.set_exception(error)
