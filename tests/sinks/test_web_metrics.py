"""/metrics as Prometheus's own parser reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgecam.sinks.web import WebSink, health
from edgecam.types import Packet, QueueState, SinkState, State
from tests.sinks.web_support import Camera, Viewer, running, until


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with running() as sink:
        yield sink


def read(sink: WebSink) -> dict[str, float]:
    """Each sample by its name and labels, as ``edgecam_state{state=running}``."""
    answer = httpx.get(f"{sink.url}metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def state(found: dict[str, float]) -> str:
    """The one state that is 1."""
    states = {key: value for key, value in found.items() if key.startswith("edgecam_state{")}
    assert len(states) == len(get_args(State)) and set(states.values()) == {0.0, 1.0}
    (now,) = [key for key, value in states.items() if value]
    return now.removeprefix("edgecam_state{state=").removesuffix("}")


def timed(packet: Packet, **status: object) -> Packet:
    """The packet as if it had passed the stages in round times."""
    times = packet.frame.times
    times.taken = times.captured + 0.003
    times.preprocessed = times.taken + 0.002
    times.inferred = times.preprocessed + 0.03
    times.decoded = times.inferred + 0.001
    packet.status = replace(packet.status, **status)  # type: ignore[arg-type]
    return packet


def test_before_the_first_packet(sink: WebSink) -> None:
    found = read(sink)
    assert state(found) == "starting"
    assert found["edgecam_up"] == 0
    assert "edgecam_frames_total" not in found and "edgecam_packet_age_seconds" not in found


@pytest.mark.parametrize("name", get_args(State))
def test_the_state_has_the_same_word_as_healthz(sink: WebSink, name: State) -> None:
    sink.push(Camera().packet(state=name, message="why"))
    found, told = read(sink), httpx.get(f"{sink.url}healthz")
    assert state(found) == told.json()["state"] == name
    assert found["edgecam_up"] == (told.status_code == 200)


def test_a_run_that_stands_still_is_degraded(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.push(Camera().packet())
    monkeypatch.setattr(health, "STALE", -1.0)
    found = read(sink)
    assert state(found) == "degraded" and found["edgecam_up"] == 0


def test_figures_are_those_of_the_status(sink: WebSink) -> None:
    known = {
        "camera_fps": 29.5,
        "inference_fps": 14.25,
        "frames": 12,
        "still": 4,
        "dropped": 5,
        "broken": 2,
        "lost": 3,
        "temperature": 61.5,
        "steps_down": 1,
        "device": 'CPU "x4"\\',
    }
    sink.push(timed(Camera().packet(), **known))
    found = read(sink)
    assert found["edgecam_camera_fps"] == 29.5 and found["edgecam_inference_fps"] == 14.25
    assert found["edgecam_frames_total"] == 12 and found["edgecam_dropped_total{place=capture}"] == 5
    assert found["edgecam_still_total"] == 4
    assert found["edgecam_broken_total"] == 2 and found["edgecam_lost_total"] == 3
    assert found["edgecam_temperature_celsius"] == 61.5 and found["edgecam_steps_down"] == 1
    (info,) = [key for key in found if key.startswith("edgecam_info{")]
    assert "model=detect" in info and 'device=CPU "x4"\\' in info
    sink.push(timed(Camera().packet(), temperature=None))
    assert "edgecam_temperature_celsius" not in read(sink)  # no sensor is not 0 degrees


def test_sinks_and_their_queues(sink: WebSink) -> None:
    states = (
        SinkState("web:", dropped=3),
        SinkState("mqtt://***@broker/", dropped=2, well=False, queue=QueueState(7, 900, 11, 13)),
    )
    sink.push(timed(Camera().packet(), sinks=states, model_version="1.2", model_sha256="ab12"))
    found = read(sink)
    name = "{sink=mqtt://***@broker/}"
    assert found[f"edgecam_sink_up{name}"] == 0 and found["edgecam_sink_up{sink=web:}"] == 1
    assert found[f"edgecam_queue_entries{name}"] == 7 and found[f"edgecam_queue_bytes{name}"] == 900
    assert found[f"edgecam_queue_dropped_total{name}"] == 11
    assert found[f"edgecam_queue_delivered_total{name}"] == 13
    assert found["edgecam_dropped_total{place=mqtt://***@broker/}"] == 2
    assert "edgecam_dropped_total{place=web:}" not in found  # those are its viewers' misses
    (info,) = [key for key in found if key.startswith("edgecam_info{")]
    assert "model_version=1.2" in info and "model_sha256=ab12" in info


def test_latency_by_stage_and_age(sink: WebSink) -> None:
    camera = Camera()
    for _ in range(4):
        sink.push(timed(camera.packet()))
    sink.push(camera.packet(state="waiting"))  # a placard has no times
    found = read(sink)
    for stage, seconds in {"wait": 0.003, "preprocess": 0.002, "inference": 0.03, "decode": 0.001}.items():
        assert found[f"edgecam_stage_seconds_count{{stage={stage}}}"] == 4
        assert found[f"edgecam_stage_seconds_sum{{stage={stage}}}"] == pytest.approx(4 * seconds)
    assert found["edgecam_stage_seconds_bucket{le=0.02,stage=inference}"] == 0
    assert found["edgecam_stage_seconds_bucket{le=0.04,stage=inference}"] == 4
    assert found["edgecam_age_seconds_count"] == 4
    assert found["edgecam_age_seconds_sum"] == pytest.approx(4 * 0.036)
    assert not any("created" in key for key in found)


def test_viewers_and_what_they_miss(sink: WebSink) -> None:
    camera = Camera()
    sink.push(camera.packet())
    with Viewer(sink) as viewer:
        viewer.part()
        until("a viewer is counted", lambda: read(sink)["edgecam_viewers"] == 1)
    found = read(sink)
    assert found["edgecam_encoded_total"] >= 1 and found["edgecam_dropped_total{place=viewers}"] == 0


def test_it_is_behind_the_token() -> None:
    with running("web:?port=0&token=long-enough-token") as sink:
        assert httpx.get(f"{sink.url}metrics").status_code == 401
        headers = {"authorization": "Bearer long-enough-token"}
        assert httpx.get(f"{sink.url}metrics", headers=headers).status_code == 200
