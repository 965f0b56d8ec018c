"""From settings to the interpreters of a run over a file."""

from __future__ import annotations

from collections.abc import Callable

from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.crew import Crew
from edgecam.engines.litert import default_threads
from edgecam.model import Model
from edgecam.privacy.mask import Mask

_COMPILED = "_edgetpu"  # in the names that Coral's compiler gives


def hands(settings: Settings, capture: Capture) -> int:
    """Frames to look at at a time, 1 for a single interpreter. Waits until a file is open.

    Several need a file, and a processor that does the work; what depends on the frame before, or is done to
    the frame before the model sees it, does not go with them.
    """
    source = capture.source
    accelerated = settings.delegate or settings.device not in ("auto", "cpu") or _COMPILED in settings.model
    in_order = settings.motion or any(Mask.parse(text).model for text in settings.mask)
    if source.live or settings.engine != "litert" or accelerated or in_order:
        return 1
    capture.opened.wait()
    frames = [number for number in (source.total, settings.max_frames) if number]
    return min([settings.threads or default_threads(), *frames])


def make(capture: Capture, model: Model, load: Callable[[], Model], hands: int) -> Crew | None:
    """The crew for as many frames at a time, None for a single one.

    Args:
        capture: gives the frames; as many more wait in its slot.
        model: with one thread.
        load: makes the same anew.
    """
    if hands == 1:
        return None
    capture.slot.room = hands
    return Crew(model, load, hands)
