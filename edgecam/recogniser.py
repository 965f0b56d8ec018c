"""What happens to one frame: the model, what is to be covered, what goes on over frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgecam.analysis import Analysis
from edgecam.errors import FrameError
from edgecam.events import Event
from edgecam.model import Model
from edgecam.privacy.filter import Privacy
from edgecam.tally import Tally
from edgecam.types import Frame, Result


class Understudy(Protocol):
    """Stands beside the model in use, on the main loop's thread; see :mod:`edgecam.slots`."""

    def seen(self, frame: Frame, found: Result) -> None:
        """A frame, as the model saw it, and what it found. Must not block."""

    def rescue(self, model: Model, error: Exception) -> Model | None:
        """A model that takes over from one that failed, from this very frame on; None if there is none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that sinks may have, and what was found on it."""

    frame: Frame
    found: Result
    events: Sequence[Event] = ()
    counts: Mapping[str, Mapping[str, int]] | None = None


class Recogniser:
    """From frame to result. Used from the main loop's thread alone.

    Args:
        model: what recognises.
        tally: counts.
        privacy, analysis, understudy: see :class:`edgecam.pipeline.Pipeline`.

    Attributes:
        model: the one in use.
        privacy: as given.
    """

    def __init__(
        self,
        model: Model,
        tally: Tally,
        privacy: Privacy | None,
        analysis: Analysis | None,
        understudy: Understudy | None,
    ) -> None:
        self.model = model
        self.privacy = privacy
        self._tally = tally
        self._analysis = analysis
        self._understudy = understudy
        self._ended: list[Event] = []  # steps that the next frame carries

    def use(self, model: Model, *, keep: bool = False) -> None:
        """Go over to another model; see :meth:`edgecam.pipeline.Pipeline.use`."""
        before, self.model = self.model, model
        self._tally.use(model)
        if self._analysis is not None and model.labels != before.labels:
            # What is followed has another number now: nothing of it can go on.
            self._ended += self._analysis.finish()
            self._analysis = self._analysis.anew()
        if not keep:
            before.engine.close()

    def look(self, frame: Frame, now: float) -> Seen | None:
        """Recognise one frame, taken at ``now``; None if its picture is broken."""
        self._tally.take(frame, now)
        shown = frame if self.privacy is None else self.privacy.for_model(frame)
        try:
            found = self._run(shown)
        except FrameError as error:
            self._tally.skip(frame, error)
            return None
        self._tally.add(frame)
        if self._understudy is not None:
            self._understudy.seen(shown, found)
        labels = self.model.labels
        if self.privacy is not None:
            # From here on the camera's own picture is out of reach.
            frame, found = self.privacy.protect(frame, found, labels)
        if self._analysis is None:
            return Seen(frame, found)
        found, events = self._analysis.look(frame, found, labels, self.model.head.threshold)
        if self._ended:
            events, self._ended = [*self._ended, *events], []
        return Seen(frame, found, events, self._analysis.counts)

    def prepare(self, frame: Frame) -> None:
        """Decode a frame that is looked at later as far as the model needs it. For any thread.

        Raises:
            FrameError: the frame's JPEG is broken.
        """
        if self.privacy is None or not self.privacy.hides:
            frame.prepare(*self.model.preprocessor.need(frame.size))

    def idle(self) -> list[Event]:
        """No frame comes: what has waited for long enough ends."""
        return [] if self._analysis is None else self._analysis.idle()

    def finish(self) -> list[Event]:
        """The run is over: all events end."""
        ended, self._ended = self._ended, []
        return ended if self._analysis is None else [*ended, *self._analysis.finish()]

    def _run(self, frame: Frame) -> Result:
        """What the model finds; another model if this one fails and there is one to take over."""
        try:
            return self.model.run(frame)
        except FrameError:
            raise
        except Exception as error:
            other = None if self._understudy is None else self._understudy.rescue(self.model, error)
            if other is None:
                raise
            self.use(other)
            return self.model.run(frame)
