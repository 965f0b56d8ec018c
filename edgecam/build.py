"""From settings to running parts: the one place that knows how they fit together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from edgecam import build_privacy, cameras, catalogue, contract, registry, regulator, scene
from edgecam.analysis import WEAK, Analysis
from edgecam.board import Board
from edgecam.capture import Capture
from edgecam.changeover import Changeover
from edgecam.config import Settings
from edgecam.config_edit import Editor
from edgecam.config_load import Loaded
from edgecam.contract import Overrides
from edgecam.engines.base import EngineOptions
from edgecam.errors import EdgecamError, SourceError, UsageError
from edgecam.governor import Limits
from edgecam.overlay import Overlay
from edgecam.pipeline import Model, Pipeline, PipelineOptions, RunReport
from edgecam.preprocess import Preprocessor
from edgecam.registry import URI
from edgecam.service import Renewal, Service
from edgecam.sinks.base import Sink
from edgecam.sinks.progress import Progress, ProgressSink
from edgecam.sources.base import Source

log = logging.getLogger(__name__)

Report = Callable[[str], None]

#: Sources that give pictures of the size they are asked for.
SIZED = ("camera", "picamera")


def load_model(settings: Settings, weak: float = 1.0) -> Model:
    """Find the model, read its contract, load it and warm it up.

    Args:
        weak: part of the threshold from which on it reports, see :class:`edgecam.types.HeadOptions`.

    Raises:
        UnknownNameError: no such model.
        ModelError: the file is broken or its contract does not fit.
        EngineError: it cannot be loaded here.
    """
    found = catalogue.find(settings.model)
    spec = contract.resolve(found.path, overrides(settings).over(found.overrides))
    delegate, delegate_options = settings.delegate_library
    options = EngineOptions(
        model=found.path,
        threads=settings.threads,
        runtime=settings.runtime,
        device=settings.device,
        delegate=delegate,
        delegate_options=delegate_options,
        require_delegate=settings.require_delegate,
    )
    engine = registry.load(registry.ENGINES, "engine", settings.engine)(options)
    contract.check(spec, engine.input, engine.outputs)
    head_options = build_privacy.head_options(settings, spec, weak)
    head = registry.load(registry.HEADS, "decoder", spec.decoder)(
        spec, engine.input, engine.outputs, head_options
    )
    return Model(spec, Preprocessor(spec, engine.input), engine, head)


def overrides(settings: Settings) -> Overrides:
    """What the user says of the model."""
    return Overrides(
        task=settings.task,
        decoder=settings.decoder,
        labels=None if settings.labels is None else Path(settings.labels),
        color=settings.color,
        resize=settings.resize,
        mean_std=settings.mean_std,
        outputs=settings.output_roles,
        options=settings.decoder_parameters,
    )


def auto_source(report: Report, wait: bool = False) -> URI:
    """The first camera found, else the demo scene, saying why; with ``wait`` whatever camera comes first."""
    try:
        return registry.source_uri(cameras.first_camera().path)
    except SourceError as error:
        if cameras.csi_cameras():
            return registry.source_uri("picamera:")
        if wait:
            return registry.source_uri("camera:")
        report(f"{error.message}; showing the demo scene instead (edgecam devices tells more)")
        return registry.source_uri("demo:")


def source_uri(settings: Settings, report: Report) -> URI:
    """The source that the settings name, or what ``auto`` finds."""
    if settings.source == "auto":
        return auto_source(report, settings.wait_for_source)
    return registry.source_uri(settings.source)


def create_source(settings: Settings, report: Report) -> Source:
    """The source that the settings name; not opened yet."""
    return _source(source_uri(settings, report))


def _source(uri: URI) -> Source:
    source: Source = registry.load(registry.SOURCES, "source scheme", uri.scheme)(uri)
    return source


def create_sinks(settings: Settings) -> list[Sink]:
    """The sinks that the settings name; not started yet."""
    if not settings.sinks:
        raise UsageError("no sink to send results to", "name one, for example --sink web:")
    uris = [_with_web_settings(registry.sink_uri(text), settings) for text in settings.sinks]
    return [registry.load(registry.SINKS, "sink scheme", uri.scheme)(uri) for uri in uris]


def check(settings: Settings) -> None:
    """Raise what is wrong with settings that can be seen without opening or loading anything.

    Raises:
        UsageError, ModelError: an address, an option or a model that cannot be.
    """
    uri = registry.source_uri("demo:" if settings.source == "auto" else settings.source)
    registry.load(registry.SOURCES, "source scheme", uri.scheme)(uri)
    create_sinks(settings)
    check_ladder(settings)


def check_ladder(settings: Settings) -> None:
    """Raise what is wrong with the models: each must be there, and of the same kind as the first.

    Raises:
        UsageError, ModelError: a model that cannot be.
    """
    first = ""
    for name in (settings.model, *settings.model_ladder):
        found = catalogue.find(name)
        spec = contract.resolve(found.path, overrides(settings).over(found.overrides))
        build_privacy.check(settings, spec)
        scene.check_labels(settings.scene, spec.labels, spec.task)
        task = spec.task
        first = first or task
        if task != first:
            raise UsageError(
                f"{name} does not fit {settings.model}: one is there to {task}, the other to {first}",
                "name smaller models of the same kind",
            )


def run(
    settings: Settings,
    report: Report,
    progress: Progress | None = None,
    reload: Callable[[], Settings] | None = None,
    loaded: Loaded | None = None,
) -> RunReport:
    """Run until the source ends, a bound is reached or a signal comes. Main thread only.

    Args:
        report: tells the user one line.
        progress: called with (frames done, frames in all or None) after each frame of a source that ends
            by itself; never for a live one.
        reload: reads the settings anew, when the service manager asks for it. Settings that are no good are
            refused with a line, and the run goes on; with good ones it begins anew in the same process.
        loaded: where the settings came from; the page may change that file if it was asked to.

    Raises:
        EdgecamError: something could not be opened, or failed for good.
    """
    renewal = None if reload is None else Renewal(reload, check, report)
    service = Service(report, None if renewal is None else renewal.look)
    editor = None if loaded is None else Editor(loaded, check, service.ask_reload)
    before: Settings | None = None
    with service.signals():
        while True:
            try:
                result = _run_once(settings, report, progress, service, editor)
            except KeyboardInterrupt:
                return RunReport(reason=service.stopped)
            except EdgecamError as error:
                if before is None or service.ready:
                    raise
                report(f"the new settings do not work, back to the old ones: {error}")
                settings, before = before, None
                continue
            new = None if renewal is None else renewal.take()
            if service.stopped or new is None:
                return result
            settings, before = new, settings
            report("new settings")


@dataclass
class _Parts:
    """What the regulator may change in a run.

    Attributes:
        size: ``WIDTHxHEIGHT`` to ask a camera for, "" for what the settings say.
        sized: the source can be asked for a size.
    """

    settings: Settings
    report: Report
    size: str = ""
    sized: bool = False
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
        return _source(uri)

    def resize(self, size: str) -> None:
        assert self.capture is not None
        self.size = size
        self.capture.reopen("opening with pictures of " + (size or "its own size"))

    def _load(self, name: str) -> Model:
        return load_model(replace(self.settings, model=name or self.settings.model), _weak(self.settings))

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


def _run_once(
    settings: Settings,
    report: Report,
    progress: Progress | None,
    service: Service,
    editor: Editor | None,
) -> RunReport:
    if settings.governor and settings.model_ladder:
        check_ladder(settings)
    sinks = create_sinks(settings)
    parts = _Parts(settings, report)
    capture = parts.capture = Capture(
        parts.source(),
        exit_on_loss=settings.exit_on_source_error,
        renew=parts.source,
        wait=settings.wait_for_source,
    )
    # The source opens while the model loads: a camera takes as long as the interpreter.
    capture.start()
    try:
        model = load_model(settings, _weak(settings))
        scene.check_labels(settings.scene, model.labels, model.spec.task)
        capture.check_opened()
    except BaseException:
        capture.stop()
        raise
    for note in model.engine.notes:
        report(note)
    report(f"{capture.source.name} -> {model.name} on {model.engine.device}, {model.engine.runtime}")
    if progress is not None and not capture.source.live:
        sinks.append(ProgressSink(progress, lambda: _in_all(capture.source, settings)))
    privacy, face_model = build_privacy.make(settings, model.spec, load_model, report, _weak(settings))
    overlay = Overlay(status=settings.status_line, scene=settings.scene)
    regulated = parts.regulator(capture.source)
    pipeline = parts.pipeline = Pipeline(
        capture,
        model,
        sinks,
        render=overlay.draw,
        options=PipelineOptions(
            max_frames=settings.max_frames,
            duration=settings.duration,
            scene=settings.scene,
            editing=editor,
        ),
        report=report,
        watch=service.watch if capture.source.live else None,
        regulator=regulated,
        privacy=privacy,
        analysis=_analysis(settings, model),
    )
    if model.engine.device.startswith("CPU") and (
        settings.delegate or settings.device not in ("auto", "cpu")
    ):
        pipeline.impaired["engine"] = "the accelerator cannot be used, the CPU does its work"
    try:
        with service.running(pipeline):
            return pipeline.run()
    finally:
        parts.changeover.close()
        pipeline.model.engine.close()
        if privacy is not None and privacy.close() and face_model is not None:
            face_model.engine.close()
        if regulated is not None:
            regulated.close()


def _weak(settings: Settings) -> float:
    return WEAK if settings.tracks else 1.0


def _analysis(settings: Settings, model: Model) -> Analysis | None:
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


def _with_web_settings(uri: URI, settings: Settings) -> URI:
    """``--listen``, ``--token`` and ``--insecure`` shape a web sink that does not say otherwise itself."""
    if uri.scheme != "web":
        return uri
    query = dict(uri.query)
    if settings.token:
        query.setdefault("token", settings.token)
    if settings.insecure:
        query.setdefault("insecure", "yes")
    path = uri.path or (f"//{settings.listen}" if settings.listen else "")
    text = f"web:{path}" + (f"?{urlencode(query)}" if query else "")
    return registry.parse_uri(text)
