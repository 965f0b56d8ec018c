"""Recordings, read back by OpenCV's FFmpeg."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecam import encoders
from edgecam.errors import SinkError, UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.record import RecordSink
from edgecam.types import Image, Packet

from .support import PATIENCE, Listener, packet

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 160, 96


def shade(value: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def record(uri: str, packets: list[Packet], live: bool = False) -> tuple[RecordSink, Listener]:
    sink, listener = RecordSink(parse_uri(uri)), Listener()
    sink.start(listener.context(live))
    for item in packets:
        sink.push(item)
    sink.close()
    return sink, listener


def play(path: Path) -> list[tuple[float, Image]]:
    """(seconds, RGB picture) of each picture."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert capture.isOpened()
    shown = []
    while True:
        good, image = capture.read()
        if not good:
            return shown
        shown.append((capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, np.asarray(image[..., ::-1])))


@pytest.fixture(params=["mpeg4", pytest.param("h264", marks=pytest.mark.ffmpeg)])
def codec(request: pytest.FixtureRequest) -> str:
    if request.param == "h264" and encoders.h264_coder("software") is None:
        pytest.skip("ffmpeg is not installed: apt install ffmpeg")
    return str(request.param)


def test_a_video_file_keeps_every_frame_at_its_time(tmp_path: Path, codec: str) -> None:
    times = [3.0 + i / 25 for i in range(60)]
    packets = [packet(i, shade(20 + 3 * i), media_time=t) for i, t in enumerate(times)]
    sink, listener = record(f"record:{tmp_path}/out.mp4?codec={codec}", packets)
    assert not sink.failed and sink.dropped == 0
    assert listener.reports == [f"recording to {tmp_path}/out.mp4 ({codec})"]
    shown = play(tmp_path / "out.mp4")
    assert [t for t, _ in shown] == pytest.approx([t - 3.0 for t in times], abs=0.002)
    assert [np.median(image) for _, image in shown] == pytest.approx([20 + 3 * i for i in range(60)], abs=6)


def test_the_packet_of_a_run_s_last_events_is_no_picture_more(tmp_path: Path) -> None:
    packets = [packet(i, shade(50), media_time=i / 10) for i in range(5)]
    last = packet(4, shade(50), media_time=0.4, state="ended")
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", [*packets, last])
    assert len(play(tmp_path / "out.mp4")) == 5


