"""The doctor and a change of picture size on a real kernel's camera. Runs in the virtual machine only."""

from __future__ import annotations

from functools import partial

from edgecam.capture import Capture
from edgecam.config import Settings
from edgecam.doctor import camera, isolated
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Finding, Level
from edgecam.registry import parse_uri
from edgecam.sources.camera import CameraSource
from tests.vm.guest_camera import child

# An emulated machine needs its time to import OpenCV.
CONTEXT = Context(settings=Settings(source="/dev/video0"), call=partial(isolated.call, timeout=120))


def examine() -> dict[str, Finding]:
    return {finding.check: finding for finding in camera.checks(CONTEXT)}


def test_a_camera_that_works() -> None:
    found = examine()
    assert {finding.level for finding in found.values()} == {Level.OK}
    assert found["camera"].seen.startswith("/dev/video0 vivid: ")
    assert found["picture"].seen.endswith(" from vivid (/dev/video0)")


def test_a_camera_that_another_program_has() -> None:
    def use() -> str:
        source = CameraSource(parse_uri("camera:0"))
        source.open()
        source.read()
        return "streaming"

    with child(use, stay=True) as (pid, said):
        assert said == "streaming"
        found = examine()
    assert f"(pid {pid})" in found["camera"].seen
    assert found["camera"].level is Level.WARNING
    assert found["picture"].level is Level.FAILURE
    assert "is in use by" in found["picture"].seen


def test_a_camera_is_opened_anew_with_smaller_pictures() -> None:
    sizes = ["1280x720", "640x360"]
    capture = Capture(
        CameraSource(parse_uri(f"camera:0?size={sizes[0]}")),
        renew=lambda: CameraSource(parse_uri(f"camera:0?size={sizes[-1]}")),
    )
    capture.start()
    try:
        frame = capture.slot.take(60)
        assert frame is not None
        assert frame.size == (1280, 720)
        last = frame.seq
        capture.reopen("opening with smaller pictures")
        while frame.size == (1280, 720):
            last = frame.seq
            frame = capture.slot.take(60)
            assert frame is not None
        assert frame.size == (640, 360)
        assert frame.seq > last
        assert (capture.lost, capture.left_behind, capture.status.state) == (0, 0, "running")
    finally:
        capture.stop()
