"""Segments: files of some minutes that play, whatever becomes of the disk or of the process."""

import errno
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from edgecam.errors import SinkError, UsageError
from edgecam.mp4 import Mp4Writer
from edgecam.registry import parse_uri, sink_uri
from edgecam.sinks import movie as movie_module
from edgecam.sinks.segments import SegmentsSink
from edgecam.storage import Store
from tests.helpers.rights import nobody

from .film_support import WALL, camera, files, kept_jpeg, need_ffprobe, probe, shade
from .support import Listener

pytestmark = pytest.mark.ffmpeg
ROOT = Path(__file__).resolve().parents[2]


def run(uri: str, packets: list) -> tuple[SegmentsSink, Listener]:  # type: ignore[type-arg]
    sink, listener = SegmentsSink(sink_uri(uri)), Listener()
    sink.start(listener.context(live=False))
    for packet in packets:
        sink.push(packet)
    sink.close()
    assert not sink.failed, sink.failed
    return sink, listener


def test_the_cameras_jpeg_is_kept_to_the_byte_and_files_follow_without_a_gap(tmp_path: Path) -> None:
    pictures = [kept_jpeg(40 + i) for i in range(90)]
    times = [100 + i / 10 + 0.01 * (i % 3) for i in range(90)]
    run(f"record:{tmp_path}?segment=3s", [camera(t, p) for t, p in zip(times, pictures, strict=True)])
    kept = files(tmp_path)
    moment = time.localtime(WALL + 100)
    assert kept[0] == tmp_path / time.strftime("%Y-%m-%d/segment-%H%M%S.mp4", moment)
    seen = [probe(path) for path in kept]
    assert [s["codec"] for s in seen] == ["mjpeg"] * 3 and {s["size"] for s in seen} == {(160, 96)}
    assert sum(s["pictures"] for s in seen) == 90
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(WALL + 100))
    assert seen[0]["created"].startswith(stamp)
    assert seen[0]["times"] == pytest.approx([t - 100 for t in times[: seen[0]["pictures"]]], abs=0.001)
    data = b"".join(path.read_bytes() for path in kept)
    assert all(picture in data for picture in pictures)


@pytest.mark.parametrize(
    ("codec", "name"), [("h264", "h264"), ("mpeg4", "mpeg4"), ("jpeg", "mjpeg"), ("auto", "h264")]
)
def test_pixels_are_coded_and_every_picture_plays(tmp_path: Path, codec: str, name: str) -> None:
    need_ffprobe()
    packets = [camera(1 + i / 30, image=shade(60 + i)) for i in range(100)]
    run(f"record:{tmp_path}?segment=1s&codec={codec}", packets)
    seen = [probe(path) for path in files(tmp_path)]
    assert len(seen) >= 2 and {s["codec"] for s in seen} == {name}
    assert sum(s["pictures"] for s in seen) == 100


def test_another_size_a_lost_camera_and_a_clock_that_went_back_begin_another_file(tmp_path: Path) -> None:
    small = kept_jpeg(50, (80, 48))
    packets = [camera(t) for t in (1.0, 1.1)]
    packets += [camera(t, small, size=(80, 48)) for t in (1.2, 1.3)]
    packets += [camera(2.0, state="waiting")]
    packets += [camera(t) for t in (5.0, 5.1)]
    packets += [camera(t) for t in (3.0, 3.1)]
    packets += [camera(t) for t in (60.0, 60.1)]
    run(f"record:{tmp_path}?segment=10m", packets)
    seen = [probe(path) for path in files(tmp_path)]
    assert [s["pictures"] for s in seen] == [2] * 5
    assert sorted(s["size"][0] for s in seen) == [80, 160, 160, 160, 160]


def test_fps_is_an_upper_bound(tmp_path: Path) -> None:
    run(f"record:{tmp_path}?fps=5", [camera(1 + i / 30) for i in range(90)])
    (path,) = files(tmp_path)
    assert probe(path)["pictures"] == pytest.approx(15, abs=1)


def test_size_is_kept_to_and_the_newest_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (96, 160, 3), dtype=np.uint8) for _ in range(4)]
    packets = [camera(1 + i / 4, image=noise[i % 4]) for i in range(400)]
    run(f"record:{tmp_path}?segment=2s&codec=jpeg&size=600K&free=0", packets)
    kept = files(tmp_path)
    assert sum(path.stat().st_size for path in kept) <= 600 << 10 and len(kept) > 4
    assert kept[-1].name > time.strftime("segment-%H%M%S.mp4", time.localtime(WALL + 90))


def test_a_disk_without_room_stops_keeping_and_says_so(tmp_path: Path) -> None:
    sink, listener = run(f"record:{tmp_path}?free=1000T", [camera(1 + i / 10) for i in range(30)])
    assert sink.trouble.startswith("nothing is kept: less than 1e+03 TB free on the disk of")
    assert sum("nothing is kept" in line for line in listener.reports) == 1 and files(tmp_path) == []


