"""run, config, devices, model, bench."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from edgecam import accelerators, build, cameras, catalogue
from edgecam.accelerators import EdgeTpu
from edgecam.cameras import CameraInfo
from edgecam.config import OPTIONS, Settings
from edgecam.errors import SourceError
from edgecam.pipeline import RunReport
from edgecam.v4l2 import Format, Sizes
from tests.cli.conftest import Run

# run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that ``build.run`` was called with."""
    out: list[Settings] = []

    def run(settings: Settings, report: object, *args: object, **kwargs: object) -> RunReport:
        out.append(settings)
        return RunReport(reason="the source ended", frames=31, seconds=2.0, dropped=4)

    monkeypatch.setattr(build, "run", run)
    return out


def test_run_passes_flags_on_as_settings(edgecam: Run, seen: list[Settings]) -> None:
    flags = "rtsp://cam/1 -m face -t 0.5 -k 3 -s web: -s out.mp4 --class cat --class dog --no-status-line"
    ran = edgecam("run", *flags.split(), "--listen", "9000", "--output", "boxes=0", "--threads", "2")
    assert ran.code == 0
    assert seen == [
        Settings(
            source="rtsp://cam/1",
            model="face",
            threshold=0.5,
            top_k=3,
            sinks=("web:", "out.mp4"),
            classes=("cat", "dog"),
            status_line=False,
            listen="127.0.0.1:9000",
            outputs=("boxes=0",),
            threads=2,
        )
    ]


def test_run_says_how_it_went(edgecam: Run, seen: list[Settings]) -> None:
    ran = edgecam("run")
    assert (ran.out, ran.err) == ("", "the source ended: 31 frames, 15.0 a second, 4 dropped\n")
    assert edgecam("run", "--quiet").err == ""
    assert seen == [Settings(), Settings()]


