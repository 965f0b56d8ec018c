"""PicameraSource against a stand-in that does what Picamera2's manual and source say (no Pi is at hand)."""

from __future__ import annotations

import sys
import threading
import time
import types
from typing import Any, ClassVar

import numpy as np
import pytest

from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, parse_uri
from edgecam.sources import picamera
from edgecam.sources.picamera import PicameraSource
from edgecam.types import Frame

ORANGE = (250, 120, 10)


class Request:
    """One completed request: pixels in the byte order of the format, and metadata."""

    def __init__(self, config: dict[str, Any], stamp: int, value: int) -> None:
        self._config = config["main"]
        self._stamp = stamp
        self._value = value

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        width, height = self._config["size"]
        colour = {"BGR888": ORANGE, "RGB888": ORANGE[::-1]}[self._config["format"]]
        image = np.full((height, width, 3), colour, np.uint8)
        image[0, 0] = self._value
        return image

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": self._stamp}


class Picamera2:
    """As much of Picamera2 0.3 as the source uses; ``shoot`` stands for the sensor."""

    modules: ClassVar[list[dict[str, Any]]] = [
        {"Model": "imx708", "Id": "/base/soc/i2c0mux/imx708@1a", "Num": 0}
    ]
    busy: ClassVar[bool] = False
    opened: ClassVar[list[Picamera2]] = []

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.modules

    def __init__(self, camera_num: int = 0) -> None:
        if self.busy:
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError as cause:
                raise RuntimeError("Camera __init__ sequence did not complete.") from cause
        self.number = camera_num
        self.camera_controls = {"FrameDurationLimits": (1, 2, 3)}
        self.pre_callback: Any = None
        self.running = False
        self.config: dict[str, Any] = {}
        self.opened.append(self)

    def create_video_configuration(self, main: dict[str, Any], **rest: Any) -> dict[str, Any]:
        return {"main": {"format": "XBGR8888", "size": (1280, 720), **main}, **rest}

    def configure(self, config: dict[str, Any]) -> None:
        width, height = config["main"]["size"]
        config["main"]["size"] = (width // 2 * 2, height // 2 * 2)  # streams are aligned to even sizes
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self) -> None:
        self.running = True

    def shoot(self, value: int = 0, age: float = 0.0) -> None:
        thread = threading.Thread(
            target=self.pre_callback, args=[Request(self.config, int((time.monotonic() - age) * 1e9), value)]
        )
        thread.start()
        thread.join()

    def close(self) -> None:
        self.running = False


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(Picamera2, "opened", [])
    return Picamera2


def opened(uri: str = "picamera:") -> tuple[PicameraSource, Picamera2]:
    source = PicameraSource(parse_uri(uri))
    source.open()
    return source, Picamera2.opened[-1]


def read(source: PicameraSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_it_is_registered() -> None:
    assert load(SOURCES, "source", "picamera") is PicameraSource


def test_pixels_are_rgb_with_the_sensors_time(library: type[Picamera2]) -> None:
    source, camera = opened("picamera:?size=64x48&fps=20")
    camera.shoot(age=0.5)
    frame = read(source)
    assert frame.image.shape == (48, 64, 3)
    assert tuple(frame.image[10, 10]) == ORANGE
    assert 0.5 <= time.monotonic() - frame.times.captured < 3
    assert frame.source == source.name == "imx708 (picamera:0)"
    assert camera.config["controls"] == {"FrameDurationLimits": (50000, 50000)}


def test_a_time_of_another_clock_is_not_believed(library: type[Picamera2]) -> None:
    source, camera = opened()
    for age in (-1000, 1000):
        before = time.monotonic()
        camera.shoot(age=age)
        assert before <= read(source).times.captured <= time.monotonic()


def test_the_newest_frame_wins_and_numbers_count_the_dropped(library: type[Picamera2]) -> None:
    source, camera = opened()
    for value in range(3):
        camera.shoot(value)
    frame = read(source)
    assert (frame.seq, frame.image[0, 0, 0]) == (2, 2)


def test_a_size_that_was_changed_is_named(library: type[Picamera2], caplog: pytest.LogCaptureFixture) -> None:
    source, camera = opened("picamera:?size=101x101")
    camera.shoot()
    assert read(source).size == (100, 100)
    assert "no size 101x101" in caplog.text


def test_silence_is_a_loss_and_opening_again_goes_on_counting(
    library: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera, "SILENT_S", 0.05)
    source, camera = opened("picamera:?fps=60")
    camera.shoot()
    read(source)
    with pytest.raises(SourceLostError, match=r"no frame from imx708 .* for 0.05 s"):
        source.read()
    source.open()
    assert not camera.running
    Picamera2.opened[-1].shoot()
    assert read(source).seq == 1


def test_a_failure_in_the_cameras_thread_reaches_the_reader(
    library: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, camera = opened()

    def fail(*_: Any) -> None:
        raise RuntimeError("Stream 'main' is not defined")

    monkeypatch.setattr(Request, "make_array", fail)
    camera.shoot()
    with pytest.raises(SourceLostError, match="Stream 'main' is not defined"):
        source.read()


def test_close_ends_a_waiting_read_and_stops_the_camera(library: type[Picamera2]) -> None:
    source, camera = opened()
    result: list[Frame | None] = []
    reader = threading.Thread(target=lambda: result.append(source.read()))
    reader.start()
    source.close()
    source.close()
    reader.join(2)
    assert result == [None]
    assert not camera.running


def test_busy_says_so(library: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picamera2, "busy", True)
    with pytest.raises(SourceError, match=r"module 0 does not start \(.*busy\): close other programs"):
        opened()


def test_no_module_and_no_second_module(library: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="no camera module 1: check its ribbon cable"):
        opened("picamera:1")
    monkeypatch.setattr(
        Picamera2, "modules", [{"Model": "C920", "Id": "/base/soc/usb@7e980000-1:1.0-046d:082d"}]
    )
    with pytest.raises(SourceError, match="no camera module found"):
        opened()


def test_without_picamera2_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match=r"apt install python3-picamera2.*--system-site-packages"):
        opened()


def test_a_name_that_is_no_number_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="picamera:1"):
        PicameraSource(parse_uri("picamera:imx708"))
