"""Encoders that hand over each coded picture."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecam import encoders
from edgecam.encoders import Encoder, H264Encoder, Mpeg4Encoder, Take
from edgecam.errors import SinkError
from edgecam.matroska import coded_pictures
from edgecam.types import Image

SIZE = (96, 64)


@pytest.fixture(params=["mpeg4", pytest.param("h264", marks=pytest.mark.ffmpeg)])
def codec(request: pytest.FixtureRequest) -> str:
    if request.param == "h264" and encoders.h264_coder("software") is None:
        pytest.skip("ffmpeg is not installed: apt install ffmpeg")
    return str(request.param)


def make(codec: str, take: Take) -> Encoder:
    if codec == "mpeg4":
        return Mpeg4Encoder(SIZE, take)
    coder = encoders.h264_coder("software")
    assert coder is not None
    return H264Encoder(SIZE, take, coder.program, coder.name)


def picture(i: int) -> Image:
    """Noise that moves sideways: much to code, and no change of scene."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return np.roll(noise, i, axis=1)


def test_one_out_for_each_in(codec: str) -> None:
    units: list[tuple[bool, bytes, bytes]] = []
    encoder = make(codec, lambda *unit: units.append(unit))
    for i in range(70):
        encoder.write(picture(i))
    encoder.close()
    encoder.close()
    assert encoder.codec == codec and encoder.error is None
    assert len(units) == 70
    assert units[0][0] and not all(key for key, _, _ in units)
    assert sum(key for key, _, _ in units) >= 2
    assert len({config for _, _, config in units}) == 1 and len(units[0][2]) > 10
    if codec == "h264":
        assert units[0][2][0] == 1  # version of the configuration record
        for _, data, _ in units:
            at = 0
            while at < len(data):
                at += 4 + int.from_bytes(data[at : at + 4], "big")
            assert at == len(data)
    else:
        assert all(data.startswith(b"\0\0\1") for _, data, _ in units)


def test_what_taking_raises_comes_back_and_nothing_hangs(codec: str) -> None:
    def take(key: bool, data: bytes, config: bytes) -> None:
        raise OSError(28, "No space left on device")

    encoder = make(codec, take)
    with pytest.raises(OSError, match="No space left"):
        for i in range(1000):  # far more than any pipe holds
            encoder.write(picture(i))
    encoder.close()
    assert isinstance(encoder.error, OSError)


@pytest.mark.parametrize(
    ("script", "said"), [("echo 'oh no' >&2; echo >&2; exit 1", "oh no"), ("exit 1", "it said nothing")]
)
def test_ffmpeg_that_dies_is_named_with_its_last_words(tmp_path: Path, script: str, said: str) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    encoder = H264Encoder(SIZE, lambda *_: None, str(program))
    with pytest.raises(SinkError, match=rf"ffmpeg ended by itself \({said}\): choose codec=mpeg4"):
        for i in range(1000):
            encoder.write(picture(i))
    encoder.close()


def test_ffmpeg_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="does not start"):
        H264Encoder(SIZE, lambda *_: None, str(tmp_path / "absent"))


def test_ffmpeg_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert encoders.h264_coder("software") is None
    program = tmp_path / "ffmpeg"
    for listing, found in (("V....D libvpx", False), (" V....D libx264     H.264", True)):
        program.write_text(f"#!/bin/sh\necho '{listing}'\n")
        program.chmod(0o755)
        assert (encoders.h264_coder("software") is not None) == found
    assert shutil.which("ffmpeg") == str(program)
    program.write_bytes(b"\x7fELF garbage")
    assert encoders.h264_coder("software") is None


def test_opencv_without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        fourcc = staticmethod(encoders.cv2.VideoWriter.fourcc)

        def __init__(self, *args: object) -> None:
            pass

        def isOpened(self) -> bool:
            return False

    monkeypatch.setattr(encoders.cv2, "VideoWriter", Closed)
    with pytest.raises(SinkError, match="cannot encode video: pip install"):
        Mpeg4Encoder(SIZE, lambda *_: None)


def test_a_stream_cut_anywhere_gives_whole_pictures() -> None:
    block = b"\xa3\x86\x81\x00\x00\x80XY"
    private = b"\x63\xa2\x83abc"
    stream = b"\x1a\x45\xdf\xa3\x81\x00" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7  # header, endless segment
    stream += b"\x16\x54\xae\x6b\x88\xae\x86" + private + b"\x1f\x43\xb6\x75\x40\x10" + block
    stream += b"\xa0\x88\xa1\x86\x81\x00\x00\x00ZW"
    expected = [(True, b"XY", b"abc"), (False, b"ZW", b"abc")]
    assert list(coded_pictures(io.BytesIO(stream))) == expected
    for cut in range(len(stream)):
        found = list(coded_pictures(io.BytesIO(stream[:cut])))
        assert found == expected[: len(found)]
