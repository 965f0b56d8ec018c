"""Listing, naming and choosing cameras, and what is said when one cannot be used."""

from __future__ import annotations

import errno
import grp
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecam import cameras, v4l2
from edgecam.errors import SourceError, UsageError
from edgecam.v4l2 import Capability, Format, Sizes

CAPTURE = v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING


def single(*sizes: tuple[int, int, tuple[float, ...]]) -> tuple[Sizes, ...]:
    return tuple(Sizes((w, h), (w, h), rates=rates) for w, h, rates in sizes)


# What a Logitech C270 says, shortened.
WEBCAM = (
    Format("YUYV", "YUYV 4:2:2", single((640, 480, (30, 15)), (1280, 720, (7.5, 5)), (1280, 960, (7.5, 5)))),
    Format("MJPG", "Motion-JPEG", single((640, 480, (30, 15)), (1280, 720, (30, 15)), (800, 600, (30,)))),
)


class Machine:
    """A /dev and /sys of ours, with nodes that answer what they are told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dev, self.sys, self.proc = folder / "dev", folder / "sys", folder / "proc"
        self.answers: dict[str, tuple[Capability, tuple[Format, ...]] | OSError] = {}
        for path in (self.dev, self.sys, self.proc):
            path.mkdir()
        monkeypatch.setattr(cameras, "_DEV", self.dev)
        monkeypatch.setattr(cameras, "_SYS", self.sys)
        monkeypatch.setattr(cameras, "_PROC", self.proc)
        machine = self

        class Node:
            def __init__(self, path: str) -> None:
                answer = machine.answers.get(path, FileNotFoundError(errno.ENOENT, "No such file"))
                if isinstance(answer, OSError):
                    raise answer
                self.answer = answer

            def capability(self) -> Capability:
                return self.answer[0]

            def formats(self) -> tuple[Format, ...]:
                return self.answer[1]

            def close(self) -> None:
                pass

        monkeypatch.setattr(v4l2, "Node", Node)

    def add(
        self,
        number: int,
        answer: Capability | OSError,
        formats: tuple[Format, ...] = WEBCAM,
        name: str = "C270",
        index: int = 0,
    ) -> str:
        path = self.dev / f"video{number}"
        path.touch()
        entry = self.sys / path.name
        entry.mkdir()
        (entry / "name").write_text(name + "\n")
        (entry / "index").write_text(f"{index}\n")
        self.answers[str(path)] = answer if isinstance(answer, OSError) else (answer, formats)
        return str(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


UVC = Capability("uvcvideo", "C270", "usb-1.2", CAPTURE)


def test_a_raspberry_pi_with_one_webcam_lists_one_camera(machine: Machine) -> None:
    m2m = Capability("bcm2835-codec", "bcm2835-codec-decode", "platform", v4l2.CAP_VIDEO_M2M_MPLANE)
    machine.add(10, m2m, name="bcm2835-codec-decode")
    machine.add(13, Capability("bcm2835-isp", "bcm2835-isp", "platform", CAPTURE), name="bcm2835-isp")
    machine.add(20, Capability("pispbe", "pispbe", "platform", CAPTURE), name="pispbe-input")
    machine.add(0, Capability("rp1-cfe", "rp1-cfe", "platform", CAPTURE), name="rp1-cfe-csi2_ch0")
    machine.add(3, Capability("uvcvideo", "C270", "usb-1.2", v4l2.CAP_STREAMING), index=1)  # metadata
    path = machine.add(2, UVC)
    found = cameras.list_cameras()
    assert [(c.path, c.name, c.usable) for c in found] == [(path, "C270", True)]
    assert cameras.first_camera() == found[0]


def test_nodes_are_ordered_by_number(machine: Machine) -> None:
    paths = [machine.add(n, UVC) for n in (0, 2, 10)]
    (machine.dev / "video-notes").touch()
    assert cameras.nodes() == paths


def test_links_that_stay_the_same_are_found(machine: Machine) -> None:
    path = machine.add(0, UVC)
    folder = machine.dev / "v4l" / "by-id"
    folder.mkdir(parents=True)
    (folder / "usb-C270-video-index0").symlink_to("../../video0")
    (folder / "usb-other-video-index0").symlink_to("../../video7")
    assert cameras.camera(path).links == (str(folder / "usb-C270-video-index0"),)


def test_as_dict_is_json_and_says_what_can_be_decoded(machine: Machine) -> None:
    machine.add(0, UVC, (*WEBCAM, Format("Y16", "depth", (Sizes((16, 16), (640, 480), (2, 2), (30,)),))))
    data = json.loads(json.dumps(cameras.list_cameras()[0].as_dict()))
    assert [(f["format"], f["decodable"]) for f in data["formats"]] == [
        ("YUYV", True),
        ("MJPG", True),
        ("Y16", False),
    ]
    assert data["formats"][0]["sizes"][0] == {"size": [640, 480], "rates": [30, 15]}
    assert data["formats"][2]["sizes"][0]["min"] == [16, 16]
    assert data["problem"] == ""


def test_a_camera_that_may_not_be_opened_is_listed_with_the_reason(machine: Machine) -> None:
    machine.add(0, PermissionError(errno.EACCES, "Permission denied"))
    machine.add(1, PermissionError(errno.EACCES, "Permission denied"), index=1)
    machine.add(19, PermissionError(errno.EACCES, "Permission denied"), name="rpi-hevc-dec")
    found = cameras.list_cameras()
    assert [(c.name, c.usable) for c in found] == [("C270", False)]
    assert "permission" in found[0].as_dict()["problem"] or "sandbox" in found[0].as_dict()["problem"]
    with pytest.raises(SourceError, match="video0"):
        cameras.first_camera()
    second = machine.add(2, UVC)
    assert cameras.first_camera().path == second


def test_no_camera_names_the_remedy(machine: Machine) -> None:
    with pytest.raises(SourceError, match=r"^no camera found: plug one in, or try demo:$"):
        cameras.first_camera()
    machine.add(0, Capability("unicam", "unicam", "platform", CAPTURE), name="unicam-image")
    with pytest.raises(
        SourceError, match="no USB camera found: for a Raspberry Pi camera module use picamera:"
    ):
        cameras.first_camera()


def test_names_of_cameras(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = machine.add(0, UVC)
    assert cameras.camera("").path == path
    assert cameras.camera(path).path == path
    machine.answers["/dev/video7"] = machine.answers[path]
    assert cameras.camera("7").path == "/dev/video7"
    with pytest.raises(UsageError, match="'front' is not the name of a camera"):
        cameras.camera("front")
    with pytest.raises(SourceError, match="no camera at /dev/video5"):
        cameras.camera("5")
    codec = machine.add(1, Capability("bcm2835-codec", "", "", CAPTURE))
    with pytest.raises(SourceError, match="video1 is not a camera"):
        cameras.camera(codec)


def test_a_file_is_not_a_camera(tmp_path: Path) -> None:
    file = tmp_path / "video0"
    file.touch()
    for path in (str(file), "/dev/null"):
        with pytest.raises(SourceError, match="is not a camera: `edgecam devices`"):
            cameras.camera(path)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.EBUSY, "camera /dev/video9 is in use by another program: close that program first"),
        (errno.ENODEV, "no camera at /dev/video9: plug it in; `edgecam devices` lists the cameras"),
        (errno.ENOSPC, "camera /dev/video9 gets no bandwidth on its USB bus: ask for a smaller size"),
        (errno.EIO, "camera /dev/video9 does not start (Input/output error): unplug it"),
        (errno.EACCES, "no permission to use camera /dev/video9: sudo usermod -aG video $USER"),
    ],
)
def test_errors_in_plain_words(code: int, text: str) -> None:
    assert str(cameras.explain("/dev/video9", OSError(code, os.strerror(code)))).startswith(text)


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a user who may not open a node is told; 4242 is group video with ``members``."""

    def explain(*, gid: int = 4242, euid: int = 1000, groups: tuple[int, ...] = (), members: str = "") -> str:
        node = tmp_path / "video0"
        node.touch()
        status = os.stat_result((0o20660, 0, 0, 1, 0, gid, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda self: status)
        entry = grp.struct_group(("video", "x", 4242, members.split()))
        monkeypatch.setattr(grp, "getgrgid", lambda wanted: {4242: entry}[wanted])
        monkeypatch.setattr(os, "geteuid", lambda: euid)
        monkeypatch.setattr(os, "getgroups", lambda: list(groups))
        monkeypatch.setenv("LOGNAME", "ann")
        error = cameras.explain(str(node), PermissionError(errno.EACCES, ""))
        monkeypatch.undo()
        return str(error)

    return explain


def test_permission_names_the_group(refused: Callable[..., str]) -> None:
    assert "of group video: sudo usermod -aG video $USER, then log out and in again" in refused()


def test_a_new_member_is_told_to_log_in_again(refused: Callable[..., str]) -> None:
    assert "of group video: you became a member after you logged in" in refused(members="bob ann")


def test_a_member_or_root_is_told_of_the_sandbox(refused: Callable[..., str]) -> None:
    assert "DeviceAllow=" in refused(groups=(4242,), members="ann")
    assert "DeviceAllow=" in refused(euid=0)


def test_a_group_without_a_name_or_none_at_all(refused: Callable[..., str]) -> None:
    assert "of group 555: container: --group-add 555" in refused(gid=555)
    assert "of root alone: sudo chgrp video" in refused(gid=0)


def test_busy_names_the_program_that_holds_it(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    hold = f"import sys; f = open({str(node)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        text = str(cameras.explain(str(node), OSError(errno.EBUSY, "")))
        other.stdin.close()
    assert re.search(rf"in use by python\S* \(pid {other.pid}\)", text)


@pytest.mark.parametrize(
    ("size", "fps", "names", "chosen"),
    [
        (None, 30, cameras.DECODABLE, ("MJPG", 1280, 720)),
        (None, 30, ("YUYV",), ("YUYV", 640, 480)),  # 720p is too slow without JPEG
        (None, 10, ("YUYV",), ("YUYV", 1280, 720)),
        ((1280, 720), 30, ("YUYV",), ("YUYV", 1280, 720)),  # asked for, so taken
        ((1280, 960), 30, cameras.DECODABLE, ("YUYV", 1280, 960)),  # JPEG has not this size
        ((320, 240), 30, cameras.DECODABLE, ("MJPG", 640, 480)),
        ((4000, 3000), 30, cameras.DECODABLE, ("YUYV", 1280, 960)),
    ],
)
def test_choice_of_format_and_size(
    size: tuple[int, int] | None, fps: float, names: tuple[str, ...], chosen: tuple[str, int, int]
) -> None:
    assert cameras.choose(WEBCAM, names, size, fps) == chosen


def test_a_camera_that_lists_no_sizes_is_asked_for_the_wanted_one() -> None:
    assert cameras.choose([Format("MJPG", "", ())], cameras.DECODABLE, None, 30) == ("MJPG", 1280, 720)


def test_a_range_of_sizes_gives_the_nearest_step() -> None:
    ranged = Format("YUYV", "", (Sizes((32, 32), (1920, 1080), (16, 8), (30,)),))
    assert cameras.choose([ranged], cameras.DECODABLE, (645, 481), 30) == ("YUYV", 640, 480)


def test_a_format_it_has_not_lists_what_it_has() -> None:
    with pytest.raises(UsageError, match="no format NV12: it has: YUYV, MJPG"):
        cameras.choose(WEBCAM, ("NV12",), None, 30)
    with pytest.raises(UsageError, match="it has: none that can be decoded"):
        cameras.choose([], cameras.DECODABLE, None, 30)


def test_csi_cameras_without_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert cameras.csi_cameras() == []


def test_csi_cameras_are_told_from_usb_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picamera2:
        @staticmethod
        def global_camera_info() -> list[dict[str, str]]:
            return [
                {"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"},
                {"Model": "C270", "Id": "/base/soc/usb@7e980000/usb-port@1-1.2:1.0-046d:0825"},
            ]

    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    assert cameras.csi_cameras() == ["imx708"]


def test_a_picamera2_that_does_not_load_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(types.ModuleType):
        def __getattr__(self, name: str) -> None:
            raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.setitem(sys.modules, "picamera2", Broken("picamera2"))
    assert cameras.csi_cameras() == []
    assert "numpy.dtype size changed" in caplog.text
