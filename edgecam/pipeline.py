"""The main loop: frames in, packets out. Owns every thread it starts, joins it, and says why it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edgecam.analysis import Analysis
from edgecam.capture import Capture
from edgecam.caretaker import Caretaker
from edgecam.control import Controls
from edgecam.crew import Crew
from edgecam.fanout import Fanout
from edgecam.model import Model as Model
from edgecam.motiongate import MotionGate
from edgecam.privacy.filter import Privacy
from edgecam.recogniser import Recogniser, Seen, Understudy
from edgecam.regulator import Regulator
from edgecam.scene import Scene
from edgecam.sinks.base import Editing, Keeper, Recorder, Sink, SinkContext
from edgecam.tally import RunReport as RunReport
from edgecam.tally import Tally
from edgecam.types import Frame, Image, Packet, Status
from edgecam.values import Region

log = logging.getLogger(__name__)

TICK = 0.25
PLACARD_EVERY = 1.0


@dataclass(frozen=True)
class PipelineOptions:
    """
    Attributes:
        max_frames: end after so many results, 0 for no bound.
        duration: end after so many seconds, 0 for no bound.
        stall: seconds without a frame after which a live source counts as lost.
        scene, region, editing, device_id: what sinks are told, see :class:`edgecam.sinks.base.SinkContext`.
        controls: what may be asked of the run from outside.
    """

    max_frames: int = 0
    duration: float = 0.0
    stall: float = 3.0
    scene: Scene = field(default_factory=Scene)
    region: Region | None = None
    editing: Editing | None = None
    device_id: str = "edgecam"
    controls: Controls = field(default_factory=Controls)


class Pipeline:
    """Runs one source through one model into any number of sinks.

    Args:
        capture: not yet started, or started already (then the source opens while the model loads).
        model: what recognises.
        sinks: where packets go; started here, closed here.
        render: draws a packet's overlay, called at most once a packet and only if a sink asks.
        report: tells the user one line.
        watch: told the status about four times a second, and how much work is done: the number grows with
            each result, and with each try to open a camera that is away. It stands still while the work does.
        regulator: does less while the board is too hot or results come too late.
        privacy: makes the frames that sinks get; without it they get the camera's own.
        analysis: tracks objects and makes events; without it neither costs anything.
        understudy: sees what the model sees, and may take over.
        gate: lets the model rest while nothing moves; without it the model looks at every frame.
        crew: looks at several frames of a file at a time, each with an interpreter of its own. Neither
            understudy nor gate nor masks that the model must respect go with it.

    Attributes:
        impaired: what does not work as it was asked to, by what it concerns; makes the state ``degraded``.
    """

    def __init__(
        self,
        capture: Capture,
        model: Model,
        sinks: Sequence[Sink],
        *,
        render: Callable[[Packet], Image] | None = None,
        options: PipelineOptions | None = None,
        report: Callable[[str], None] = log.info,
        watch: Callable[[Status, int], None] | None = None,
        regulator: Regulator | None = None,
        privacy: Privacy | None = None,
        analysis: Analysis | None = None,
        understudy: Understudy | None = None,
        gate: MotionGate | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._capture = capture
        self._options = options or PipelineOptions()
        self._tally = Tally(capture, model, self._options.stall, regulator)
        self.impaired = self._tally.impaired
        self._folders = tuple(dict.fromkeys(s.folder for s in sinks if isinstance(s, Keeper)))
        self._films = tuple(dict.fromkeys(s.films for s in sinks if isinstance(s, Recorder)))
        self._sinks = Fanout(sinks, report, self.impaired)
        self._render = render
        self._report = report
        self._regulator = regulator
        self._recogniser = Recogniser(model, self._tally, privacy, analysis, understudy, gate, crew)
        capture.ahead = self._recogniser.prepare
        self._care = Caretaker(capture, self._tally, self._sinks, self._recogniser, regulator, watch)
        self._follows = analysis is not None
        self._last: Packet | None = None
        self._held = False
        self._stop_reason = ""

    def stop(self, reason: str) -> None:
        """End the run soon. Takes no lock, so a signal handler may call it."""
        self._stop_reason = self._stop_reason or reason

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._recogniser.model

    def use(self, model: Model, *, keep: bool = False) -> None:
        """Go over to another model from the next frame on. Main loop's thread only.

        Args:
            keep: leave the engine of the one before open.
        """
        self._recogniser.use(model, keep=keep)

    def run(self) -> RunReport:
        """Run until the source ends, a bound is reached, or :meth:`stop`.

        Raises:
            SourceError: the source could not be opened or failed for good.
            EngineError: the interpreter failed.
            SinkError: a sink could not be started.
        """
        result = self._tally.report
        try:
            self._sinks.start(self._context())
            self._loop()
        finally:
            self._capture.stop()
            self._end_events()
            result.failures = self._sinks.close()
            self._tally.count()
        if self._capture.error is not None:
            raise self._capture.error
        result.reason = self._stop_reason or "the source ended"
        return result

    def _context(self) -> SinkContext:
        return SinkContext(
            live=self._capture.source.live,
            source=self._capture.source.name,
            model=self.model.name,
            labels=self.model.labels,
            report=self._report,
            stop=self.stop,
            scene=self._options.scene,
            region=self._options.region,
            folders=self._folders,
            films=self._films,
            editing=self._options.editing,
            device_id=self._options.device_id,
            control=self._options.controls,
        )

    def _loop(self) -> None:
        began = time.monotonic()
        options, result = self._options, self._tally.report
        self._tally.begin(began)
        while not self._stop_reason:
            frame = self._next_frame()
            now = time.monotonic()
            if frame is not None:
                self._process(frame, now)
                if options.max_frames and result.frames >= options.max_frames:
                    self.stop(f"{result.frames} frames done")
            elif self._capture.ended and not self._held:
                return
            self._capture.check()
            self._care.look_after(now, TICK, PLACARD_EVERY)
            if options.duration and now - began >= options.duration:
                self.stop(f"{options.duration:g} s are over")

    def _next_frame(self) -> Frame | None:
        """The newest frame, None if there is none for now. The regulator may let it wait."""
        self._tally.paused = self._options.controls.paused
        if self._tally.paused:
            self._rest()
            return None
        left = self._pause_left()
        if left > 0:
            time.sleep(min(left, TICK))
        self._held = self._pause_left() > 0
        return None if self._held else self._capture.slot.take(TICK)

    def _rest(self) -> None:
        """While paused: a camera's frames pass unseen, a file waits."""
        self._held = True
        if not self._capture.source.live:
            time.sleep(TICK)
        elif self._capture.slot.take(TICK) is not None:
            self._tally.frame_at = time.monotonic()

    def _pause_left(self) -> float:
        """Seconds until the regulator lets the next frame through, 0.0 or less for now."""
        if self._regulator is None or not self._tally.report.frames:
            return 0.0
        return self._tally.frame_at + self._regulator.pause - time.monotonic()

    def _process(self, frame: Frame, now: float) -> None:
        """Recognise one frame and hand it on; one whose picture is broken is skipped."""
        seen = self._recogniser.look(frame, now)
        if seen is not None:
            self._care.work += 1
            self._sinks.push(self._packet(seen))

    def _packet(self, seen: Seen) -> Packet:
        frame, status = seen.frame, self._care.status(seen.frame)
        packet = Packet(
            frame,
            seen.found,
            self.model.labels,
            status,
            self._render,
            events=seen.events,
            counts=seen.counts,
            fresh=seen.fresh,
        )
        if self._follows:
            self._last = packet
        return packet

    def _end_events(self) -> None:
        """The last steps of what still goes on, in a packet of their own."""
        last = self._last
        events = self._recogniser.finish()
        if last is not None and events:
            status = replace(self._care.status(last.frame), state="ended", message=self._stop_reason)
            self._sinks.push(Packet(last.frame, None, last.labels, status, events=events, counts=last.counts))
