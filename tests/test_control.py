"""The switches of a run: pausing a camera and a file, privacy on and off, and who may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edgecam import jpeg
from edgecam.control import Controls
from edgecam.errors import UsageError
from edgecam.pipeline import PipelineOptions
from edgecam.privacy.filter import Privacy, Rules, Shown
from edgecam.privacy.mask import Mask
from edgecam.types import Detections, Frame, Packet, Status
from tests.helpers.waiting import until
from tests.privacy.support import LABELS, detections, jpeg_frame, red, redness
from tests.test_pipeline import ListSink, ListSource, frame, make


def test_a_pause_is_said_once_with_who_asked() -> None:
    said: list[str] = []
    controls = Controls(said.append)
    controls.pause(False, "mqtt")
    controls.pause(True, "mqtt")
    controls.pause(True, "mqtt")
    controls.pause(False, "the page")
    assert said == ["paused, by mqtt", "goes on, by the page"]


def test_privacy_is_switched_off_only_where_the_settings_let_it() -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="there are no masks"):
        Controls(said.append, may_unveil=True).veil(False, "mqtt")
    shut = Controls(said.append, private=True)
    with pytest.raises(UsageError, match=r"cannot be switched off .*: set privacy_switch = true"):
        shut.veil(False, "mqtt")
    assert shut.veiled is True and not said
    shut.veil(True, "mqtt")  # what is so already may be asked for
    free = Controls(said.append, private=True, may_unveil=True)
    free.veil(False, "mqtt")
    free.veil(True, "mqtt")
    assert said == ["privacy OFF: nothing is covered, by mqtt", "privacy on, by mqtt"]


def test_a_paused_camera_shows_a_placard_and_goes_on_where_it_is() -> None:
    controls = Controls()
    sink, given = ListSink(), threading.Semaphore(0)
    statuses: list[Status] = []
    steps: list[Frame | Exception | Callable[[], object]] = []
    for number in range(40):
        steps += [given.acquire, frame(number)]
    line = make(
        ListSource(steps, live=True),
        sink,
        options=PipelineOptions(controls=controls),
        watch=lambda status, work: statuses.append(status),
    )
    run = threading.Thread(target=line.run)
    run.start()
    try:
        given.release()
        until("a frame", lambda: sink.packets and sink.packets[-1].result is not None)
        controls.pause(True, "test")
        until("the placard", lambda: sink.packets[-1].status.state == "paused")
        before = len([p for p in sink.packets if p.result is not None])
        for _ in range(10):
            given.release()
            time.sleep(0.01)
        until("it is told", lambda: statuses[-1].state == "paused")
        until("another placard", lambda: sink.packets[-1].frame.seq >= 1)
        assert len([p for p in sink.packets if p.result is not None]) == before
        assert statuses[-1].dropped == 0, "what nobody wants to see is no loss"
        controls.pause(False, "test")
        until(
            "it goes on", lambda: (given.release(), time.sleep(0.05), len(results(sink.packets)) > before)[2]
        )
        assert results(sink.packets)[before].frame.seq >= 11, "with the newest, not with an old one"
    finally:
        line.stop("test")
        for _ in range(60):
            given.release()
        run.join(20)


def results(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if packet.result is not None]


def test_a_paused_file_waits_and_loses_nothing() -> None:
    controls = Controls()
    sink = ListSink()
    steps: list[Frame | Exception | Callable[[], object]] = [frame(i) for i in range(5)]
    steps += [lambda: controls.pause(True, "test"), *(frame(i) for i in range(5, 10))]
    line = make(ListSource(steps), sink, options=PipelineOptions(controls=controls))
    run = threading.Thread(target=line.run)
    run.start()
    until("it pauses", lambda: line._tally.paused)
    count = len(sink.packets)
    time.sleep(0.3)
    assert len(sink.packets) - count <= 1 and run.is_alive()
    controls.pause(False, "test")
    run.join(20)
    assert [packet.frame.seq for packet in sink.packets] == list(range(10))


def test_bare_the_cameras_own_frame_goes_on_and_veiled_again_it_does_not() -> None:
    mask = Mask(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    privacy = Privacy(Rules(masks=(mask,)), shown=Shown(threshold=0.5))
    controls = Controls(private=True, may_unveil=True)
    privacy.bare = lambda: controls.veiled is False
    found = detections((1, 1, 5, 5))
    for veiled in (True, False, True):
        controls.veil(veiled, "test")
        raw = jpeg_frame(red())
        shown, told = privacy.protect(raw, found, LABELS)
        assert (shown is raw) == (not veiled)
        assert (redness(jpeg.decode(jpeg.of(shown))) > 0.9) == (not veiled)
        assert len(told) == len(found) if isinstance(told, Detections) else False
