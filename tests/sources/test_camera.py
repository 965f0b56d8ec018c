"""CameraSource on nodes that do as they are told. On the kernel's own cameras: tests/vm."""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgecam import cameras, jpeg, v4l2
from edgecam.errors import FrameError, SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, parse_uri, source_uri
from edgecam.sources import camera
from edgecam.sources.camera import CameraSource, to_rgb
from edgecam.types import Frame, Image
from edgecam.v4l2 import Format, Grab, Pixels, Sizes

JPEG = jpeg.encode(np.full((720, 1280, 3), (200, 100, 50), np.uint8))
OFFERS = (
    Format("YUYV", "", (Sizes((640, 480), (640, 480), rates=(30.0,)),)),
    Format("MJPG", "", (Sizes((1280, 720), (1280, 720), rates=(30.0,)),)),
)


class Node:
    """Gives the grabs of ``script`` in turn, raises its errors, and is silent once it is empty."""

    script: deque[Grab | OSError]
    error_at_format: OSError | None = None
    insists_on = ""
    alive = 0

    def __init__(self, path: str) -> None:
        self._woken = threading.Event()
        self._open = True
        type(self).alive += 1

    def set_format(self, name: str, width: int, height: int) -> Pixels:
        if self.error_at_format:
            raise self.error_at_format
        return Pixels(self.insists_on or name, width, height, width * 2)

    def set_rate(self, fps: float) -> float:
        return fps

    def start(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        if self.script:
            return True
        self._woken.wait(timeout)
        return False

    def take(self) -> Grab | None:
        item = self.script.popleft()
        if isinstance(item, OSError):
            raise item
        return item

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        if self._open:
            self._open = False
            type(self).alive -= 1


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[deque[Grab | OSError]]:
    """What the camera does next; checks that no node is left open in the end."""
    kind = type("ScriptedNode", (Node,), {"script": deque(), "alive": 0})
    monkeypatch.setattr(v4l2, "Node", kind)
    info = cameras.CameraInfo("/dev/video0", "C270", "uvcvideo", "usb-1", formats=OFFERS)
    monkeypatch.setattr(cameras, "camera", lambda name: info)
    yield kind.script
    assert kind.alive == 0


def grab(sequence: int = 0, data: bytes = JPEG, age: float = 0.0, error: bool = False) -> Grab:
    return Grab(data, sequence, time.monotonic() - age, error)


def opened(uri: str = "camera:") -> CameraSource:
    source = CameraSource(parse_uri(uri))
    source.open()
    return source


def read(source: CameraSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_it_is_registered() -> None:
    assert load(SOURCES, "source", "camera") is CameraSource


@pytest.mark.parametrize(
    ("text", "path", "query"),
    [
        ("0", "0", {}),
        ("2?fps=5", "2", {"fps": "5"}),
        ("/dev/video0", "/dev/video0", {}),
        ("/dev/video0?size=640x480", "/dev/video0", {"size": "640x480"}),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1", "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1", {}),
        ("camera:", "", {}),
    ],
)
def test_what_people_type_for_a_camera(text: str, path: str, query: dict[str, str]) -> None:
    uri = source_uri(text)
    assert (uri.scheme, uri.path, uri.query) == ("camera", path, query)


def test_jpeg_bytes_stay_on_the_frame(script: deque[Grab | OSError]) -> None:
    taken = grab(age=0.02)
    script.append(taken)
    source = opened()
    frame = read(source)
    assert frame.jpeg == JPEG
    assert frame.size == (1280, 720)
    assert frame.image[300, 300].tolist() == pytest.approx([200, 100, 50], abs=4)
    assert frame.times.captured == taken.timestamp
    assert frame.source == source.name == "C270 (/dev/video0)"
    source.close()


def test_the_size_of_a_jpeg_is_the_pictures_own(script: deque[Grab | OSError]) -> None:
    script.append(grab(data=jpeg.encode(np.zeros((480, 640, 3), np.uint8))))
    source = opened()
    assert read(source).size == (640, 480)
    source.close()


def test_numbers_follow_the_drivers_and_go_on_after_opening_again(script: deque[Grab | OSError]) -> None:
    source = opened()
    script += [grab(s) for s in (17, 18, 21, 21, 0)]
    assert [read(source).seq for _ in range(5)] == [0, 1, 4, 5, 6]
    source.open()
    script += [grab(s) for s in (100, 101)]
    assert [read(source).seq for _ in range(2)] == [7, 8]
    source.close()


@pytest.mark.parametrize("stamp", [None, 0.0, 1e12])
def test_a_time_of_another_clock_is_not_believed(script: deque[Grab | OSError], stamp: float | None) -> None:
    script.append(Grab(JPEG, 0, stamp, False))
    source = opened()
    before = time.monotonic()
    assert before <= read(source).times.captured <= time.monotonic()
    source.close()


def test_broken_frames_are_skipped_counted_and_named_once(
    script: deque[Grab | OSError], caplog: pytest.LogCaptureFixture
) -> None:
    script += [grab(0, b""), grab(1, JPEG[:999]), grab(2, error=True), grab(3)]
    source = opened()
    assert read(source).seq == 3
    assert source.broken == 3
    assert caplog.text.count("broken frame") == 1
    source.close()


def test_a_silent_camera_is_lost(script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_FRAME_S", 0.2)
    source = opened()
    with pytest.raises(
        SourceLostError, match=r"^no frame from C270 \(/dev/video0\) for 0.2 s: check its cable"
    ):
        source.read()


def test_a_camera_that_sends_only_rubbish_is_lost(
    script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "FIRST_FRAME_S", 0.2)
    monkeypatch.setattr(Node, "wait", lambda self, timeout: True)
    monkeypatch.setattr(Node, "take", lambda self: grab(0, b"rubbish"))
    source = opened()
    with pytest.raises(SourceLostError, match="only broken frames from C270"):
        source.read()


def test_a_camera_that_falls_silent_is_given_less_time(
    script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "SILENT_S", 0.1)
    script.append(grab())
    source = opened()
    read(source)
    with pytest.raises(SourceLostError, match=r"for 0\.1 s"):
        source.read()


def test_a_slow_camera_is_given_the_time_of_three_pictures(
    script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    source = opened("camera:?fps=0.25")
    node = source._node
    assert node is not None
    monkeypatch.setattr(node, "wait", lambda timeout: waits.append(timeout) or True)
    script += [grab(0), grab(1)]
    read(source)
    read(source)
    assert waits == [pytest.approx(12, abs=6)] * 2
    source.close()


@pytest.mark.parametrize(
    ("code", "text"),
    [(errno.ENODEV, "was unplugged: plug it in again"), (errno.EIO, r"failed \(Input/output error\)")],
)
def test_a_lost_camera_is_let_go(script: deque[Grab | OSError], code: int, text: str) -> None:
    source = opened()
    script += [grab(), OSError(code, os.strerror(code))]
    read(source)
    with pytest.raises(SourceLostError, match=text):
        source.read()
    # The fixture checks that the node is closed: the kernel gives a number anew only when nobody holds it.


def test_close_ends_a_waiting_read(script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_FRAME_S", 60)
    source = opened()
    result: list[Frame | None] = []
    reader = threading.Thread(target=lambda: result.append(source.read()))
    reader.start()
    source.close()
    reader.join(5)
    assert result == [None]
    source.close()
    assert source.read() is None


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EACCES, errno.ENODEV])
def test_an_error_while_opening_lets_go_and_tells(
    script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(Node, "error_at_format", OSError(code, os.strerror(code)))
    with pytest.raises(SourceError, match="/dev/video0"):
        opened()


def test_a_format_that_nobody_asked_for_is_refused(
    script: deque[Grab | OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "insists_on", "H264")
    with pytest.raises(SourceError, match="insists on format H264"):
        opened()


def test_the_nearest_size_is_named(script: deque[Grab | OSError], caplog: pytest.LogCaptureFixture) -> None:
    source = opened("camera:?size=1000x700&format=mjpeg")
    assert "no size 1000x700, the nearest is taken" in caplog.text
    source.close()


@pytest.mark.parametrize(
    "query", ["size=big", "fps=0", "fps=fast", "format=h264", "sise=640x480", "size=0x0"]
)
def test_wrong_options_are_usage_errors(query: str) -> None:
    with pytest.raises(UsageError):
        CameraSource(parse_uri(f"camera:?{query}"))


SCENE = np.zeros((48, 64, 3), np.uint8)
SCENE[:, :32] = (220, 40, 30)
SCENE[:, 32:] = (30, 60, 210)


def packed(order: str) -> bytes:
    """4:2:2 with the bytes of two pixels in some order."""
    yuv = cv2.cvtColor(SCENE, cv2.COLOR_RGB2YUV_I420)
    luma, chroma = yuv[:48], yuv[48:].reshape(2, 24, 32).repeat(2, axis=1)
    parts = {"Y": iter((luma[:, 0::2], luma[:, 1::2])), "U": iter((chroma[0],)), "V": iter((chroma[1],))}
    return np.stack([next(parts[letter]) for letter in order], axis=-1).tobytes()


def planar(name: str, stride: int = 64) -> bytes:
    yuv = cv2.cvtColor(SCENE, cv2.COLOR_RGB2YUV_I420)
    luma, (u, v) = yuv[:48], yuv[48:].reshape(2, 24, 32)
    pad = ((0, 0), (0, stride - 64))
    if name in ("NV12", "NV21"):
        pair = (u, v) if name == "NV12" else (v, u)
        chroma = np.pad(np.stack(pair, axis=-1).reshape(24, 64), pad)
    else:
        half = ((0, 0), (0, (stride - 64) // 2))
        chroma = np.concatenate([np.pad(c, half) for c in ((u, v) if name == "YU12" else (v, u))])
    return np.pad(luma, pad).tobytes() + chroma.tobytes()


def same(image: Image, truth: Image) -> bool:
    return image.shape == truth.shape and bool(np.abs(image.astype(int) - truth).max() <= 8)


@pytest.mark.parametrize("name", ["YUYV", "UYVY", "YVYU"])
def test_packed_colours(name: str) -> None:
    assert same(to_rgb(packed(name), Pixels(name, 64, 48, 128)), SCENE)


@pytest.mark.parametrize(("name", "stride"), [*itertools.product(["NV12", "NV21", "YU12", "YV12"], [64, 96])])
def test_planar_colours_with_and_without_padding(name: str, stride: int) -> None:
    assert same(to_rgb(planar(name, stride), Pixels(name, 64, 48, stride)), SCENE)


def test_rgb_bgr_and_grey() -> None:
    padded = np.pad(SCENE.reshape(48, 192), ((0, 0), (0, 8)))
    assert np.array_equal(to_rgb(padded.tobytes(), Pixels("RGB3", 64, 48, 200)), SCENE)
    assert np.array_equal(to_rgb(SCENE[..., ::-1].tobytes(), Pixels("BGR3", 64, 48, 192)), SCENE)
    grey = to_rgb(bytes(range(64)) * 48, Pixels("GREY", 64, 48, 0))
    assert (grey == np.arange(64, dtype=np.uint8)[None, :, None]).all()


def test_pixels_are_our_own_memory() -> None:
    image = to_rgb(SCENE.tobytes(), Pixels("RGB3", 64, 48, 192))
    assert image.flags.owndata
    assert image.flags.writeable


@pytest.mark.parametrize("name", [*camera._PACKED, *camera._PLANAR])
def test_half_a_raw_frame_is_broken(name: str) -> None:
    with pytest.raises(FrameError, match="cut off: 100 of"):
        to_rgb(bytes(100), Pixels(name, 64, 48, 0))


def test_every_raw_format_that_is_chosen_can_be_converted() -> None:
    assert {*camera._PACKED, *camera._PLANAR, "MJPG", "JPEG"} == set(cameras.DECODABLE)
