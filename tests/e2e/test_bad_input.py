"""Whatever is wrong, the user gets one line that names it and the remedy, and the right exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecam import encoders
from edgecam.resources import bundled_model
from tests.e2e.command import EDGECAM, Running, edgecam

QUIET = ("--sink", "jsonl:-", "--max-frames", "3")


def refused(code: int, *arguments: object, cwd: Path | None = None) -> str:
    """Run a command that must fail with one line; that line."""
    done = edgecam(*arguments, cwd=cwd)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("edgecam: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for i in range(10):
        writer.write(np.full((240, 320, 3), i * 20, np.uint8))
    writer.release()
    return path


class TestSources:
    def test_no_camera(self) -> None:
        assert "no camera at /dev/video97" in refused(1, "run", "97", *QUIET)

    def test_unknown_scheme_lists_the_known(self) -> None:
        line = refused(2, "run", "rtps://host/x", *QUIET)
        assert "'rtps'" in line and "did you mean 'rtsps'" in line and "synthetic" in line

    def test_unknown_option_names_the_nearest(self) -> None:
        assert "did you mean 'fps'" in refused(2, "run", "synthetic:?fsp=3", *QUIET)

    def test_bad_option_value(self) -> None:
        assert "WIDTHxHEIGHT" in refused(2, "run", "synthetic:?size=big", *QUIET)

    def test_missing_video(self, tmp_path: Path) -> None:
        assert "none.mp4" in refused(1, "run", tmp_path / "none.mp4", *QUIET)

    def test_unreadable_video(self, tmp_path: Path) -> None:
        (tmp_path / "text.mp4").write_text("this is no video")
        assert "text.mp4" in refused(1, "run", tmp_path / "text.mp4", *QUIET)

    def test_empty_folder(self, tmp_path: Path) -> None:
        assert str(tmp_path) in refused(1, "run", tmp_path, *QUIET)

    def test_nothing_listens(self) -> None:
        line = refused(1, "run", "rtsp://user:geheim@127.0.0.1:1/x", *QUIET)
        assert "127.0.0.1:1" in line and "geheim" not in line

    def test_a_broken_jpeg_in_a_folder_is_skipped_counted_and_named(self, tmp_path: Path) -> None:
        good = np.full((64, 64, 3), 128, np.uint8)
        for name in ("a.jpg", "c.jpg"):
            cv2.imwrite(str(tmp_path / name), good)
        (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:100])
        done = edgecam("run", tmp_path, "--sink", "jsonl:-")
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["a.jpg", "c.jpg"]
        assert "b.jpg" in done.stderr and "1 broken" in done.stderr


class TestModels:
    def test_unknown_name_names_the_nearest(self) -> None:
        assert "did you mean 'detect-coco'" in refused(2, "run", "demo:", "-m", "detect-cocoa", *QUIET)

    def test_not_a_model(self, tmp_path: Path) -> None:
        path = tmp_path / "picture.tflite"
        path.write_bytes(b"\x89PNG" * 100)
        assert "not a TFLite model" in refused(1, "run", "demo:", "-m", path, *QUIET)

    @pytest.mark.parametrize("keep", [0, 10, 1000, 500_000])
    def test_truncated(self, tmp_path: Path, keep: int) -> None:
        path = tmp_path / "cut.tflite"
        path.write_bytes(bundled_model("detect-coco").read_bytes()[:keep])
        assert "cut.tflite" in refused(1, "run", "demo:", "-m", path, *QUIET)

    def test_missing_contract_names_the_flags(self, real: Path) -> None:
        line = refused(1, "run", "demo:", "-m", real / "mobilenet_v2_1.0_224_quant.tflite", *QUIET)
        assert "--decoder" in line

    def test_label_count_mismatch(self, real: Path) -> None:
        model = real / "mobilenet_v2_1.0_224_quant.tflite"
        flags = ("--task", "classify", "--labels", real / "coco80.txt", "--normalize", "127.5,127.5")
        line = refused(1, "run", "demo:", "-m", model, *flags, *QUIET)
        assert "80" in line and "1001" in line

    def test_label_count_mismatch_of_a_detector_whose_outputs_do_not_tell(self, real: Path) -> None:
        line = refused(1, "run", "demo:", "--labels", real / "coco80.txt", *QUIET)
        assert "90 classes" in line and "80" in line

    def test_compiled_for_a_tpu_that_is_not_there(self, real: Path, tmp_path: Path) -> None:
        model = real / "mobilenet_v2_1.0_224_quant_edgetpu.tflite"
        flags = ("--task", "classify", "--labels", real / "imagenet_labels.txt")
        line = refused(1, "run", "demo:", "-m", model, *flags, *QUIET, "--device", "cpu")
        assert "Edge TPU" in line and "mobilenet_v2_1.0_224_quant.tflite" in line
        done = edgecam("run", "demo:?frames=3", "-m", model, *flags, "--sink", "jsonl:-")
        assert done.returncode == 0, done.stderr
        assert "running mobilenet_v2_1.0_224_quant.tflite on the CPU" in done.stderr
        alone = tmp_path / model.name
        alone.write_bytes(model.read_bytes())
        line = refused(1, "run", "demo:", "-m", alone, *flags, *QUIET)
        assert "Edge TPU" in line and "before its compilation" in line

    def test_missing_delegate_is_said_and_the_cpu_goes_on(self) -> None:
        done = edgecam("run", "demo:?frames=3", "--device", "usb", "--sink", "jsonl:-")
        assert done.returncode == 0, done.stderr
        assert "CPU" in done.stderr and len(done.stdout.splitlines()) == 3

    def test_required_delegate(self) -> None:
        refused(1, "run", "demo:", "--device", "usb", "--require-delegate", *QUIET)

    def test_contradicting_flags(self) -> None:
        line = refused(1, "run", "demo:", "-m", "classify-person", "--decoder", "yolov8", *QUIET)
        assert "classify-person" in line and "[1, 2]" in line and "decoder" in line


class TestSinks:
    def test_unknown_sink(self) -> None:
        assert "known:" in refused(2, "run", "demo:", "--sink", "mp4:out")

    def test_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = refused(1, "run", "demo:", "--sink", f"web:?port={port}", "--max-frames", "3")
        assert str(port) in line

    @pytest.mark.parametrize(
        # A part of a file is written whole or not at all; the disk must hold some of them, but not all.
        ("codec", "size"),
        [("mpeg4", "6m"), pytest.param("h264", "1m", marks=pytest.mark.ffmpeg)],
    )
    def test_disk_full_while_recording(self, tmp_path: Path, codec: str, size: str) -> None:
        if codec == "h264" and encoders.h264_coder() is None:
            pytest.skip("ffmpeg is not installed: apt install ffmpeg")
        if os.geteuid() != 0:
            pytest.skip("a full disk can be made by root only: run as root")
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a small disk cannot be mounted here: run where mounting is allowed")
        try:
            done = edgecam(
                "run",
                "demo:?frames=250&size=1280x720",
                "--sink",
                f"record:{disk}/out.mp4?codec={codec}",
                "--sink",
                "jsonl:-",
            )
            assert done.returncode == 1
            assert "Traceback" not in done.stderr and "out.mp4" in done.stderr
            assert len(done.stdout.splitlines()) == 250
            video = cv2.VideoCapture(str(disk / "out.mp4"))
            frames = sum(1 for _ in iter(lambda: video.read()[0], False))
            video.release()
            assert 10 < frames < 250
        finally:
            subprocess.run(["umount", str(disk)], check=True)


class TestConfig:
    def test_a_typo_names_the_key_and_the_nearest(self, tmp_path: Path) -> None:
        path = tmp_path / "edgecam.toml"
        path.write_text("treshold = 0.5\n")
        line = refused(2, "run", "demo:", "--config", path, *QUIET)
        assert "'treshold'" in line and "'threshold'" in line

    def test_a_wrong_type_names_the_key(self, tmp_path: Path) -> None:
        path = tmp_path / "edgecam.toml"
        path.write_text('threads = "many"\n')
        assert "threads" in refused(2, "run", "demo:", "--config", path, *QUIET)

    def test_unknown_flag_is_a_usage_error(self) -> None:
        assert edgecam("run", "--treshold", "1").returncode == 2


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_finishes_the_recording(self, number: int, tmp_path: Path) -> None:
        out = tmp_path / "out.mp4"
        with Running("run", "demo:", "--sink", f"record:{out}", "--sink", "jsonl:-") as run:
            while len(run.out) < 20:
                run.wait_for('"seq"')
                time.sleep(0.05)
            assert run.end(number) == 0
        video = cv2.VideoCapture(str(out))
        assert sum(1 for _ in iter(lambda: video.read()[0], False)) >= 15
        video.release()

    def test_one_wish_that_comes_as_two_signals_still_finishes_the_recording(self, tmp_path: Path) -> None:
        out = tmp_path / "out.mp4"
        with Running("run", "demo:", "--sink", f"record:{out}", "--sink", "jsonl:-") as run:
            run.wait_for('"seq"')
            run.process.send_signal(signal.SIGTERM)
            assert run.end(signal.SIGTERM) == 0

    def test_a_closed_pipe_ends_quietly(self) -> None:
        command = f"{EDGECAM} run demo: --sink jsonl:- | head -n 3"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
        )
        assert len(done.stdout.splitlines()) == 3 and "Traceback" not in done.stderr
