"""What is said of cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecam.board import Board
from edgecam.config import Settings
from edgecam.doctor import camera
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Level
from edgecam.doctor.isolated import Outcome, call
from tests.doctor.support import Calls, levels, one

MJPEG = [{"format": "MJPG", "decodable": True}, {"format": "H264", "decodable": False}]


def node(**change: Any) -> dict[str, Any]:
    return {
        "path": "/dev/video0",
        "name": "Webcam",
        "problem": "",
        "usable": True,
        "formats": MJPEG,
        "holder": "",
        **change,
    }


def judge(*nodes: dict[str, Any], source: str = "auto", csi: bool = False) -> list[camera.Finding]:
    return list(camera.judge_cameras(Outcome(list(nodes)), source, csi))


def test_a_camera_that_can_be_used() -> None:
    assert one(judge(node())).seen == "/dev/video0 Webcam: MJPG"


@pytest.mark.parametrize(
    ("source", "csi", "level"),
    [
        ("auto", False, "warning"),
        ("auto", True, "ok"),
        ("0", False, "failure"),
        ("/dev/video2", False, "failure"),
        ("camera:", False, "failure"),
        ("demo:", False, "ok"),
        ("rtsp://cam/1", False, "ok"),
        ("picamera:", False, "ok"),
    ],
)
def test_no_camera(source: str, csi: bool, level: str) -> None:
    assert one(judge(source=source, csi=csi)).level.word == level


def test_a_camera_without_permission() -> None:
    problem = "no permission to use camera /dev/video0 of group video: sudo usermod -aG video $USER"
    finding = one(judge(node(problem=problem, usable=False)))
    assert finding.level is Level.FAILURE
    assert finding.seen == "no permission to use camera /dev/video0 of group video"
    assert finding.remedy == "sudo usermod -aG video $USER"
    # Another one serves in its place.
    assert levels(judge(node(problem=problem, usable=False), node())) == "warning ok"
    assert one(judge(node(problem=problem, usable=False), source="demo:")).level is Level.WARNING


def test_a_camera_without_a_format_for_us() -> None:
    finding = one(judge(node(usable=False, formats=[{"format": "H264", "decodable": False}])))
    assert (finding.level, "(H264)" in finding.seen) == (Level.FAILURE, True)
    assert "(none)" in one(judge(node(usable=False, formats=[]))).seen


def test_a_camera_that_somebody_holds() -> None:
    finding = one(judge(node(holder="cheese (pid 12)")))
    assert (finding.level, finding.seen) == (Level.WARNING, "/dev/video0 Webcam is in use by cheese (pid 12)")
    assert "edgecam's own service" in one(judge(node(holder="edgecam (pid 3)"))).seen


def test_a_driver_that_hangs() -> None:
    hangs = Outcome(error="did not answer within 30 s", crashed=True)
    assert one(camera.judge_cameras(hangs, "auto", False)).level is Level.FAILURE


ABSENT = Outcome(error="No module named 'picamera2'", kind="ModuleNotFoundError")
FACTS = {"wanted": False, "possible": True, "in_system": True, "sees_system": True}


@pytest.mark.parametrize(
    ("outcome", "facts", "level", "text"),
    [
        (Outcome(["imx708"]), {}, "ok", "sees imx708"),
        (Outcome([]), {}, "warning", "ribbon cable"),
        (Outcome([]), {"wanted": True}, "failure", "ribbon cable"),
        (ABSENT, {"possible": False}, "ok", "not needed"),
        (ABSENT, {"possible": False, "wanted": True, "in_system": False}, "failure", "apt install"),
        (ABSENT, {"in_system": False}, "warning", "sudo apt install python3-picamera2"),
        (ABSENT, {"sees_system": False}, "warning", "--system-site-packages"),
        (ABSENT, {}, "warning", "the system's own Python version"),
        (
            Outcome(error="numpy.dtype size changed, may indicate binary incompatibility", kind="ValueError"),
            {},
            "warning",
            "'numpy<2'",
        ),
        (Outcome(error="crashed (SIGSEGV)", crashed=True), {"wanted": True}, "failure", "reinstall"),
    ],
)
def test_picamera2(outcome: Outcome, facts: dict[str, bool], level: str, text: str) -> None:
    finding = one(camera.judge_picamera2(outcome, **(FACTS | facts)))
    assert finding.level.word == level
    assert text in f"{finding.seen} {finding.remedy}"


def test_an_environment_says_whether_it_sees_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pyvenv.cfg"
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert not camera.sees_system(config)
    config.write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    assert not camera.sees_system(config)
    config.write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    assert camera.sees_system(config)
    monkeypatch.setattr("sys.base_prefix", str(tmp_path))
    assert camera.sees_system(tmp_path / "absent")


def test_the_port_for_camera_modules(tmp_path: Path) -> None:
    context = Context(board=Board(tmp_path / "sys", tmp_path / "proc"), sys=tmp_path / "sys")
    assert not camera.csi_port(context)
    name = tmp_path / "sys/class/video4linux/video0/name"
    name.parent.mkdir(parents=True)
    name.write_text("UVC Camera\n")
    assert not camera.csi_port(context)
    name.write_text("rp1-cfe-csi2_ch0\n")
    assert camera.csi_port(context)


def taken(mean: float = 90.0) -> Outcome:
    return Outcome({"source": "Webcam", "size": [1280, 720], "mean": mean})


def test_a_picture() -> None:
    assert one(camera.judge_picture(taken())).seen == "1280x720 from Webcam"
    assert "lens cap" in one(camera.judge_picture(taken(2.0))).remedy
    broken = Outcome(error="no frame from Webcam for 5 s", remedy="check its cable")
    assert one(camera.judge_picture(broken)).level is Level.FAILURE


def test_a_camera_that_our_own_service_uses_is_no_failure() -> None:
    busy = Outcome(error="camera /dev/video0 is in use by another program", remedy="close that program first")
    assert one(camera.judge_picture(busy)).level is Level.FAILURE
    ours = one(camera.judge_picture(busy, [12]))
    assert (ours.level, ours.seen) == (Level.WARNING, "not taken: edgecam runs already (pid 12)")


def test_a_real_picture_is_taken() -> None:
    settings = Context(settings=Settings(source="synthetic:?size=320x240")).plain_settings
    outcome = call("edgecam.doctor.camera:take_picture", {"settings": settings})
    assert outcome.value["size"] == [320, 240]
    assert one(camera.judge_picture(outcome)).level is Level.OK
    lost = call("edgecam.doctor.camera:take_picture", {"settings": {**settings, "source": "/no/such.mp4"}})
    assert "/no/such.mp4" in lost.error


def test_the_cameras_are_really_asked() -> None:
    assert isinstance(call("edgecam.doctor.camera:list_cameras", {}).value, list)


def test_picamera2_is_not_loaded_where_a_usb_camera_serves(tmp_path: Path) -> None:
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_text("Raspberry Pi 4 Model B\0")
    board = Board(tmp_path / "sys", tmp_path / "proc")
    calls = Calls({"list_cameras": Outcome([node()]), "take_picture": taken(), "ask_picamera2": ABSENT})

    def asked(**settings: Any) -> list[str]:
        calls.asked.clear()
        context = Context(Settings(**settings), board=board, call=calls, sys=tmp_path / "sys", proc=tmp_path)
        list(camera.checks(context))
        return [name for name, _ in calls.asked]

    assert asked() == ["list_cameras", "take_picture"]
    assert asked(source="picamera:") == ["list_cameras", "ask_picamera2", "take_picture"]
    calls.outcomes["list_cameras"] = Outcome([])
    assert asked() == ["list_cameras", "ask_picamera2", "take_picture"]