def test_a_failed_sink_shows_in_the_exit_code(edgecam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = RunReport(reason="SIGINT", frames=1, failures=["record:x.mp4: the disk is full"])
    monkeypatch.setattr(build, "run", lambda *args, **kwargs: report)
    ran = edgecam("run")
    assert ran.code == 1
    assert "failed: record:x.mp4: the disk is full\n" in ran.err


# config


def test_config_shows_values_and_origins(
    edgecam: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config" / "edgecam" / "edgecam.toml"
    file.parent.mkdir(parents=True)
    file.write_text("threads = 3\n")
    monkeypatch.setenv("EDGECAM_TOKEN", "t0psecret")
    ran = edgecam("config", "rtsp://ann:t0psecret@cam/1", "--top-k", "2")
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()}
    assert rows["threads"] == ["3", "file", str(file)]
    assert rows["token"] == ["***", "env", "EDGECAM_TOKEN"]
    assert rows["top_k"] == ["2", "flag", "--top-k"]
    assert rows["source"] == ["rtsp://***@cam/1", "flag", "SOURCE"]
    assert rows["model"] == ["detect-coco", "default"]
    assert set(OPTIONS) <= set(rows)
    assert "t0psecret" not in ran.out


def test_config_as_json(edgecam: Run) -> None:
    found = json.loads(edgecam("config", "--iou", "0.5", "--json").out)
    assert found["settings"]["iou"] == {"value": 0.5, "from": "flag", "where": "--iou"}
    assert found["settings"]["sinks"]["value"] == ["web:"]
    assert set(found["settings"]) == set(OPTIONS)
    assert found["files"] == []


def test_config_as_toml_is_a_settings_file(edgecam: Run, tmp_path: Path) -> None:
    text = edgecam("config", "--toml", "--top-k", "2").out
    assert tomllib.loads(text) == {"top_k": 2}
    file = tmp_path / "own.toml"
    file.write_text(text)
    ran = edgecam("config", "--config", file, "--json")
    assert json.loads(ran.out)["settings"]["top_k"] == {"value": 2, "from": "file", "where": str(file)}


def test_config_in_two_forms_at_once(edgecam: Run) -> None:
    assert edgecam("config", "--json", "--toml").code == 2


# devices


CAMERA = CameraInfo(
    "/dev/video0",
    "HD Camera",
    "uvcvideo",
    "usb-1",
    ("/dev/v4l/by-id/usb-HD",),
    (
        Format("MJPG", "Motion-JPEG", (Sizes((1280, 720), (1280, 720), rates=(30.0, 15.0)),)),
        Format("H264", "H.264", (Sizes((32, 32), (640, 480), (2, 2), (7.5,)),)),
    ),
)
BUSY = CameraInfo("/dev/video2", "Old Camera", problem=SourceError("no permission", "usermod -aG video ann"))


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    tpus = [
        EdgeTpu("usb:0", Path("/dev/bus/usb/001/002"), True, speed=480),
        EdgeTpu("pci:0", Path("/dev/apex_0"), False),
    ]
    monkeypatch.setattr(cameras, "list_cameras", lambda: [CAMERA, BUSY])
    monkeypatch.setattr(cameras, "csi_cameras", lambda: ["imx708"])
    monkeypatch.setattr(accelerators, "edge_tpus", lambda: tpus)


@pytest.mark.usefixtures("plugged_in")
def test_devices(edgecam: Run) -> None:
    ran = edgecam("devices")
    assert ran.code == 0
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    for expected in (
        "picamera:0 imx708 (CSI port)",
        "/dev/video0 HD Camera (uvcvideo, usb-1)",
        "always the same: /dev/v4l/by-id/usb-HD",
        "MJPG 1280x720 30, 15",
        "H264 32x32 to 640x480 7.5 not supported",
        "/dev/video2 Old Camera",
        "no permission: usermod -aG video ann",
        "usb:0 /dev/bus/usb/001/002 USB at 480 Mbit/s ready",
    ):
        assert expected in lines
    assert "no permission: add the user to the group apex" in ran.out


@pytest.mark.usefixtures("plugged_in")
def test_devices_as_json(edgecam: Run) -> None:
    found = json.loads(edgecam("devices", "--json").out)
    assert [camera["path"] for camera in found["cameras"]] == ["/dev/video0", "/dev/video2"]
    assert found["cameras"][0]["formats"][0]["sizes"] == [{"size": [1280, 720], "rates": [30.0, 15.0]}]
    assert [tpu["device"] for tpu in found["edge_tpus"]] == ["usb:0", "pci:0"]
    assert found["picamera"] == ["imx708"]
    works = {entry["name"]: entry["state"] for entry in found["interpreters"]}
    assert "works" in (works["litert"], works["tflite-runtime"])


def test_devices_of_this_very_machine(process: Run) -> None:
    ran = process("devices")
    assert (ran.code, ran.err) == (0, "")
    assert "interpreter" in ran.out


# model


def test_model_list(edgecam: Run) -> None:
    ran = edgecam("model", "list")
    rows = {line.split()[0]: line.split()[1] for line in ran.out.splitlines()}
    assert rows["detect-coco"] == "bundled"
    assert rows["mobilenet-v2"] == "available"
    found = json.loads(edgecam("model", "list", "--json").out)
    assert [entry["name"] for entry in found] == catalogue.names()


def test_model_info_of_a_bundled_model(edgecam: Run) -> None:
    ran = edgecam("model", "info", "detect-coco")
    facts = dict(line.split(":", 1) for line in ran.out.splitlines() if ":" in line)
    assert facts["task"].strip() == "detect"
    assert facts["runs"].strip() == "yes"
    assert facts["labels"].strip().startswith("person, bicycle, car")
    assert "1 x 300 x 300 x 3  uint8" in ran.out
    found = json.loads(edgecam("model", "info", "detect-coco", "--json").out)
    assert found["labels"][0] == "person"
    assert found["inputs"][0]["shape"] == [1, 300, 300, 3]


@pytest.mark.real
def test_model_info_of_a_foreign_model(edgecam: Run, real: Path) -> None:
    yolo = real / "yolov8n_full_integer_quant_224.tflite"
    ran = edgecam("model", "info", yolo)
    assert ran.code == 0
    assert "runs:          no" in ran.out
    assert "--decoder" in ran.out
    ran = edgecam("model", "info", yolo, "--decoder", "yolov8", "--labels", real / "coco80.txt")
    assert "runs:          yes" in ran.out


def test_model_info_of_no_model(edgecam: Run, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"<html>")
    ran = edgecam("model", "info", tmp_path / "m.tflite")
    assert ran.code == 1
    assert ran.err.startswith(f"edgecam: {tmp_path}/m.tflite: ")
    assert ran.err.count("\n") == 1


def test_model_get_passes_folder_and_says_where(
    edgecam: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get(name: str, folder: Path | None, progress: object) -> Path:
        asked.append((name, folder))
        return tmp_path / "m.tflite"

    monkeypatch.setattr(catalogue, "get", get)
    ran = edgecam("model", "get", "mobilenet-v2", "--dir", tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"mobilenet-v2: {tmp_path}/m.tflite\n"
    assert asked == [("mobilenet-v2", tmp_path)]


# bench


def test_bench_measures(edgecam: Run) -> None:
    ran = edgecam("bench", "detect-coco", "--threads", "1,2", "--runs", "5", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert [row["threads"] for row in found["rows"]] == [1, 2]
    for row in found["rows"]:
        assert row["runs"] == 5
        assert set(row["stages"]) == {"preprocess", "invoke", "decode", "total"}
        assert all(0 < stage["median_ms"] <= stage["p95_ms"] for stage in row["stages"].values())
    assert found["picture"] == [1280, 720]
    assert found["machine"]["cores"] >= 1


@pytest.mark.real
@pytest.mark.parametrize("picture", ["cat_720p.jpg", "cat.bmp"])
def test_bench_with_a_picture_of_ones_own(edgecam: Run, real: Path, picture: str) -> None:
    ran = edgecam("bench", "detect-coco", "--threads", "1", "--runs", "5", "--picture", real / picture)
    assert ran.code == 0
    assert "CPU x1" in ran.out
    assert "pictures of " in ran.out


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_bench_with_a_broken_picture(edgecam: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    ran = edgecam("bench", "detect-coco", "--picture", path)
    assert ran.code in (1, 2)
    assert ran.err.startswith("edgecam: ")
    assert ran.err.count("\n") == 1
