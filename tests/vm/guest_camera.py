"""Cameras of a real kernel. Runs inside the virtual machine only: see machine.py.

vivid draws eight vertical colour bars: white, yellow, cyan, green, magenta, red, blue, black.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecam import cameras, v4l2
from edgecam.capture import Capture
from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import parse_uri
from edgecam.sources.camera import CameraSource
from edgecam.types import Frame

VIVID = "/dev/video0"
DRIVER = Path("/sys/bus/platform/drivers/vivid")
BARS = {
    "white": (1, 1, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
    "green": (0, 1, 0),
    "magenta": (1, 0, 1),
    "red": (1, 0, 0),
    "blue": (0, 0, 1),
    "black": (0, 0, 0),
}


@pytest.fixture
def camera() -> Iterator[Callable[[str], CameraSource]]:
    """Opens cameras and closes them after the test."""
    opened: list[CameraSource] = []

    def make(uri: str) -> CameraSource:
        source = CameraSource(parse_uri(uri))
        opened.append(source)
        source.open()
        return source

    yield make
    for source in opened:
        source.close()


def read(source: CameraSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def set_control(name: str, value: int) -> None:
    """Turn one of vivid's own knobs, found by its name as v4l2-ctl does."""
    query, control = "II32siiiiI8x", "Ii"
    node, number = v4l2.Node(VIVID), 0
    try:
        while True:
            number, _, text, *_ = node.ioctl(v4l2.request(3, 36, query), query, number | 0x8000_0000)
            if text.rstrip(b"\0").decode() == name:
                node.ioctl(v4l2.request(3, 28, control), control, number, value)
                return
    finally:
        node.close()


def test_enumeration_names_the_camera_and_every_size_and_rate() -> None:
    info = cameras.list_cameras()[0]
    assert (info.path, info.name, info.driver, info.usable) == (VIVID, "vivid", "vivid", True)
    yuyv = next(f for f in info.formats if f.fourcc == "YUYV")
    rates = {s.max: s.rates for s in yuyv.sizes}  # the rates differ from kernel to kernel
    assert {(320, 180), (640, 480), (1280, 720), (1920, 1080)} < set(rates)
    assert all(list(r) == sorted(r, reverse=True) and r[-1] == 1.0 for r in rates.values())
    assert max(rates[320, 180]) > max(rates[3840, 2160])
    assert cameras.first_camera() == info


@pytest.mark.parametrize("name", ["yuyv", "uyvy", "nv12", "yuv420", "rgb", "bgr"])
def test_colours_are_right_in_every_format(camera: Callable[[str], CameraSource], name: str) -> None:
    frame = read(camera(f"camera:{VIVID}?format={name}&size=640x360"))
    assert frame.image.shape == (360, 640, 3)
    row = frame.image[340, 40::80].astype(int)
    for (colour, truth), seen in zip(BARS.items(), row, strict=True):
        assert np.array_equal(seen > 100, np.array(truth, bool)), f"{name}: {colour} is {seen}"


def test_grey_gives_grey_pixels(camera: Callable[[str], CameraSource]) -> None:
    image = read(camera(f"camera:{VIVID}?format=grey&size=320x180")).image
    assert (image[..., 0] == image[..., 2]).all()
    bars = image[170, 20::40, 0].astype(int)
    assert (np.diff(bars) < 0).all()  # the bars are ordered by their brightness


def test_frames_come_with_growing_numbers_and_the_kernels_times(
    camera: Callable[[str], CameraSource],
) -> None:
    began = time.monotonic()
    source = camera(f"camera:{VIVID}?size=320x180&fps=10")
    frames = [read(source) for _ in range(5)]
    ended = time.monotonic()
    assert frames[0].seq == 0
    for before, after in itertools.pairwise(frames):
        assert after.seq > before.seq
        assert after.times.captured > before.times.captured
    assert began < frames[0].times.captured
    assert frames[-1].times.captured < ended
    assert not np.array_equal(frames[0].image, frames[-1].image)  # vivid draws the time


def test_a_slow_reader_gets_the_newest_frame(camera: Callable[[str], CameraSource]) -> None:
    source = camera(f"camera:{VIVID}?size=320x180&fps=25")
    first = read(source)
    wait_until = first.times.captured + 1.0
    while time.monotonic() < wait_until:
        time.sleep(0.05)
    late = read(source)
    # Four buffers: what was captured first after the pause began is gone, the last of the four is what comes.
    assert late.seq > first.seq + 1


