"""The one place that makes the private picture. What it gives out is all that sinks ever get."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgecam.errors import EdgecamError, FrameError
from edgecam.placard import placard
from edgecam.privacy.faces import Faces
from edgecam.privacy.hold import Held
from edgecam.privacy.mask import Mask, Style
from edgecam.privacy.paint import cover, cover_masks, widen
from edgecam.types import Array, Detections, Floats, Frame, Image, Result

log = logging.getLogger(__name__)

PERSON = "person"


@dataclass(frozen=True)
class Shown:
    """What of the model's results the user asked for; it looks for more where more is to be covered.

    Attributes:
        threshold: least score.
        classes: labels, () for all.
        top_k: most results.
    """

    threshold: float = 0.0
    classes: tuple[str, ...] = ()
    top_k: int = 1_000_000

    def narrow(self, found: Detections, labels: Sequence[str]) -> Detections:
        """The results that the user asked for."""
        keep = found.score >= np.float32(self.threshold)
        if self.classes:
            keep &= np.isin(found.class_id, [i for i, label in enumerate(labels) if label in self.classes])
        index = np.flatnonzero(keep)[: self.top_k]
        return found if len(index) == len(found) else found.take(index)


@dataclass(frozen=True)
class Rules:
    """What must not be seen.

    Attributes:
        masks: parts of the picture.
        classes: labels of the main model whose boxes are covered.
        style: how boxes are covered.
        margin: part of a box's width and height added on each side.
        hold: seconds for which a box is covered after it was last seen.
    """

    masks: tuple[Mask, ...] = ()
    classes: tuple[str, ...] = ()
    style: Style = "solid"
    margin: float = 0.3
    hold: float = 1.0


class Privacy:
    """Makes private frames. Fails closed: where it cannot do its work, a placard takes the picture's place.

    Args:
        rules: what must not be seen.
        faces: finds faces to be covered, None where none are.
        shown: what of the results goes on.
        broken: why it can never do its work (a model that is missing), or "".

    Attributes:
        trouble: why there is no picture for now, or "".
        bare: asked for each frame: whether it goes on as the camera gave it, since somebody who may has
            switched privacy off.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        faces: Faces | None = None,
        shown: Shown | None = None,
        broken: str = "",
    ) -> None:
        self.trouble = broken
        self.bare: Callable[[], bool] = lambda: False
        self._rules = rules
        self._faces = faces
        self._shown = shown
        self._broken = broken
        self._objects = Held(rules.hold)
        self._seen_faces = Held(rules.hold)
        self._lock = threading.Lock()
        self._placard: tuple[tuple[tuple[int, int], str], Image] | None = None
        self._hidden = tuple(mask for mask in rules.masks if mask.model)

    @property
    def hides(self) -> bool:
        """Whether anything is hidden from the model."""
        return bool(self._hidden)

    def for_model(self, frame: Frame) -> Frame:
        """The frame that the model may see: the camera's, without what masks hide from it too."""
        masks = self._hidden
        if not masks:
            return frame

        def hide() -> Image:
            image = np.array(frame.image, order="C")
            cover_masks(image, masks)
            return image

        return frame.derived(hide)

    def protect(self, frame: Frame, found: Result, labels: Sequence[str]) -> tuple[Frame, Result]:
        """The frame and the result that may be seen.

        The picture is made when it is first asked for, on the thread that asks: by then the boxes of this
        moment are fixed. Call it for every frame, in order.
        """
        boxes = persons = np.zeros((0, 4), np.float32)
        problem = self._broken
        if isinstance(found, Detections):
            boxes = self._objects.update(frame.moment, found.xyxy[_of(found, labels, self._rules.classes)])
            persons = found.xyxy[_of(found, labels, (PERSON,))]
            missing = [name for name in self._rules.classes if name not in labels]
            if missing and not problem:
                problem = f"the model in use does not know {missing[0]!r}"
            if self._shown is not None:
                found = self._shown.narrow(found, labels)
        elif self._rules.classes:
            problem = problem or "the model in use finds no boxes"
        if problem:
            self.trouble = problem
        if self.bare():
            return frame, found
        return frame.derived(lambda: self._make(frame, boxes, persons, problem)), found

    def close(self) -> bool:
        """End the thread that looks for faces; False if it hangs."""
        return self._faces is None or self._faces.close()

    def _make(self, frame: Frame, boxes: Floats, persons: Floats, problem: str) -> Image:
        if problem:
            return self._blank(frame.size, problem)
        try:
            image = self._paint(frame, boxes, persons)
        except FrameError:
            raise  # no picture either
        except Exception as error:
            log.debug("privacy", exc_info=error)
            known = isinstance(error, EdgecamError)
            self.trouble = str(error) if known else f"covering failed ({type(error).__name__}: {error})"
            return self._blank(frame.size, self.trouble)
        self.trouble = ""
        return image

    def _paint(self, frame: Frame, boxes: Floats, persons: Floats) -> Image:
        raw, rules = frame.image, self._rules
        if self._faces is not None:
            found = self._faces(raw, persons)
            with self._lock:
                boxes = np.concatenate([boxes, self._seen_faces.update(frame.moment, found)])
        image: Image = np.array(raw, order="C")
        cover(image, widen(boxes, rules.margin), rules.style)
        cover_masks(image, rules.masks)
        return image

    def _blank(self, size: tuple[int, int], why: str) -> Image:
        """A placard, kept while its reason holds."""
        key, kept = (size, why), self._placard
        if kept is None or kept[0] != key:
            kept = self._placard = key, placard(size, "No picture: privacy", why)
        return kept[1]


def _of(found: Detections, labels: Sequence[str], names: Sequence[str]) -> Array:
    """Which rows are of these labels, bool (N,)."""
    return np.isin(found.class_id, [i for i, label in enumerate(labels) if label in names])
