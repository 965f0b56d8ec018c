"""The main loop: frames in, packets out. Owns every thread it starts, joins it, and says why it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edgecam.analysis import Analysis
from edgecam.capture import Capture
from edgecam.errors import EdgecamError, FrameError
from edgecam.meters import DurationMeter, RateMeter
from edgecam.model import Model as Model
from edgecam.placard import placard
from edgecam.privacy.filter import Privacy
from edgecam.regulator import Regulator
from edgecam.scene import Scene
from edgecam.sinks.base import Editing, Keeper, Sink, SinkContext
from edgecam.types import Frame, Image, Packet, Result, State, Status

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
        scene, editing: what sinks are told of the run, see :class:`edgecam.sinks.base.SinkContext`.
    """

    max_frames: int = 0
    duration: float = 0.0
    stall: float = 3.0
    scene: Scene = field(default_factory=Scene)
    editing: Editing | None = None


@dataclass
class RunReport:
    """How a run went.

    Attributes:
        reason: why it ended, for people.
        frames: results made.
        dropped: frames of a live source replaced by a newer one.
        broken: pictures that could not be decoded.
        lost: how often the source was lost.
        seconds: from the first frame to the last.
        failures: one line for each sink that failed.
    """

    reason: str = ""
    frames: int = 0
    dropped: int = 0
    broken: int = 0
    lost: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        return (self.frames - 1) / self.seconds if self.frames > 1 and self.seconds > 0 else 0.0


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
    ) -> None:
        self.impaired: dict[str, str] = {}
        self._capture = capture
        self._model = model
        self._sinks = list(sinks)
        self._started: list[Sink] = []
        self._render = render
        self._options = options or PipelineOptions()
        self._report = report
        self._watch = watch
        self._regulator = regulator
        self._privacy = privacy
        self._analysis = analysis
        self._last: Packet | None = None
        self._held = False
        self._watched_at = 0.0
        self._work = 0
        self._pulse = 0
        self._stop_reason = ""
        self._result = RunReport()
        self._inferences = RateMeter()
        self._durations = DurationMeter()
        self._ages = DurationMeter()
        self._base = _base_status(model)
        self._broken = 0
        self._replaced_before = 0
        self._size = (640, 480)
        self._last_frame_at = 0.0
        self._last_placard_at = 0.0
        self._placards = 0

    def stop(self, reason: str) -> None:
        """End the run soon. Takes no lock, so a signal handler may call it."""
        self._stop_reason = self._stop_reason or reason

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._model

    def use(self, model: Model) -> None:
        """Go over to another model from the next frame on, and close the engine of the one before."""
        before, self._model = self._model, model
        self._base = _base_status(model)
        self._durations = DurationMeter()
        before.engine.close()

    def run(self) -> RunReport:
        """Run until the source ends, a bound is reached, or :meth:`stop`.

        Raises:
            SourceError: the source could not be opened or failed for good.
            EngineError: the interpreter failed.
            SinkError: a sink could not be started.
        """
        result = self._result
        try:
            self._start_sinks()
            self._loop()
        finally:
            self._capture.stop()
            self._end_events()
            self._close_sinks()
            self._count()
        if self._capture.error is not None:
            raise self._capture.error
        result.reason = self._stop_reason or "the source ended"
        return result

    def _start_sinks(self) -> None:
        context = SinkContext(
            live=self._capture.source.live,
            source=self._capture.source.name,
            model=self._model.name,
            labels=self._model.labels,
            report=self._report,
            stop=self.stop,
            scene=self._options.scene,
            folders=tuple(dict.fromkeys(s.folder for s in self._sinks if isinstance(s, Keeper))),
            editing=self._options.editing,
        )
        for sink in self._sinks:
            self._started.append(sink)
            sink.start(context)

    def _close_sinks(self) -> None:
        for sink in self._started:
            try:
                sink.close()
            except Exception as error:
                self._fail(sink, error)
        self._result.failures = [f"{s.name}: {s.failed}" for s in self._started if s.failed]

    def _loop(self) -> None:
        began = first = time.monotonic()
        self._last_frame_at = began
        # Frames that passed while the model was loading are nobody's loss.
        self._replaced_before = self._capture.slot.dropped
        options, result = self._options, self._result
        while not self._stop_reason:
            frame = self._next_frame()
            now = time.monotonic()
            if frame is not None:
                if self._process(frame, now):
                    first = now if result.frames == 1 else first
                    result.seconds = now - first
                if options.max_frames and result.frames >= options.max_frames:
                    self.stop(f"{result.frames} frames done")
            elif self._capture.ended and not self._held:
                return
            self._capture.check()
            self._look_after(now)
            if options.duration and now - began >= options.duration:
                self.stop(f"{options.duration:g} s are over")

    def _next_frame(self) -> Frame | None:
        """The newest frame, None if there is none for now. The regulator may let it wait."""
        left = self._pause_left()
        if left > 0:
            time.sleep(min(left, TICK))
        self._held = self._pause_left() > 0
        return None if self._held else self._capture.slot.take(TICK)

    def _pause_left(self) -> float:
        """Seconds until the regulator lets the next frame through, 0.0 or less for now."""
        if self._regulator is None or not self._result.frames:
            return 0.0
        return self._last_frame_at + self._regulator.pause - time.monotonic()

    def _process(self, frame: Frame, now: float) -> bool:
        """Recognise one frame and hand it on; False if its picture is broken."""
        frame.times.taken = self._last_frame_at = now
        self._size = frame.size
        try:
            found = self._model.run(frame if self._privacy is None else self._privacy.for_model(frame))
        except FrameError as error:
            self._broken += 1
            level = logging.WARNING if self._broken == 1 else logging.DEBUG
            log.log(level, "frame %d skipped: %s", frame.seq, error)
            return False
        self._result.frames += 1
        self._work += 1
        self._inferences.tick(frame.times.decoded)
        self._durations.add(frame.times.inferred - frame.times.preprocessed)
        self._ages.add(frame.times.decoded - frame.times.captured)
        if self._privacy is not None:
            # From here on the camera's own picture is out of reach.
            frame, found = self._privacy.protect(frame, found, self._model.labels)
        self._push(self._packet(frame, found))
        return True

    def _packet(self, frame: Frame, found: Result) -> Packet:
        model, analysis = self._model, self._analysis
        if analysis is None:
            return Packet(frame, found, model.labels, self._status(frame), self._render)
        found, events = analysis.look(frame, found, model.labels, model.head.threshold)
        status, counts = self._status(frame), analysis.counts
        self._last = Packet(frame, found, model.labels, status, self._render, events=events, counts=counts)
        return self._last

    def _end_events(self) -> None:
        """The last steps of what still goes on, in a packet of their own."""
        last = self._last
        events = [] if self._analysis is None else self._analysis.finish()
        if last is not None and events:
            status = replace(self._status(last.frame), state="ended", message=self._stop_reason)
            self._push(Packet(last.frame, None, last.labels, status, events=events, counts=last.counts))

    def _look_after(self, now: float) -> None:
        """Tell who watches how it goes, and while no picture comes, the viewers why."""
        waits = self._state(now)[0] in ("starting", "waiting")
        if waits and now - self._last_placard_at >= PLACARD_EVERY and self._capture.source.live:
            self._last_placard_at = now
            self._show_placard()
        if self._regulator is not None and not waits:
            self._regulate(self._regulator, now)
        if self._watch is None or now - self._watched_at < TICK:
            return
        self._watched_at = now
        if waits and self._capture.pulse != self._pulse and not self._capture.hopeless:
            self._work += 1
        if now - self._last_frame_at < self._capture.patience:
            self._work += 1  # a slow slide show is no standstill
        self._pulse = self._capture.pulse
        self._watch(self._status(None), self._work)

    def _regulate(self, regulator: Regulator, now: float) -> None:
        """Let the regulator look; what it does less of makes the run ``degraded``."""
        if not self._result.frames:
            return
        rate = self._inferences.rate(now)
        if regulator.look(now, self._size, self._ages.median() * 1000, rate):
            self._ages = DurationMeter()  # what was before says nothing of now
            self.impaired.pop("load", None)
            if regulator.words:
                self.impaired["load"] = regulator.words

    def _show_placard(self) -> None:
        status = self._status(None)
        title = "Starting" if status.state == "starting" else "Waiting for camera"
        frame = Frame(self._placards, placard(self._size, title, status.message), source=status.source)
        self._placards += 1
        events = [] if self._analysis is None else self._analysis.idle()
        self._push(Packet(frame, None, self._model.labels, status, events=events))

    def _state(self, now: float, frame: Frame | None = None) -> tuple[State, str]:
        """What the run is at (while it has a frame in hand: what it is at with that), and the reason."""
        capture = self._capture
        status = capture.status
        if frame is None and status.state != "running":
            return status.state, status.message
        stall = max(self._options.stall, capture.patience)
        if frame is None and capture.source.live and now - self._last_frame_at >= stall:
            return "waiting", f"{capture.source.name}: no frame for over {stall:g} s"
        if self.impaired:
            return "degraded", "; ".join(self.impaired.values())
        return "running", ""

    def _look_round(self) -> None:
        """Note what does not work for now, and what works again."""
        troubles = {sink.name: str(getattr(sink, "trouble", "")) for sink in self._started if not sink.failed}
        if self._privacy is not None:
            troubles["privacy"] = self._privacy.trouble and f"privacy: {self._privacy.trouble}"
        for name, trouble in troubles.items():
            self.impaired.pop(name, None)
            if trouble:
                self.impaired[name] = trouble

    def _status(self, frame: Frame | None) -> Status:
        self._count()
        self._look_round()
        result, now = self._result, time.monotonic()
        state, message = self._state(now, frame)
        return replace(
            self._base,
            state=state,
            message=message,
            source=self._capture.source.name,
            camera_fps=self._capture.rate.rate(now),
            inference_fps=self._inferences.rate(now),
            inference_ms=self._durations.median() * 1000,
            age_ms=(now - frame.times.captured) * 1000 if frame is not None else 0.0,
            frames=result.frames,
            dropped=result.dropped,
            broken=result.broken,
            lost=result.lost,
            temperature=None if self._regulator is None else self._regulator.temperature,
            steps_down=0 if self._regulator is None else self._regulator.level,
        )

    def _count(self) -> None:
        self._result.dropped = self._capture.slot.dropped - self._replaced_before
        self._result.broken = self._broken + self._capture.broken
        self._result.lost = self._capture.lost

    def _push(self, packet: Packet) -> None:
        for sink in self._started:
            if not sink.failed:
                try:
                    sink.push(packet)
                except Exception as error:
                    self._fail(sink, error)
            if sink.failed:
                self.impaired[sink.name] = f"{sink.name} stopped: {sink.failed}"

    def _fail(self, sink: Sink, error: Exception) -> None:
        """A sink that fails is named once and left alone; the run goes on."""
        log.debug("sink %s", sink.name, exc_info=error)
        first = not sink.failed
        sink.failed = str(error) if isinstance(error, EdgecamError) else f"{type(error).__name__}: {error}"
        if first:
            self._report(f"{sink.name} stopped: {sink.failed}")


def _base_status(model: Model) -> Status:
    return Status(model=model.name, device=model.engine.device, runtime=model.engine.runtime)
