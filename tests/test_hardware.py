"""Encoders of chips: one that is listed is used only if it works."""

from pathlib import Path

import pytest

from edgecam import hardware
from edgecam.encoders import H264Encoder
from edgecam.hardware import KINDS, SOFTWARE, H264Coder, h264_coder

LIST = "echo ' V....D libx264 x'; echo ' V..... h264_v4l2m2m x'; echo ' V..... h264_nvenc x'"


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands where ffmpeg would; the devices of two chips are there."""
    device = tmp_path / "video11"
    device.touch()
    for name in ("h264_v4l2m2m", "h264_nvenc"):
        monkeypatch.setitem(
            hardware.KINDS, name, hardware._Kind(str(device), KINDS[name].options, KINDS[name].first)
        )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "ffmpeg"


def write(path: Path, script: str) -> None:
    path.write_text(f'#!/bin/sh\ncase "$*" in *-encoders*) {LIST}; exit;; esac\n{script}\n')
    path.chmod(0o755)


@pytest.mark.parametrize(
    "script",
    [
        "echo no such device >&2; exit 1",
        "cat > /dev/null; echo garbage",
        "cat > /dev/null",
        # A real encoder behind it, but pictures are missing.
        "head -c 691200 | /usr/bin/ffmpeg -v error -f rawvideo -pix_fmt rgb24 -s 320x240 -i - "
        "-c:v libx264 -f matroska -",
    ],
)
@pytest.mark.ffmpeg
def test_what_does_not_work_is_passed_over(ffmpeg: Path, script: str) -> None:
    write(ffmpeg, script)
    assert h264_coder() == H264Coder(str(ffmpeg), SOFTWARE)
    assert h264_coder("h264_v4l2m2m") is None


@pytest.mark.ffmpeg
@pytest.mark.skipif(not Path("/usr/bin/ffmpeg").exists(), reason="needs ffmpeg: apt install ffmpeg")
def test_what_works_is_taken_before_the_cpu(ffmpeg: Path) -> None:
    real = H264Coder("/usr/bin/ffmpeg").command((320, 240))[1:]
    write(ffmpeg, f'case "$*" in *v4l2m2m*) exec /usr/bin/ffmpeg {" ".join(real)};; esac; exit 1')
    assert h264_coder() == H264Coder(str(ffmpeg), "h264_v4l2m2m")
    assert h264_coder("software") == H264Coder(str(ffmpeg), SOFTWARE)


def test_without_its_device_it_is_not_even_tried(ffmpeg: Path, tmp_path: Path) -> None:
    write(ffmpeg, f"touch {tmp_path}/tried; exit 1")
    (tmp_path / "video11").unlink()
    assert h264_coder() == H264Coder(str(ffmpeg), SOFTWARE)
    assert not (tmp_path / "tried").exists()


def test_without_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert h264_coder() is None
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF garbage")
    (tmp_path / "ffmpeg").chmod(0o755)
    assert h264_coder() is None


@pytest.mark.parametrize("name", list(KINDS))
def test_every_command_reads_raw_pictures_and_writes_matroska_without_reordering(name: str) -> None:
    command = H264Coder("ffmpeg", name).command((1280, 720))
    assert command[command.index("-c:v") + 1] == name and command[-2:] == ["matroska", "-"]
    assert "1280x720" in command and not [word for word in command if "{" in word]
    assert name == SOFTWARE or command[command.index("-bf") + 1] == "0"


@pytest.mark.ffmpeg
def test_the_software_encoder_is_what_it_was(tmp_path: Path) -> None:
    import numpy as np

    units: list[bool] = []
    coder = h264_coder("software")
    if coder is None:
        pytest.skip("ffmpeg is not installed: apt install ffmpeg")
    encoder = H264Encoder((64, 48), lambda key, *_: units.append(key), coder.program, coder.name)
    for i in range(35):
        encoder.write(np.full((48, 64, 3), i, np.uint8))
    encoder.close()
    assert len(units) == 35 and units[0] and units[30] and not units[1]
