"""What happens to one frame: the model, what is to be covered, what goes on over frames."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgecam.analysis import Analysis
from edgecam.crew import Crew
from edgecam.errors import FrameError
from edgecam.events import Event
from edgecam.model import Model
from edgecam.motiongate import MotionGate
from edgecam.privacy.filter import Privacy
from edgecam.tally import Tally
from edgecam.types import Frame, Result


class Understudy(Protocol):
    """Stands beside the model in use, on the main loop's thread; see :mod:`edgecam.slots`.

    Attributes:
        watches: it must see the model at work: no frame is spared.
    """

    @property
    def watches(self) -> bool: ...

    def seen(self, frame: Frame, found: Result) -> None:
        """A frame, as the model saw it, and what it found. Must not block."""

    def rescue(self, model: Model, error: Exception) -> Model | None:
        """A model that takes over from one that failed, from this very frame on; None if there is none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that sinks may have, and what was found on it.

    Attributes:
        fresh: the model has looked at this very frame.
    """

    frame: Frame
    found: Result
    events: Sequence[Event] = ()
    counts: Mapping[str, Mapping[str, int]] | None = None
    fresh: bool = True


class Recogniser:
    """From frame to result. Used from the main loop's thread alone.

    Args:
        model: what recognises.
        tally: counts.
        privacy, analysis, understudy, gate, crew: see :class:`edgecam.pipeline.Pipeline`.

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
        gate: MotionGate | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.model = model
        self.privacy = privacy
        self._tally = tally
        self._analysis = analysis
        self._understudy = understudy
        self._gate = gate
        self._crew = crew
        self._ended: list[Event] = []  # steps that the next frame carries

    def use(self, model: Model, *, keep: bool = False) -> None:
        """Go over to another model; see :meth:`edgecam.pipeline.Pipeline.use`."""
        before, self.model = self.model, model
        self._tally.use(model)
        if self._gate is not None:
            self._gate.forget()
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
            found, fresh = self._find(shown)
        except FrameError as error:
            self._tally.skip(frame, error)
            return None
        self._tally.add(frame, fresh)
        if self._understudy is not None and fresh:
            self._understudy.seen(shown, found)
        labels = self.model.labels
        if self.privacy is not None:
            # From here on the camera's own picture is out of reach.
            frame, found = self.privacy.protect(frame, found, labels)
        if self._analysis is None:
            return Seen(frame, found, fresh=fresh)
        found, events = self._analysis.look(frame, found, labels, self.model.head.threshold)
        if self._ended:
            events, self._ended = [*self._ended, *events], []
        return Seen(frame, found, events, self._analysis.counts, fresh)

    def prepare(self, frame: Frame) -> None:
        """Make a frame that is looked at later ready for the model. For one thread, which may be another.

        Raises:
            FrameError: the frame's JPEG is broken.
        """
        if self.privacy is not None and self.privacy.hides:
            return
        if self._crew is not None:
            self._crew.begin(frame)
        elif self._gate is None:
            self.model.preprocessor.ahead(frame)
        else:  # it may not come to the model
            frame.prepare(*self.model.preprocessor.need(frame.size))

    def idle(self) -> list[Event]:
        """No frame comes: what has waited for long enough ends."""
        return [] if self._analysis is None else self._analysis.idle()

    def finish(self) -> list[Event]:
        """The run is over: all events end."""
        ended, self._ended = self._ended, []
        return ended if self._analysis is None else [*ended, *self._analysis.finish()]

    def _find(self, frame: Frame) -> tuple[Result, bool]:
        """What is on a frame, and whether the model has looked at it; it rests while nothing moves."""
        gate, watched = self._gate, self._understudy is not None and self._understudy.watches
        if gate is None or watched or frame.name:  # pictures in a folder have no time between them
            return self._run(frame), True
        kept = gate.rests(frame, self.model.preprocessor.view(frame))
        if kept is not None:
            frame.times.decoded = time.monotonic()
            return kept, False
        found = self._run(frame)
        gate.look(found, self.model.head.threshold)
        return found, True

    def _run(self, frame: Frame) -> Result:
        """What the model finds; another model if this one fails and there is one to take over."""
        try:
            return self.model.run(frame) if self._crew is None else self._crew.result(frame)
        except FrameError:
            raise
        except Exception as error:
            other = None if self._understudy is None else self._understudy.rescue(self.model, error)
            if other is None:
                raise
            self.use(other)
            return self.model.run(frame)
