"""How far two models agree on the same frames, and what each of them costs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from edgecam.errors import FrameError
from edgecam.model import Model
from edgecam.slot import LatestSlot
from edgecam.types import Detections, Floats, Frame, Result

log = logging.getLogger(__name__)

OVERLAP = 0.5  # IoU from which on two boxes of one label are the same object


@dataclass(frozen=True)
class Compared:
    """What a shadow run has shown.

    Attributes:
        frames: that both models have seen.
        agreement: 0 to 1: share of the objects that both found (F1), or of frames with the same best label.
        overlap: mean IoU of the boxes that both found, None without any.
        ms, ms_before: median milliseconds of an inference, of the new model and of the one in use.
    """

    frames: int = 0
    agreement: float = 1.0
    overlap: float | None = None
    ms: float = 0.0
    ms_before: float = 0.0

    @property
    def words(self) -> str:
        overlap = "" if self.overlap is None else f", boxes overlap by {self.overlap:.0%}"
        return (
            f"{self.frames} frames, {self.agreement:.0%} agreement{overlap}, "
            f"{self.ms:.1f} ms against {self.ms_before:.1f} ms"
        )


def names(found: Result, labels: Sequence[str], threshold: float) -> tuple[list[str], list[int]]:
    """The labels of the results from a threshold on, and their rows."""
    rows = [i for i in range(len(found.score)) if found.score[i] >= threshold]
    ids = [int(found.class_id[i]) for i in rows]
    return [labels[i] if 0 <= i < len(labels) and labels[i] else f"#{i}" for i in ids], rows


def agree(
    a: tuple[Result, Sequence[str], float], b: tuple[Result, Sequence[str], float]
) -> list[float | None]:
    """What two models, each with its labels and threshold, say of one frame, held against each other.

    Returns:
        For each object that only one of them found None, for each that both found the IoU of its boxes
        (twice, as it was found twice). Classifiers: one entry, 1.0 for the same best label, else None.
    """
    (names_a, rows_a), (names_b, rows_b) = names(*a), names(*b)
    if not (isinstance(a[0], Detections) and isinstance(b[0], Detections)):
        return [1.0 if names_a[:1] == names_b[:1] else None]
    overlaps = _iou(a[0].xyxy[rows_a], b[0].xyxy[rows_b])
    for i, name in enumerate(names_a):
        overlaps[i, [other != name for other in names_b]] = 0.0
    out: list[float | None] = []
    while overlaps.size and overlaps.max() >= OVERLAP:
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        out += [float(overlaps[row, column])] * 2
        overlaps = np.delete(np.delete(overlaps, row, 0), column, 1)
    return [*out, *([None] * (len(names_a) + len(names_b) - len(out)))]


def _iou(a: Floats, b: Floats) -> Floats:
    """IoU of all pairs, (N, 4) and (M, 4) to (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0).astype(np.float32)


class Shadow:
    """Runs a model beside the one in use, on a thread of its own, on as many frames as half its time allows.

    Args:
        model: the new one.
        beside: the one in use.

    Attributes:
        beside: as given.
        failed: why the new model cannot be used, or "".
    """

    def __init__(self, model: Model, beside: Model) -> None:
        self.failed = ""
        self.beside = beside
        self._model = model
        self._slot: LatestSlot[tuple[Frame, Result, float]] = LatestSlot()
        self._lock = threading.Lock()
        self._pairs: list[float | None] = []  # guarded by _lock, with what follows
        self._ms: list[float] = []
        self._ms_before: list[float] = []
        self._thread = threading.Thread(target=self._run, name="edgecam-shadow", daemon=True)
        self._thread.start()

    def offer(self, frame: Frame, found: Result) -> None:
        """A frame that the model in use has seen. Never blocks: the newest frame wins."""
        times = frame.times
        self._slot.put((frame, found, (times.inferred - times.preprocessed) * 1000))

    def compared(self) -> Compared:
        """What has been seen so far."""
        with self._lock:
            pairs, ms, before = list(self._pairs), list(self._ms), list(self._ms_before)
        if not ms:
            return Compared()
        both = [overlap for overlap in pairs if overlap is not None]
        boxes = both and self._model.spec.task == "detect"
        return Compared(
            frames=len(ms),
            agreement=len(both) / len(pairs) if pairs else 1.0,
            overlap=sum(both) / len(both) if boxes else None,
            ms=median(ms),
            ms_before=median(before),
        )

    def close(self, timeout: float = 5.0) -> bool:
        """No more frames; False if the model still hangs in one."""
        self._slot.close()
        self._slot.take(0)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._slot.closed:
            item = self._slot.take(1.0)
            if item is None:
                continue
            began = time.monotonic()
            try:
                self._look(*item)
            except FrameError:
                continue
            except Exception as error:
                log.debug("shadow", exc_info=error)
                self.failed = f"it failed on a live frame ({error})"
                return
            time.sleep(min(time.monotonic() - began, 1.0))

    def _look(self, frame: Frame, found: Result, ms_before: float) -> None:
        model, beside = self._model, self.beside
        # Not Model.run: the times in the frame are those of the model in use.
        tensor, geometry = model.preprocessor(frame)
        began = time.monotonic()
        arrays = model.engine.infer(tensor)
        ms = (time.monotonic() - began) * 1000
        other = model.head.decode(arrays, geometry)
        pairs = agree(
            (found, beside.labels, beside.head.threshold), (other, model.labels, model.head.threshold)
        )
        with self._lock:
            self._pairs += pairs
            self._ms.append(ms)
            self._ms_before.append(ms_before)
