"""Figures of a run in the text format of Prometheus, with the same words for its state as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edgecam import __version__
from edgecam.sinks.web.health import Health
from edgecam.types import Packet, SinkState, State, Status

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
#: Upper bounds of the histograms' buckets in seconds: from an accelerator's inference to a frozen picture.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the page knows when it is asked.

    Attributes:
        status: of the newest packet, None before the first.
        viewers: open streams of pictures.
        encoded: pictures encoded so far.
        missed: pictures that waiting viewers did not get.
    """

    status: Status | None
    health: Health
    viewers: int
    encoded: int
    missed: int


class Metrics(Collector):
    """Counts packets as they pass, and tells the rest from :class:`Reading` when somebody asks.

    Args:
        read: how it is now.
    """

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self._registry = CollectorRegistry()
        self._stages = Histogram(
            "edgecam_stage_seconds",
            "Time a frame takes from stage to stage.",
            ["stage"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._age = Histogram(
            "edgecam_age_seconds",
            "Time from the capture of a frame to its result.",
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(self)

    def observe(self, packet: Packet) -> None:
        """Note the times of one packet; a placard has none."""
        if packet.result is None:
            return
        times = packet.frame.times
        marks = (times.captured, times.taken, times.preprocessed, times.inferred, times.decoded)
        for stage, before, after in zip(
            ("wait", "preprocess", "inference", "decode"), marks, marks[1:], strict=False
        ):
            if before and after:
                self._stages.labels(stage).observe(after - before)
        if times.captured and times.decoded:
            self._age.observe(times.decoded - times.captured)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it (:data:`CONTENT_TYPE`)."""
        return prometheus_client.generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        reading = self._read()
        states = GaugeMetricFamily("edgecam_state", "1 for the state of the run.", labels=["state"])
        for state in get_args(State):
            states.add_metric([state], state == reading.health.state)
        yield states
        yield _gauge("edgecam_up", "1 while pictures flow, as /healthz.", reading.health.well)
        if reading.health.age is not None:
            yield _gauge("edgecam_packet_age_seconds", "Since the newest packet.", reading.health.age)
        yield _gauge("edgecam_viewers", "Open streams of pictures.", reading.viewers)
        yield _counter("edgecam_encoded", "Pictures encoded for viewers.", reading.encoded)
        dropped = CounterMetricFamily(
            "edgecam_dropped", "Frames that a newer one replaced.", labels=["place"]
        )
        dropped.add_metric(["viewers"], reading.missed)
        if reading.status is not None:
            dropped.add_metric(["capture"], reading.status.dropped)
            yield from _of_run(reading.status)
            yield from _of_sinks(reading.status.sinks, dropped)
        yield dropped


def _of_run(status: Status) -> Iterator[Metric]:
    names = ("source", "model", "model_version", "model_sha256", "device", "runtime")
    facts = {name: getattr(status, name) for name in names}
    yield InfoMetricFamily("edgecam", "What runs.", value={"version": __version__, **facts})
    yield _gauge("edgecam_camera_fps", "Frames a second from the source.", status.camera_fps)
    yield _gauge("edgecam_inference_fps", "Results a second.", status.inference_fps)
    yield _counter("edgecam_frames", "Results made.", status.frames)
    yield _counter("edgecam_still", "Of them, those that needed no inference.", status.still)
    yield _counter("edgecam_broken", "Pictures that could not be decoded.", status.broken)
    yield _counter("edgecam_lost", "How often the source was lost.", status.lost)
    yield _gauge("edgecam_steps_down", "Steps that the governor has taken.", status.steps_down)
    if status.temperature is not None:
        yield _gauge("edgecam_temperature_celsius", "Of the board.", status.temperature)


def _of_sinks(sinks: Sequence[SinkState], dropped: CounterMetricFamily) -> Iterator[Metric]:
    """How each sink is, by its name (which holds no credentials), and what waits in those with a queue."""
    well = GaugeMetricFamily("edgecam_sink_up", "1 while a sink does its work.", labels=["sink"])
    waiting = GaugeMetricFamily("edgecam_queue_entries", "Entries that wait for a receiver.", labels=["sink"])
    size = GaugeMetricFamily("edgecam_queue_bytes", "Bytes of them.", labels=["sink"])
    lost = CounterMetricFamily(
        "edgecam_queue_dropped", "Entries that the queue's bounds have cost.", labels=["sink"]
    )
    sent = CounterMetricFamily("edgecam_queue_delivered", "Entries that have arrived.", labels=["sink"])
    for sink in {sink.name: sink for sink in sinks}.values():  # two of one name would be one series twice
        well.add_metric([sink.name], sink.well)
        if not sink.name.startswith("web:"):  # viewers have a line of their own
            dropped.add_metric([sink.name], sink.dropped)
        if sink.queue is not None:
            waiting.add_metric([sink.name], sink.queue.waiting)
            size.add_metric([sink.name], sink.queue.size)
            lost.add_metric([sink.name], sink.queue.dropped)
            sent.add_metric([sink.name], sink.queue.delivered)
    yield from (well, waiting, size, lost, sent)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
