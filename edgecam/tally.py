"""What a run has done so far, and what it is at: counts, rates, times and the state."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace

from edgecam.capture import Capture
from edgecam.errors import FrameError
from edgecam.meters import DurationMeter, RateMeter
from edgecam.model import Model
from edgecam.regulator import Regulator
from edgecam.types import Frame, SinkState, State, Status

log = logging.getLogger(__name__)


@dataclass
class RunReport:
    """How a run went.

    Attributes:
        reason: why it ended, for people.
        frames: results made.
        still: those of them that the model made nothing for, since nothing had moved.
        dropped: frames of a live source replaced by a newer one.
        broken: pictures that could not be decoded.
        lost: how often the source was lost.
        seconds: from the first frame to the last.
        failures: one line for each sink that failed.
    """

    reason: str = ""
    frames: int = 0
    still: int = 0
    dropped: int = 0
    broken: int = 0
    lost: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        return (self.frames - 1) / self.seconds if self.frames > 1 and self.seconds > 0 else 0.0


class Tally:
    """Counts for one run. Used from the main loop's thread alone.

    Args:
        capture: whose frames are counted.
        model: in use at the start.
        stall: seconds without a frame after which a live source counts as lost.
        regulator: for its temperature and its steps.

    Attributes:
        impaired: what does not work as it was asked to, by what it concerns; makes the state ``degraded``.
        report: the counts.
        size: (width, height) of the last frame.
        frame_at: monotonic seconds when the last frame was taken; at first, of the start.
        results: over time.
        inferences: those of them that the model was needed for.
        ages: seconds from capture to result.
        paused: the run is told to look at nothing.
        sinks: how they are.
    """

    def __init__(self, capture: Capture, model: Model, stall: float, regulator: Regulator | None) -> None:
        self.impaired: dict[str, str] = {}
        self.report = RunReport()
        self.size = (640, 480)
        self.frame_at = 0.0
        self.results = RateMeter()
        self.inferences = RateMeter()
        self.ages = DurationMeter()
        self.paused = False
        self.sinks: tuple[SinkState, ...] = ()
        self._capture = capture
        self._stall = stall
        self._regulator = regulator
        self._durations = DurationMeter()
        self._broken = 0
        self._replaced_before = 0
        self._first_at = 0.0
        self._base = Status()
        self.use(model)

    def use(self, model: Model) -> None:
        """Another model is in use: how long it takes is counted anew."""
        self._engine = model.engine
        self._base = Status(
            model=model.name,
            model_version=model.spec.version,
            model_sha256=model.sha256,
            device=model.engine.device,
            runtime=model.engine.runtime,
        )
        self._durations = DurationMeter()

    def begin(self, now: float) -> None:
        """The loop begins. Frames that passed while the model was loading are nobody's loss."""
        self.frame_at = now
        self._replaced_before = self._capture.slot.dropped

    def take(self, frame: Frame, now: float) -> None:
        """A frame was taken."""
        self.frame_at = now
        if frame.pending is None:  # else whoever works on it notes when it began
            frame.times.taken = now
        self.size = frame.size

    def add(self, frame: Frame, fresh: bool = True) -> None:
        """A frame has its result, a ``fresh`` one or that of an earlier frame."""
        times, report = frame.times, self.report
        report.frames += 1
        if report.frames == 1:
            self._first_at = times.taken
        report.seconds = times.taken - self._first_at
        self.results.tick(times.decoded)
        if not fresh:
            report.still += 1
            return
        self.inferences.tick(times.decoded)
        self._durations.add(times.inferred - times.preprocessed)
        self.ages.add(times.decoded - times.captured)

    def skip(self, frame: Frame, error: FrameError) -> None:
        """A frame's picture is broken."""
        self._broken += 1
        level = logging.WARNING if self._broken == 1 else logging.DEBUG
        log.log(level, "frame %d skipped: %s", frame.seq, error)

    def state(self, now: float, frame: Frame | None = None) -> tuple[State, str]:
        """What the run is at (while it has a frame in hand: what it is at with that), and the reason."""
        capture = self._capture
        status = capture.status
        if frame is None and self.paused and status.state != "starting":
            return "paused", ""
        if frame is None and status.state != "running":
            return status.state, status.message
        stall = max(self._stall, capture.patience)
        if frame is None and capture.source.live and now - self.frame_at >= stall:
            return "waiting", f"{capture.source.name}: no frame for over {stall:g} s"
        if self.impaired:
            return "degraded", "; ".join(self.impaired.values())
        return "running", ""

    def status(self, frame: Frame | None) -> Status:
        """The status with a frame in hand, or without."""
        report, now = self.count(), time.monotonic()
        self.impaired.pop("engine", None)
        if self._engine.trouble:
            self.impaired["engine"] = self._engine.trouble
        state, message = self.state(now, frame)
        return replace(
            self._base,
            state=state,
            message=message,
            device=self._engine.device,
            source=self._capture.source.name,
            camera_fps=self._capture.rate.rate(now),
            inference_fps=self.inferences.rate(now),
            inference_ms=self._durations.median() * 1000,
            age_ms=(now - frame.times.captured) * 1000 if frame is not None else 0.0,
            frames=report.frames,
            still=report.still,
            dropped=report.dropped,
            broken=report.broken,
            lost=report.lost,
            temperature=None if self._regulator is None else self._regulator.temperature,
            steps_down=0 if self._regulator is None else self._regulator.level,
            sinks=self.sinks,
        )

    def count(self) -> RunReport:
        """The counts as they are now."""
        self.report.dropped = self._capture.slot.dropped - self._replaced_before
        self.report.broken = self._broken + self._capture.broken
        self.report.lost = self._capture.lost
        return self.report
