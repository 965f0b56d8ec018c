"""A second, small engine that looks for faces, kept at arm's length: it may be slow, fail or hang.

It looks at the whole picture, and closer at the upper part of each person that the main model found: the
bundled face model sees a face only where it takes some part of what it looks at.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from edgecam.errors import EdgecamError
from edgecam.types import Detections, Floats, Frame, Image

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds in which the faces of one picture must be found
MOST_PERSONS = 8  # looked at closer, the largest first
_LEAST_SIDE = 24  # pixels: in less no face can be known
_UPPER = 0.5  # of a person's box, where the face is
_BESIDE = 0.1

Find = Callable[[Frame], Detections]


@dataclass
class _Job:
    image: Image
    persons: Floats
    done: threading.Event = field(default_factory=threading.Event)
    boxes: Floats | None = None
    error: Exception | None = None


class Faces:
    """Finds faces on a thread of its own. Any thread may call it.

    Args:
        find: runs the face model over a frame; called on this object's thread only.
        patience: seconds that an answer may take.
    """

    def __init__(self, find: Find, patience: float = PATIENCE) -> None:
        self._find = find
        self._patience = patience
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._late: _Job | None = None  # not answered in time
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="edgecam-privacy", daemon=True)
        self._thread.start()

    def __call__(self, image: Image, persons: Floats) -> Floats:
        """Boxes of the faces, float32 (N, 4) in pixels.

        Args:
            image: RGB uint8 (H, W, 3).
            persons: boxes (M, 4) to look at closer.

        Raises:
            EdgecamError: the model failed, or has not answered in time, now or before.
        """
        if not self._lock.acquire(timeout=self._patience):
            raise self._too_slow()
        try:
            if self._late is not None and not self._late.done.is_set():
                raise self._too_slow()
            job = self._late = _Job(image, persons)
            self._jobs.put(job)
            if not job.done.wait(self._patience):
                raise self._too_slow()
        finally:
            self._lock.release()
        if job.boxes is None:
            log.debug("faces", exc_info=job.error)
            raise EdgecamError(f"looking for faces failed ({job.error})")
        return job.boxes

    def close(self) -> bool:
        """End the thread; False if it hangs (then its engine must not be closed)."""
        self._jobs.put(None)
        self._thread.join(self._patience)
        return not self._thread.is_alive()

    def _too_slow(self) -> EdgecamError:
        return EdgecamError(f"looking for faces takes over {self._patience:g} s")

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.boxes = self._look(job.image, job.persons)
            except Exception as error:
                job.error = error
            job.done.set()

    def _look(self, image: Image, persons: Floats) -> Floats:
        height, width = image.shape[:2]
        found = [self._find(Frame(0, image)).xyxy]
        for x1, y1, x2, y2 in closer(persons, width, height):
            part = np.ascontiguousarray(image[y1:y2, x1:x2])
            found.append(self._find(Frame(0, part)).xyxy + np.array([x1, y1, x1, y1], np.float32))
        return np.concatenate(found)


def closer(persons: Floats, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Where faces of persons may be: whole pixels within the picture, of the largest persons first."""
    sizes = persons[:, 2:] - persons[:, :2]
    order = np.argsort(-np.prod(sizes, axis=1), kind="stable")[:MOST_PERSONS]
    regions = []
    for (x1, y1, _, _), (w, h) in zip(persons[order], sizes[order], strict=True):
        deep = max(h * _UPPER, min(w, h))
        edges = [x1 - _BESIDE * w, y1 - _BESIDE * h, x1 + w + _BESIDE * w, y1 + deep]
        a, b, c, d = np.clip(edges, 0, [width, height, width, height]).astype(int)
        if min(c - a, d - b) >= _LEAST_SIDE:
            regions.append((int(a), int(b), int(c), int(d)))
    return regions
