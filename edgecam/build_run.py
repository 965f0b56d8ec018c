"""From settings to one run: its parts, put together, run, and taken down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam import (
    build_crew,
    build_fleet,
    build_model,
    build_privacy,
    build_slots,
    identity,
    regulator,
    tuned,
)
from edgecam.analysis import Analysis
from edgecam.board import Board
from edgecam.build_ends import SIZED, Report, create_sinks, make_source, source_uri
from edgecam.capture import Capture
from edgecam.changeover import Changeover
from edgecam.config import Settings
from edgecam.config_edit import Editor
from edgecam.control import Controls
from edgecam.governor import Limits
from edgecam.model import Model
from edgecam.motiongate import Motion, MotionGate
from edgecam.overlay import Overlay
from edgecam.pipeline import Pipeline, PipelineOptions, RunReport
from edgecam.service import Service
from edgecam.sinks.progress import Progress, ProgressSink
from edgecam.sources.base import Source
from edgecam.types import Status

if TYPE_CHECKING:
    from edgecam.fleet.agent import Agent
    from edgecam.slots.keeper import Keeper


@dataclass
class Parts:
    """What the regulator may change in a run.

    Attributes:
        size: ``WIDTHxHEIGHT`` to ask a camera for, "" for what the settings say.
        sized: the source can be asked for a size.
        slot: file of the installed model that stands for the one in the settings, or None.
        keeper: of installed models, None where there are none.
        agent: takes commands of the fleet, None where the settings want none.
    """

    settings: Settings
    report: Report
    size: str = ""
    sized: bool = False
    slot: Path | None = None
    keeper: Keeper | None = None
    agent: Agent | None = None
    pipeline: Pipeline | None = None
    capture: Capture | None = None

    def __post_init__(self) -> None:
        # Off the main loop: a model may first be tried in a child, for longer than a watchdog waits.
        self.changeover = Changeover(self._load, self._use, lambda model: model.engine.close())

    def source(self) -> Source:
        uri = source_uri(self.settings, self.report)
        self.sized = uri.scheme in SIZED
        if self.size and self.sized:
            uri = replace(uri, query={**uri.query, "size": self.size})
        return make_source(uri)

    def resize(self, size: str) -> None:
        assert self.capture is not None
        self.size = size
        self.capture.reopen("opening with pictures of " + (size or "its own size"))

    def _load(self, name: str) -> Model:
        if not name:
            return self.load(self.slot)
        chosen = replace(self.settings, model=name)
        return build_model.load_model(chosen, build_model.weak(self.settings))

    def load(self, slot: Path | None) -> Model:
        """The model of a file, or the one that the settings name; it fits the run."""
        return build_slots.load(self.settings, slot)

    def first(self, live: bool, hands: int = 1) -> Model:
        """The model to start with; installed ones are for live sources. Several hands have a thread each."""
        if hands > 1:
            self.settings = replace(self.settings, threads=1)
        if live:
            self.keeper = build_slots.make(self.settings, self.load, self.report, self._in_slot)
        return self.load(None) if self.keeper is None else self.keeper.first()

    def close(self) -> None:
        if self.agent is not None:
            self.agent.close()
        self.changeover.close()
        if self.keeper is not None:
            self.keeper.close()

    def _in_slot(self, slot: Path | None) -> None:
        self.slot = slot

    def _use(self, model: Model) -> None:
        assert self.pipeline is not None
        self.pipeline.use(model)

    def regulator(self, source: Source) -> regulator.Regulator | None:
        """None if the settings want none, or if there is nothing to read or to slow down."""
        if not self.settings.governor or not source.live:
            return None
        board = Board()
        hot = self.settings.max_temperature or board.limit()
        return regulator.make(
            board,
            Limits(hot, self.settings.target_latency),
            self.report,
            resize=self.resize if self.sized else None,
            models=self.settings.model_ladder,
            change_model=self.changeover.begin,
            model_pending=self.changeover.pending,
        )


def run_once(
    settings: Settings,
    report: Report,
    progress: Progress | None,
    service: Service,
    editor: Editor | None,
) -> RunReport:
    """One run with one set of settings; see :func:`edgecam.build.run`.

    Args:
        service: whose signals stop it.
        editor: changes the settings file, None where there is no way to.

    Raises:
        EdgecamError: something could not be opened, or failed for good.
    """
    if settings.governor and settings.model_ladder:
        build_model.check_ladder(settings)
    build_privacy.check_motion(settings)
    sinks, weak = create_sinks(settings), build_model.weak(settings)
    parts = Parts(settings, report)
    capture = parts.capture = Capture(
        parts.source(),
        exit_on_loss=settings.exit_on_source_error,
        renew=parts.source,
        wait=settings.wait_for_source,
    )
    # The source opens while the model loads: a camera takes as long as the interpreter.
    capture.start()
    try:
        hands = build_crew.hands(settings, capture)
        model = parts.first(capture.source.live, hands)
        capture.check_opened()
    except BaseException:
        capture.stop()
        parts.close()
        raise
    _tell(capture, model, hands, report)
    if progress is not None and not capture.source.live:
        sinks.append(ProgressSink(progress, lambda: _in_all(capture.source, settings)))
    privacy, face_model = build_privacy.make(settings, model.spec, build_model.load_model, report, weak)
    controls = Controls(report, private=privacy is not None, may_unveil=settings.privacy_switch)
    if privacy is not None:
        privacy.bare = lambda: controls.veiled is False
    overlay = Overlay(status=settings.status_line, scene=settings.scene, region=settings.region_box)
    regulated = parts.regulator(capture.source)
    device = settings.device_id or identity.default_device_id()
    crew = build_crew.make(capture, model, lambda: parts.load(None), hands)
    pipeline = parts.pipeline = Pipeline(
        capture,
        model,
        sinks,
        render=overlay.draw,
        options=PipelineOptions(
            max_frames=settings.max_frames,
            duration=settings.duration,
            scene=settings.scene,
            region=settings.region_box,
            editing=editor,
            device_id=device,
            controls=controls,
        ),
        report=report,
        watch=_watch(service, parts.keeper) if capture.source.live else None,
        regulator=regulated,
        privacy=privacy,
        analysis=make_analysis(settings, model),
        understudy=parts.keeper,
        gate=MotionGate(Motion(settings.motion_part, settings.motion_every)) if settings.motion else None,
        crew=crew,
    )
    if parts.keeper is not None:
        parts.keeper.attach(pipeline)
    if model.engine.device.startswith("CPU") and build_model.asks_for_accelerator(settings):
        pipeline.impaired["engine"] = "the accelerator cannot be used, the CPU does its work"
    try:
        parts.agent = build_fleet.start(settings, device, parts.keeper, report)
        with service.running(pipeline), tuned.applied(model.setup, report):
            return pipeline.run()
    finally:
        if crew is not None:
            crew.close()
        parts.close()
        pipeline.model.engine.close()
        if privacy is not None and privacy.close() and face_model is not None:
            face_model.engine.close()
        if regulated is not None:
            regulated.close()


def _tell(capture: Capture, model: Model, hands: int, report: Report) -> None:
    """What runs, and how."""
    for note in (*model.notes, *model.engine.notes, *([model.choice.words] if model.choice else [])):
        report(note)
    several = f", {hands} pictures at a time" if hands > 1 else ""
    report(f"{capture.source.name} -> {model.name} on {model.engine.device}{several}, {model.engine.runtime}")


def _watch(service: Service, keeper: Keeper | None) -> Callable[[Status, int], None]:
    """Who is told how the run goes."""
    if keeper is None:
        return service.watch

    def watch(status: Status, work: int) -> None:
        service.watch(status, work)
        keeper.tend(status)

    return watch


def make_analysis(settings: Settings, model: Model) -> Analysis | None:
    """What tracks and makes events, None where nobody asks for it."""
    if not settings.tracks:
        return None
    # Where things are to be covered the head is asked for more than is shown.
    threshold = build_privacy.threshold_of(settings, model.spec) if settings.blur else None
    return Analysis(
        settings.scene, threshold=threshold, lost=settings.track_lost, smoothing=settings.smoothing
    )


def _in_all(source: Source, settings: Settings) -> int | None:
    """How many frames the run will have, if that is known."""
    bounds = [number for number in (source.total, settings.max_frames) if number]
    return min(bounds, default=None)
