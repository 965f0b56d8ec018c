"""From settings to the interpreters of a run over a file."""

from __future__ import annotations

from collections.abc import Callable

from edgecam import build_model, catalogue, tflite
from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.crew import Crew
from edgecam.engines.litert import default_threads
from edgecam.model import Model
from edgecam.privacy.mask import Mask


def hands(settings: Settings, capture: Capture) -> int:
    """Frames to look at at a time, 1 for a single interpreter. Waits until a file is open.

    Several need a file, and a processor that does the work; what depends on the frame before, or is done to
    the frame before the model sees it, does not go with them.

    Raises:
        UnknownNameError: no such model.
        ModelError: the file is broken.
    """
    source = capture.source
    in_order = settings.motion or any(Mask.parse(text).model for text in settings.mask)
    on_cpu = settings.engine == "litert" and not build_model.asks_for_accelerator(settings)
    if source.live or in_order or not on_cpu:
        return 1
    capture.opened.wait()
    frames = [number for number in (source.total, settings.max_frames) if number]
    most = min([settings.threads or default_threads(), *frames])
    if most > 1 and tflite.load(catalogue.find(settings.model).path).compiled_for_edgetpu:
        return 1  # whatever it is called: a stick has one interpreter
    return most


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
