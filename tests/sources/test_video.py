"""Video files: every frame, in order, upright, with its time; and files that are none."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.registry import SOURCES, load, parse_uri, source_uri
from edgecam.sources.synthetic import COLORS, seq_of
from edgecam.sources.video import VideoSource
from edgecam.types import Frame
from tests.helpers.clips import synthetic_clip, turn_mp4
from tests.helpers.rights import nobody


def read_all(source: VideoSource) -> list[Frame]:
    source.open()
    frames = list(iter(source.read, None))
    source.close()
    return frames


@pytest.fixture
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if not found:
        pytest.skip("ffmpeg is not installed: apt install ffmpeg")
    return found


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv"])
def test_every_frame_in_order_with_its_time(tmp_path: Path, name: str) -> None:
    scene = synthetic_clip(tmp_path / name)
    source = VideoSource(source_uri(str(tmp_path / name)))
    frames = read_all(source)
    assert [f.seq for f in frames] == list(range(30))
    assert [seq_of(f.image) for f in frames] == list(range(30))
    assert [f.media_time for f in frames] == pytest.approx([n / 10 for n in range(30)], abs=2e-3)
    assert (source.live, source.total) == (False, 30)
    assert frames[0].size == scene.size
    assert frames[0].source == f"video:{tmp_path / name}"


def test_colour_order_is_rgb(tmp_path: Path) -> None:
    scene = synthetic_clip(tmp_path / "clip.mp4")
    frame = read_all(VideoSource(source_uri(str(tmp_path / "clip.mp4"))))[9]
    truth = scene.truth(9)
    for (x1, y1, x2, y2), class_id in zip(truth.xyxy.astype(int), truth.class_id, strict=True):
        middle = frame.image[(2 * y1 + 3 * y2) // 5, (x1 + x2) // 2].astype(int)
        assert np.abs(middle - COLORS[class_id]).max() < 30, (middle, COLORS[class_id])


def test_rotation_is_honoured(tmp_path: Path) -> None:
    """The frame number runs along the lower edge; turned clockwise it runs down the left one."""
    clip = tmp_path / "phone.mp4"
    synthetic_clip(clip)
    turn_mp4(clip)
    frame = read_all(VideoSource(source_uri(str(clip))))[13]
    assert frame.image.shape == (320, 240, 3)
    assert seq_of(np.rot90(frame.image)) == 13


@pytest.mark.ffmpeg
def test_uneven_times_are_kept(tmp_path: Path, ffmpeg: str) -> None:
    synthetic_clip(tmp_path / "even.avi", frames=6)
    subprocess.run(
        [
            ffmpeg,
            "-v",
            "error",
            "-i",
            "even.avi",
            "-vf",
            "setpts=N*N/10/TB",
            "-fps_mode",
            "vfr",
            "uneven.mp4",
        ],
        cwd=tmp_path,
        check=True,
    )
    frames = read_all(VideoSource(source_uri(str(tmp_path / "uneven.mp4"))))
    assert [seq_of(f.image) for f in frames] == [0, 1, 2, 3, 4, 5]
    assert [f.media_time for f in frames] == pytest.approx([n * n / 10 for n in range(6)], abs=2e-3)


def _jpeg_clip(ffmpeg: str, folder: Path, name: str) -> Path:
    synthetic_clip(folder / "clip.mkv")
    path = folder / name
    command = [ffmpeg, "-v", "error", "-i", folder / "clip.mkv", "-c:v", "mjpeg", "-q:v", "2", path]
    subprocess.run(command, check=True)
    return path


@pytest.mark.ffmpeg
@pytest.mark.parametrize("name", ["clip.avi", "clip.mp4", "clip.mjpeg"])
def test_jpeg_pictures_stay_jpeg(tmp_path: Path, ffmpeg: str, name: str) -> None:
    frames = read_all(VideoSource(source_uri(f"video:{_jpeg_clip(ffmpeg, tmp_path, name)}")))
    assert [seq_of(f.image) for f in frames] == list(range(30))
    assert all(f.jpeg is not None and f.size == frames[0].image.shape[1::-1] for f in frames)
    if name != "clip.mjpeg":  # bare pictures have no times
        assert [f.media_time for f in frames] == pytest.approx([n / 10 for n in range(30)], abs=2e-3)


@pytest.mark.ffmpeg
def test_a_broken_jpeg_in_a_file_is_skipped_and_counted(tmp_path: Path, ffmpeg: str) -> None:
    path = _jpeg_clip(ffmpeg, tmp_path, "clip.mjpeg")
    data = path.read_bytes()
    third = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)][2]
    table = data.index(b"\xff\xc0", third)
    path.write_bytes(data[:table] + b"\xff\x01" + data[table + 2 :])  # no frame header any more
    source = VideoSource(source_uri(f"video:{path}"))
    frames = read_all(source)
    assert (len(frames), source.broken) == (29, 1)
    assert [seq_of(f.image) for f in frames] == [n for n in range(30) if n != 2]


@pytest.mark.ffmpeg
def test_a_stream_without_times_gets_those_of_its_rate(tmp_path: Path, ffmpeg: str) -> None:
    synthetic_clip(tmp_path / "clip.avi", frames=6, fps=25)
    subprocess.run(
        [ffmpeg, "-v", "error", "-i", "clip.avi", "-c:v", "libx264", "raw.h264"], cwd=tmp_path, check=True
    )
    frames = read_all(VideoSource(source_uri(str(tmp_path / "raw.h264"))))
    assert [seq_of(f.image) for f in frames] == [0, 1, 2, 3, 4, 5]
    times = [f.media_time or 0.0 for f in frames]
    assert times == sorted(set(times))


@pytest.mark.ffmpeg
def test_sound_alone_is_no_video(tmp_path: Path, ffmpeg: str) -> None:
    subprocess.run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "tone.wav"], cwd=tmp_path, check=True
    )
    with pytest.raises(SourceError, match="no picture stream"):
        VideoSource(source_uri(str(tmp_path / "tone.wav"))).open()


def test_loop_goes_on_at_the_start(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4", frames=4)
    source = VideoSource(parse_uri(f"video:{tmp_path}/clip.mp4?loop=yes"))
    source.open()
    frames = [source.read() for _ in range(10)]
    source.close()
    assert [seq_of(f.image) for f in frames if f] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [f.seq for f in frames if f] == list(range(10))
    assert (source.live, source.total) == (False, None)


def test_real_time_is_no_faster_than_the_file(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4", frames=5, fps=20)
    source = VideoSource(parse_uri(f"video:{tmp_path}/clip.mp4?realtime=yes"))
    assert source.live
    frames = read_all(source)
    assert len(frames) == 5
    assert frames[4].times.captured - frames[0].times.captured >= 4 / 20 - 3e-3


def test_open_again_starts_again(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4", frames=3)
    source = VideoSource(source_uri(str(tmp_path / "clip.mp4")))
    assert len(read_all(source)) == len(read_all(source)) == 3


def test_closing_from_another_thread_ends_the_reading(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4", frames=4)
    source = VideoSource(parse_uri(f"video:{tmp_path}/clip.mp4?loop=yes"))
    source.open()
    reading, seen = threading.Event(), []

    def read() -> None:
        try:
            while source.read() is not None:
                reading.set()
        except SourceLostError as error:
            seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(10)
    source.close()
    reader.join(10)
    assert not reader.is_alive() and len(seen) == 1


def test_files_that_are_no_video(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    for name, says in (
        ("empty.mp4", "is empty"),
        ("text.mp4", "is not a video"),
        ("noise.mp4", "is not a video"),
        ("no.mp4", "no such video"),
        ("text.mp4/no.mp4", "no such video"),
        ("", "is a folder"),
    ):
        with pytest.raises(SourceError, match=says) as error:
            VideoSource(parse_uri(f"video:{tmp_path}/{name}")).open()
        assert "\n" not in str(error.value)


def test_no_permission(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4", frames=2)
    (tmp_path / "clip.mp4").chmod(0)
    with nobody(), pytest.raises(SourceError, match="may not be read"):
        VideoSource(source_uri(str(tmp_path / "clip.mp4"))).open()


def test_a_cut_off_mp4_has_no_index(tmp_path: Path) -> None:
    synthetic_clip(tmp_path / "clip.mp4")
    whole = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "clip.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="damaged"):
        VideoSource(source_uri(str(tmp_path / "clip.mp4"))).open()


def test_a_cut_off_avi_plays_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    synthetic_clip(tmp_path / "clip.avi")
    whole = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        frames = read_all(VideoSource(source_uri(str(tmp_path / "clip.avi"))))
    # The last one may be half a picture.
    assert [seq_of(f.image) for f in frames[:-1]] == list(range(len(frames) - 1))
    assert 5 < len(frames) < 20
    assert "cut off" in caplog.text


def test_failures_leave_the_terminal_clean(tmp_path: Path) -> None:
    """OpenCV and FFmpeg write to the process's own stderr, which only a process of its own shows."""
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    code = (
        "from edgecam.registry import source_uri; from edgecam.sources.video import VideoSource\n"
        "from edgecam.errors import SourceError\n"
        f"try: VideoSource(source_uri({str(tmp_path / 'text.mp4')!r})).open()\n"
        "except SourceError: print('as expected')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("as expected\n", "")


def test_wrong_options_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'realtime'"):
        VideoSource(parse_uri("video:x.mp4?real-time=yes"))


@pytest.mark.real
def test_real_video(real: Path) -> None:
    source = VideoSource(source_uri(str(real / "one-by-one-person-detection.mp4")))
    source.open()
    assert source.total == 1394
    times, picture = [], np.zeros(0)
    while (frame := source.read()) is not None:
        assert frame.seq == len(times) and frame.size == (768, 432)
        times.append(frame.media_time)
        picture = frame.image if frame.seq == 100 else picture
    source.close()
    assert times == pytest.approx([n / 10 for n in range(1394)])
    assert picture.std() > 20


def test_registered() -> None:
    assert load(SOURCES, "source", "video") is VideoSource