def test_a_camera_keeps_its_uneven_times(tmp_path: Path) -> None:
    times = [100.0, 100.03, 100.11, 100.12, 101.9, 102.0]
    packets = [packet(i, shade(30 * i), captured=t) for i, t in enumerate(times)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", packets, live=True)
    assert [t for t, _ in play(tmp_path / "out.mp4")] == pytest.approx([t - 100 for t in times], abs=0.002)


def test_a_picture_that_comes_out_of_turn_moves_nothing_else(tmp_path: Path) -> None:
    times = [100.0, 101.0, 100.9, 102.0]
    packets = [packet(i, shade(50), captured=t) for i, t in enumerate(times)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", packets, live=True)
    assert [t for t, _ in play(tmp_path / "out.mp4")] == pytest.approx([0, 1, 1.001, 2], abs=0.0005)


def test_colours_are_right(tmp_path: Path, codec: str) -> None:
    image = shade(0)
    image[:, :80] = (200, 30, 30)
    image[:, 80:] = (30, 30, 200)
    record(f"record:{tmp_path}/out.mp4?codec={codec}", [packet(0, image, media_time=0.0)])
    ((_, shown),) = play(tmp_path / "out.mp4")
    assert shown[48, 40] == pytest.approx([200, 30, 30], abs=25)
    assert shown[48, 120] == pytest.approx([30, 30, 200], abs=25)


def test_a_lost_camera_is_a_placard_that_lasts(tmp_path: Path) -> None:
    packets = [
        packet(
            0, shade(250, 64, 48), captured=99.0, state="starting"
        ),  # before the first frame: not recorded
        packet(0, shade(60), captured=100.0),
        packet(0, shade(10), captured=103.0, state="waiting"),
        packet(1, shade(10), captured=104.0, state="waiting"),
        packet(1, shade(90), captured=109.0),
    ]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", packets, live=True)
    shown = play(tmp_path / "out.mp4")
    assert [t for t, _ in shown] == pytest.approx([0, 3, 4, 9], abs=0.002)
    assert [np.median(image) for _, image in shown] == pytest.approx([60, 10, 10, 90], abs=6)


def test_pictures_without_a_time_follow_one_another(tmp_path: Path) -> None:
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", [packet(i, shade(50)) for i in range(4)])
    assert [t for t, _ in play(tmp_path / "out.mp4")] == pytest.approx([i / 30 for i in range(4)], abs=0.002)


def test_a_video_that_begins_again_goes_on(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.0, 0.1]
    packets = [packet(i, shade(50), media_time=t) for i, t in enumerate(times)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", packets)
    expected = [0.0, 0.1, 0.2, 0.2 + 1 / 30, 0.3 + 1 / 30]
    assert [t for t, _ in play(tmp_path / "out.mp4")] == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("fps", [10, 7])
def test_fps_is_an_upper_bound(tmp_path: Path, fps: int) -> None:
    packets = [packet(i, shade(50), media_time=i / 30) for i in range(90)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4&fps={fps}", packets)
    times = [t for t, _ in play(tmp_path / "out.mp4")]
    assert len(times) == pytest.approx(3 * fps, abs=1)
    assert np.diff(times) == pytest.approx([1 / fps] * (len(times) - 1), abs=1 / 30)


def test_fps_above_the_source_leaves_all(tmp_path: Path) -> None:
    jitter = [i / 30 + 0.004 * (-1) ** i for i in range(60)]
    packets = [packet(i, shade(50), media_time=t) for i, t in enumerate(jitter)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4&fps=30", packets)
    assert len(play(tmp_path / "out.mp4")) == 60


@pytest.mark.parametrize(("raw", "expected"), [("no", 200), ("yes", 40)])
def test_the_annotated_picture_unless_raw(tmp_path: Path, raw: str, expected: int) -> None:
    plain = packet(0, shade(40))
    drawn = Packet(plain.frame, plain.result, plain.labels, plain.status, lambda _: shade(200))
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4&raw={raw}", [drawn])
    ((_, image),) = play(tmp_path / "out.mp4")
    assert np.median(image) == pytest.approx(expected, abs=5)


def test_another_size_is_fitted_in(tmp_path: Path) -> None:
    packets = [packet(0, shade(100), media_time=0.0), packet(1, shade(180, 96, 96), media_time=0.1)]
    record(f"record:{tmp_path}/out.mp4?codec=mpeg4", packets)
    shown = [image for _, image in play(tmp_path / "out.mp4")]
    assert {image.shape for image in shown} == {(HEIGHT, WIDTH, 3)}
    assert np.median(shown[1][:, 60:100]) == pytest.approx(180, abs=6)
    assert np.median(shown[1][:, :20]) == pytest.approx(0, abs=20)


def test_odd_sizes_lose_a_line(tmp_path: Path, codec: str) -> None:
    record(f"record:{tmp_path}/out.mp4?codec={codec}", [packet(0, shade(100, 161, 97), media_time=0.0)])
    ((_, image),) = play(tmp_path / "out.mp4")
    assert image.shape == (96, 160, 3) and np.median(image) == pytest.approx(100, abs=5)


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    for name in ("out-1.mp4", "out-2.mp4"):
        _, listener = record(f"record:{path}?codec=mpeg4", [packet(0, shade(50))])
        assert listener.reports == [f"recording to {tmp_path / name} (mpeg4)"]
        assert len(play(tmp_path / name)) == 1
    assert path.read_text() == "precious"
    record(f"record:{path}?codec=mpeg4&overwrite=yes", [packet(0, shade(50))])
    assert len(play(path)) == 1


def test_nothing_recorded_leaves_no_file(tmp_path: Path) -> None:
    sink, _ = record(f"record:{tmp_path}/out.mp4?codec=mpeg4", [packet(0, shade(9), state="starting")])
    assert not sink.failed and list(tmp_path.iterdir()) == []


def test_too_small_a_picture(tmp_path: Path) -> None:
    sink, listener = record(f"record:{tmp_path}/out.mp4?codec=mpeg4", [packet(0, shade(9, 12, 12))])
    assert sink.failed.startswith("a picture of 12x12 is too small") and len(listener.reports) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["record:", "record:out", "record:out.avi", "record:out.mp4.txt"])
def test_names_other_than_mp4(text: str) -> None:
    with pytest.raises(UsageError, match=r"does not name an MP4 file: write record:NAME\.mp4"):
        RecordSink(parse_uri(text))


def test_wrong_options() -> None:
    with pytest.raises(UnknownNameError, match="codec"):
        RecordSink(parse_uri("record:out.mp4?codek=h264"))
    for query in ("codec=vp9", "fps=-1", "fps=nan", "fps=many", "raw=perhaps"):
        with pytest.raises(UsageError, match="option"):
            RecordSink(parse_uri(f"record:out.mp4?{query}"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*No such file or directory"):
        record(f"record:{tmp_path}/absent/out.mp4", [])


def test_h264_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SinkError, match="needs the ffmpeg program: apt install ffmpeg"):
        record(f"record:{tmp_path}/out.mp4?codec=h264", [])
    _, listener = record(f"record:{tmp_path}/out.mp4", [packet(0, shade(50))])
    assert listener.reports == [f"recording to {tmp_path}/out.mp4 (mpeg4)"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("mount is not installed: apt install mount")
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here: run the tests as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_disk_full_stops_the_recording_alone_and_the_file_plays(small_disk: Path, codec: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    sink, listener = RecordSink(parse_uri(f"record:{small_disk}/out.mp4?codec={codec}")), Listener()
    sink.start(listener.context(live=False))
    pushed = 0
    while not listener.reported.is_set() or len(listener.reports) < 2:
        image = np.roll(noise, pushed, axis=1)
        sink.push(packet(pushed, image, media_time=pushed / 30))
        pushed += 1
        assert pushed < 2000
    sink.close()
    sink.push(packet(pushed, image, media_time=pushed / 30))  # the run goes on
    assert "No space left on device" in sink.failed and "what is there plays" in sink.failed
    assert listener.reports[1:] == [f"{sink.name} stopped: {sink.failed}"]
    shown = play(small_disk / "out.mp4")
    assert len(shown) >= 30
    assert [t for t, _ in shown] == pytest.approx([i / 30 for i in range(len(shown))], abs=0.002)


CHILD = """
    import sys, threading
    import numpy as np
    from edgecam.registry import parse_uri
    from edgecam.sinks.record import RecordSink
    from tests.sinks.support import Listener, packet
    sink = RecordSink(parse_uri(sys.argv[1]))
    sink.start(Listener().context(live=False))
    noise = np.random.default_rng(0)
    for seq in range(300):
        image = noise.integers(0, 256, (96, 160, 3), dtype=np.uint8)
        sink.push(packet(seq, image, media_time=seq / 30))
    print("recorded", flush=True)
    threading.Event().wait()
"""


def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "out.mp4"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), f"record:{path}?codec={codec}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"recorded\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(PATIENCE)
    assert child.stdout is not None
    child.stdout.close()
    shown = play(path)
    assert len(shown) > 150  # all but the last seconds, which were still under way
    assert [t for t, _ in shown] == pytest.approx([i / 30 for i in range(len(shown))], abs=0.002)