def test_the_nearest_size_is_taken_and_named(
    camera: Callable[[str], CameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        frame = read(camera(f"camera:{VIVID}?size=700x400&fps=5"))
    assert frame.size == (640, 360)
    assert "no size 700x400, the nearest is taken" in caplog.text
    assert "YUYV 640x360 at 5 fps" in caplog.text


def test_without_a_size_it_is_1280x720(camera: Callable[[str], CameraSource]) -> None:
    assert read(camera("camera:?fps=2")).size == (1280, 720)


def test_a_format_it_has_not_is_an_error_that_lists_what_it_has(
    camera: Callable[[str], CameraSource],
) -> None:
    with pytest.raises(UsageError, match=r"no format MJPG or JPEG: it has: YUYV, UYVY"):
        camera(f"camera:{VIVID}?format=mjpeg")


def test_a_camera_in_use_names_the_program(camera: Callable[[str], CameraSource]) -> None:
    uri = f"camera:{VIVID}?size=320x180"

    def use() -> str:
        source = CameraSource(parse_uri(uri))
        source.open()
        read(source)
        return "streaming"

    with child(use, stay=True) as (pid, said):
        assert said == "streaming"
        with pytest.raises(SourceError, match=rf"in use by python\S* \(pid {pid}\)"):
            camera(uri)
        assert cameras.first_camera().path == VIVID  # it still tells what it has
    assert read(camera(uri)).seq == 0


@contextlib.contextmanager
def child(work: Callable[[], str], stay: bool = False) -> Iterator[tuple[int, str]]:
    """Another process, forked because importing everything anew is slow here: (pid, what ``work`` says)."""
    (receive, send), (wait, go) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        try:
            os.write(send, work().encode())
            os.close(send)
            if stay:
                os.read(wait, 1)  # returns when the parent closes its end
        finally:
            os._exit(0)
    os.close(send)
    os.close(wait)
    with os.fdopen(receive) as pipe:
        said = pipe.read()
    try:
        yield pid, said
    finally:
        os.close(go)
        os.waitpid(pid, 0)


def as_nobody(groups: list[int]) -> str:
    """What another user is told; in a child, because root is not given back."""

    def work() -> str:
        os.setgroups(groups)
        os.setgid(65534)
        os.setuid(65534)
        try:
            CameraSource(parse_uri(f"camera:{VIVID}")).open()
        except SourceError as error:
            return str(error)
        return "opened"

    with child(work) as (_, said):
        return said


def test_the_command_lists_it() -> None:
    # A program of its own, so the command line is what a user gets.
    reply = subprocess.run(
        [sys.executable, "-m", "edgecam", "devices", "--json"], stdout=subprocess.PIPE, check=True
    )
    listed = json.loads(reply.stdout)["cameras"]
    assert [(c["path"], c["usable"]) for c in listed] == [(VIVID, True)]


def test_no_permission_names_the_group() -> None:
    video = grp.getgrnam("video").gr_gid
    os.chown(VIVID, 0, video)
    Path(VIVID).chmod(0o660)
    assert as_nobody([]) == (
        f"no permission to use camera {VIVID} of group video: "
        "sudo usermod -aG video $USER, then log out and in again"
    )
    assert as_nobody([video]) == "opened"


def test_unplugged_while_running_and_plugged_in_again(camera: Callable[[str], CameraSource]) -> None:
    source = camera("camera:")
    last = read(source)
    unbind = threading.Timer(0.3, (DRIVER / "unbind").write_text, ["vivid.0"])
    unbind.start()
    with pytest.raises(SourceLostError, match=r"vivid .* was unplugged"):
        while True:
            last = read(source)
    unbind.join()
    with pytest.raises(SourceError, match="no camera found"):
        source.open()
    (DRIVER / "bind").write_text("vivid.0")
    source.open()
    assert read(source).seq == last.seq + 1
    assert source.name == f"vivid ({VIVID})"


def test_the_capture_thread_brings_it_back_by_itself() -> None:
    capture = Capture(CameraSource(parse_uri("camera:?size=320x180&fps=25")))
    capture.start()
    try:
        assert capture.slot.take(60) is not None
        (DRIVER / "unbind").write_text("vivid.0")
        wait_for(lambda: capture.status.state == "waiting")
        assert "was unplugged" in capture.status.message or "no camera found" in capture.status.message
        (DRIVER / "bind").write_text("vivid.0")
        wait_for(lambda: capture.status.state == "running")
        assert capture.lost == 1
        assert capture.error is None
    finally:
        capture.stop()


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_silent_camera_is_lost_after_three_seconds(camera: Callable[[str], CameraSource]) -> None:
    source = camera(f"camera:{VIVID}?size=320x180&fps=25")
    read(source)
    set_control("Percentage of Dropped Buffers", 100)
    try:
        began = time.monotonic()
        with pytest.raises(SourceLostError, match=r"no frame from vivid .* for 3 s"):
            while True:
                began = read(source).times.captured
        assert time.monotonic() - began >= 3
    finally:
        set_control("Percentage of Dropped Buffers", 0)
    source.open()
    read(source)


def test_damaged_frames_are_skipped_and_counted(
    camera: Callable[[str], CameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    source = camera(f"camera:{VIVID}?size=320x180&fps=25")
    before = read(source)
    set_control("Inject V4L2_BUF_FLAG_ERROR", 1)
    while not source.broken:
        before = read(source)
    assert read(source).seq > before.seq
    assert caplog.text.count("sent a broken frame") == 1


def test_a_fatal_streaming_error_is_a_loss_that_reopening_cures(
    camera: Callable[[str], CameraSource],
) -> None:
    source = camera(f"camera:{VIVID}?size=320x180&fps=25")
    read(source)
    set_control("Inject Fatal Streaming Error", 1)
    with pytest.raises(SourceLostError, match=os.strerror(errno.EIO)):
        while True:
            read(source)
    source.open()
    read(source)


def test_close_ends_a_waiting_read(camera: Callable[[str], CameraSource]) -> None:
    source = camera(f"camera:{VIVID}?size=320x180&fps=1")
    read(source)
    results: list[Frame | None] = []
    reader = threading.Thread(target=lambda: results.extend(iter(source.read, None)))
    reader.start()
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    assert source.read() is None
