"""The whole program on real things: a real video, a real page in a real browser, the bundled models."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.browser.driver import Browser
from tests.e2e.command import Running, edgecam

FRAMES = 200
COUNT = "return document.querySelector('#frames').textContent"
PIXELS = """
const c = document.querySelector('#picture'), g = c.getContext('2d');
return Array.from(g.getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 997 == 0))"""


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a recording's video stream."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: apt install ffmpeg")
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stream: dict[str, Any] = json.loads(done.stdout)["streams"][0]
    return stream


@pytest.mark.ffmpeg
def test_a_real_video_to_a_real_recording_and_json_lines(real: Path, tmp_path: Path) -> None:
    video = real / "one-by-one-person-detection.mp4"
    out = tmp_path / "out.mp4"
    done = edgecam(
        "run",
        video,
        "--max-frames",
        FRAMES,
        "--sink",
        f"record:{out}",
        "--sink",
        "jsonl:-",
        "--class",
        "person",
    )
    assert done.returncode == 0, done.stderr
    lines = rows(done.stdout)
    assert [line["seq"] for line in lines] == list(range(FRAMES))
    assert lines[-1]["media_time"] == pytest.approx((FRAMES - 1) / 10, abs=0.01)
    seen = [bool(line["detections"]) for line in lines]
    assert 0.1 < sum(seen) / FRAMES < 0.95  # people cross one after another, with gaps between them
    assert all(d["label"] == "person" for line in lines for d in line["detections"])
    stream = probe(out)
    assert (stream["width"], stream["height"]) == (768, 432)
    assert float(stream["duration"]) == pytest.approx(FRAMES / 10, abs=0.3)


def test_two_runs_over_a_file_say_the_same(real: Path) -> None:
    video = real / "one-by-one-person-detection.mp4"
    arguments = ("run", video, "--max-frames", 60, "--sink", "jsonl:-")
    first, second = (
        [(r["seq"], r["media_time"], r["detections"]) for r in rows(edgecam(*arguments).stdout)]
        for _ in range(2)
    )
    assert len(first) == 60 and first == second


@pytest.mark.browser
def test_the_page_shows_a_changing_picture_with_boxes_where_the_truth_is(tmp_path: Path) -> None:
    with Running("run", "demo:", "--sink", "web:?port=0", "--sink", "jsonl:-") as run:
        with Browser(tmp_path / "profile") as browser:
            browser.resize(1280, 720)
            browser.open(run.url() + "/")
            browser.wait("the cat is named", lambda: "cat" in browser.text("#results"))
            browser.wait("the person is named", lambda: "person" in browser.text("#results"))
            browser.wait("a picture", lambda: max(browser.run(PIXELS)[::4]) > 0)
            first = np.array(browser.run(PIXELS), np.int16)
            seen = int(browser.run(COUNT).replace(",", "") or 0)
            browser.wait("more frames", lambda: int(browser.run(COUNT).replace(",", "")) > seen + 10)
            second = np.array(browser.run(PIXELS), np.int16)
            assert first.size == second.size > 1000
            assert np.abs(first - second).mean() > 1
            # The one warning allowed is about this test's own reading of the canvas.
            assert [c for c in browser.complaints() if "willReadFrequently" not in c] == []
        assert run.end(signal.SIGTERM) == 0
    boxes = [d["box"] for line in rows("\n".join(run.out)) for d in line["detections"] if d["label"] == "cat"]
    assert len(boxes) > 10


def test_boxes_move_smoothly_with_the_scene() -> None:
    done = edgecam("run", "demo:?frames=120&size=960x540", "--class", "cat", "--sink", "jsonl:-")
    assert done.returncode == 0, done.stderr
    centres = [
        (box[0] + box[2]) / 2
        for line in rows(done.stdout)
        for box in [d["box"] for d in line["detections"]][:1]
    ]
    assert len(centres) > 60
    steps = np.abs(np.diff(centres))
    assert np.ptp(centres) > 20 and np.median(steps) < 12


@pytest.mark.parametrize(
    ("model", "key"), [("detect-coco", "detections"), ("classify-person", "classes"), ("face", "detections")]
)
def test_every_bundled_model_runs(model: str, key: str) -> None:
    done = edgecam("run", "demo:?frames=75", "--model", model, "--sink", "jsonl:-")
    assert done.returncode == 0, done.stderr
    lines = rows(done.stdout)
    assert len(lines) == 75
    assert any(line[key] for line in lines)


def test_pictures_come_back_annotated(real: Path, tmp_path: Path) -> None:
    done = edgecam("image", real / "bus.jpg", real / "cat_720p.jpg", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    bus, cat = json.loads(done.stdout)["pictures"]
    assert {"bus", "person"} <= {d["label"] for d in bus["detections"]}
    best = cat["detections"][0]
    assert best["label"] == "cat"
    truth = np.array([0.09, 0.13, 0.71, 0.98]) * [1280, 720, 1280, 720]
    assert np.abs(np.array(best["box"]) - truth).max() < 80
    before, after = cv2.imread(str(real / "cat_720p.jpg")), cv2.imread(cat["annotated"])
    assert before.shape == after.shape
    changed = np.abs(before.astype(int) - after).max(axis=2) > 60
    x1, y1, x2, y2 = (int(v) for v in best["box"])
    assert changed[y1 : y1 + 4, x1:x2].mean() > 0.3 or changed[y2 - 4 : y2, x1:x2].mean() > 0.3
    assert changed[y1 + 60 : y2 - 60, x1 + 60 : x2 - 60].mean() < 0.2


def test_a_fake_engine_needs_no_interpreter() -> None:
    done = edgecam("run", "synthetic:?frames=30", "--engine", "fake", "--sink", "jsonl:-")
    assert done.returncode == 0, done.stderr
    assert len(rows(done.stdout)) == 30


def test_the_page_asks_for_a_token_when_the_network_can_see_it() -> None:
    with Running("run", "demo:", "--listen", "0.0.0.0:0", "--sink", "web:") as run:
        line = run.wait_for("token=")
        assert len(line.split("token=")[1].split()[0]) >= 16
        assert run.end(signal.SIGTERM) == 0