def test_a_disk_that_fills_and_has_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie_module, "_RETRY_SECONDS", 0.0)
    add, calls = Mp4Writer.add, itertools.count()

    def full(self: Mp4Writer, *args: object) -> None:
        if 10 <= next(calls) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Mp4Writer, "add", full)
    sink, listener = run(f"record:{tmp_path}?free=0", [camera(1 + i / 10) for i in range(60)])
    assert sink.trouble == ""
    assert [line for line in listener.reports[1:] if "No space" in line or "goes on" in line] == [
        f"cannot write to {tmp_path} (No space left on device)",
        f"{tmp_path}: goes on",
    ]
    assert [probe(path)["pictures"] for path in files(tmp_path, "*.mp4")] == [10, 40]


def test_a_folder_deleted_while_running_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movie_module, "_LOOK_SECONDS", 0.0)
    folder = tmp_path / "kept"
    sink, listener = SegmentsSink(sink_uri(f"record:{folder}/?free=0")), Listener()
    sink.start(listener.context(live=False))
    for i in range(20):
        sink.push(camera(1 + i / 10))
    deadline = time.monotonic() + 10
    while not files(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    shutil.rmtree(folder)
    for i in range(20, 50):
        sink.push(camera(1 + i / 10))
    sink.close()
    assert not sink.failed and not sink.trouble
    assert any("somebody deleted it; a new file is begun" in line for line in listener.reports)
    (path,) = files(folder)
    assert probe(path)["pictures"] >= 29


def test_a_folder_that_cannot_be_written_is_one_line_at_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with nobody(), pytest.raises(SinkError, match="name a folder that you may write to") as caught:
        SegmentsSink(sink_uri(f"record:{tmp_path}/kept?segment=5m")).start(Listener().context())
    assert str(caught.value).startswith(f"cannot write to {tmp_path}/kept (Permission denied)")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("segments:", "names no folder"),
        ("record:/tmp/x?segment=0", "too short"),
        ("record:/tmp/x?segment=soon", "expected a duration"),
        ("record:/tmp/x?size=big", "expected a size"),
        ("record:/tmp/x?segmnt=5m", "did you mean 'segment'"),
    ],
)
def test_wrong_options(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SegmentsSink(sink_uri(uri))


def test_what_is_a_folder_and_what_a_file(tmp_path: Path) -> None:
    (tmp_path / "cam.1").mkdir()
    schemes = {"/a/b": "segments", "/a/b.d/": "segments", f"{tmp_path}/cam.1": "segments"}
    schemes |= {"out.mp4": "record", "out.avi": "record"}
    assert {path: sink_uri(f"record:{path}?x=1").scheme for path in schemes} == schemes
    assert sink_uri("out.mp4").scheme == "record"


def test_killed_at_any_moment_only_the_open_file_may_suffer(tmp_path: Path) -> None:
    """SIGKILL, again and again: every file that has its name plays, and so does what the next run keeps."""
    script = """
        import sys, time
        from tests.sinks.film_support import camera, kept_jpeg
        from tests.sinks.support import Listener
        from edgecam.registry import sink_uri
        from edgecam.sinks.segments import SegmentsSink
        sink = SegmentsSink(sink_uri(f"record:{sys.argv[1]}?segment=1s&free=0"))
        sink.start(Listener().context(live=False))
        pictures = [kept_jpeg(i) for i in range(0, 250, 10)]
        print("there", flush=True)
        for i in range(100_000):
            sink.push(camera(1 + i / 20 + float(sys.argv[2]), pictures[i % 25]))
            time.sleep(0.005)
    """
    rng, kept = random.Random(4), []
    for turn in range(4):
        command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(turn * 1000)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None and process.stdout.readline() == "there\n"
            time.sleep(rng.uniform(0.3, 0.9))
            process.send_signal(signal.SIGKILL)
        whole = set(files(tmp_path, "segment-*.mp4"))
        assert set(kept) <= whole  # nothing that was whole is ever lost
        assert len(files(tmp_path, ".*.part")) <= 3  # the open one, and those on their way to a busy disk
        kept = sorted(whole)
    parts = len(files(tmp_path, ".*.part"))
    Store(tmp_path, "segment", lambda *_: None).open()
    after = files(tmp_path)
    assert len(kept) >= 4 and len(kept) <= len(after) <= len(kept) + parts
    assert not files(tmp_path, ".*")
    for path in after:
        seen = probe(path)
        assert seen["pictures"] >= 1 and seen["codec"] == "mjpeg", path


def test_h264_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SinkError, match="needs the ffmpeg program"):
        SegmentsSink(sink_uri(f"record:{tmp_path}/kept?codec=h264")).start(Listener().context())


def test_the_bare_scheme_means_the_same() -> None:
    assert SegmentsSink(parse_uri("segments:/tmp/kept")).name == "segments:/tmp/kept"
