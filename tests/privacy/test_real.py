"""Real photographs, the real face model, real streams, a real browser: the faces are gone."""

from __future__ import annotations

import base64
import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from edgecam import build, build_privacy, jpeg
from edgecam.config import Settings
from edgecam.model import Model
from edgecam.sources.images import load_picture
from edgecam.types import Detections, Frame, Image
from tests.browser.driver import Browser, need_chromium
from tests.e2e.command import Running, edgecam
from tests.helpers.http_camera import HttpCamera, Request

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def finder() -> Iterator[Model]:
    """The face model, less choosy than by itself (0.6): with MediaPipe's own threshold."""
    model = build.load_model(replace(Settings(), model="face", threshold=0.5, device="cpu"))
    yield model
    model.engine.close()


def faces(model: Model, image: Image) -> list[float]:
    found = model.run(Frame(0, np.ascontiguousarray(image)))
    assert isinstance(found, Detections)
    return [round(float(score), 2) for score in found.score]


def private(path: Path, **settings: object) -> Image:
    wish = replace(Settings(), **settings)  # type: ignore[arg-type]
    model = build.load_model(wish)
    privacy, face_model = build_privacy.make(wish, model.spec, build.load_model, lambda _: None)
    assert privacy is not None
    raw = Frame(0, load_picture(path))
    frame, _ = privacy.protect(raw, model.run(raw), model.labels)
    image = frame.image
    assert privacy.trouble == "" and privacy.close()
    model.engine.close()
    if face_model is not None:
        face_model.engine.close()
    return image


@pytest.mark.parametrize("style", ["solid", "pixelate"])
def test_no_face_is_found_where_there_were_two(real: Path, finder: Model, style: str) -> None:
    before = load_picture(real / "face.jpg")
    assert max(faces(finder, before)) > 0.9
    after = private(real / "face.jpg", blur=("faces",), blur_style=style)
    assert faces(finder, after) == []
    same = (before == after).all(axis=2).mean()
    assert 0.5 < same < 0.95  # the rest of the picture is as it was


def test_a_light_blur_would_not_do(real: Path, finder: Model) -> None:
    """Why there is none to choose: the model still finds the face."""
    blurred = cv2.GaussianBlur(load_picture(real / "face.jpg"), (0, 0), 3)
    assert max(faces(finder, np.asarray(blurred))) > 0.8


def test_small_faces_are_found_by_a_closer_look_at_persons(real: Path, finder: Model) -> None:
    before = load_picture(real / "bus.jpg")
    after = private(real / "bus.jpg", blur=("faces",))
    heads = {"man in white": (96, 405, 168, 475), "woman in black": (240, 405, 330, 480)}
    for name, (x1, y1, x2, y2) in heads.items():
        # The detector, given the head at a size that it likes, finds it before and not after.
        around = (slice(y1 - 40, y2 + 60), slice(x1 - 40, x2 + 40))
        assert faces(finder, before[around]) != [], name
        assert faces(finder, after[around]) == [], name
    changed = (before != after).any(axis=2)
    assert changed.mean() < 0.02


def test_whole_persons(real: Path) -> None:
    before = load_picture(real / "bus.jpg")
    after = private(real / "bus.jpg", blur=("person",))
    for x, y in ((130, 440), (285, 450), (740, 500)):
        assert not (before[y, x] == after[y, x]).all()
    assert (before[300, 400] == after[300, 400]).all()


def test_the_command_for_pictures(real: Path, tmp_path: Path, finder: Model) -> None:
    done = edgecam("image", real / "face.jpg", "--blur", "faces", "--out", tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["pictures"][0]["detections"]
    (copy,) = tmp_path.iterdir()
    assert faces(finder, jpeg.decode(copy.read_bytes())) == []


def photograph(path: Path) -> bytes:
    """As a camera of 1280x720 would send it."""
    image = load_picture(path)
    scale = 720 / image.shape[0]
    wide = cv2.resize(image, (round(image.shape[1] * scale), 720))
    canvas = np.zeros((720, 1280, 3), np.uint8)
    canvas[:, : wide.shape[1]] = wide[:, :1280]
    return jpeg.encode(canvas, 90)


@pytest.fixture
def camera(real: Path) -> Iterator[str]:
    data = photograph(real / "face.jpg")

    def stream(request: Request) -> None:
        request.start("multipart/x-mixed-replace;boundary=b")
        while not request.camera.closing.is_set():
            request.send(
                b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"
            )
            time.sleep(0.1)

    with HttpCamera(cam=stream) as server:
        yield server.url("cam")


def test_a_live_stream_its_recording_and_its_page_show_no_face(
    camera: str, tmp_path: Path, finder: Model
) -> None:
    kept = tmp_path / "kept"
    arguments = ["--blur", "faces", "-s", "web:?port=0", "-s", f"record:{kept}?segment=2s&codec=jpeg&free=0"]
    with Running("run", camera, *arguments) as run:
        url = run.wait_for("page: ").split()[-1].rstrip("/")
        data = b""
        with httpx.stream("GET", f"{url}/stream.mjpg", timeout=30, trust_env=False) as answer:
            for part in answer.iter_bytes():
                data += part
                if data.count(b"\xff\xd9") >= 8:
                    break
        raw = httpx.get(f"{url}/snapshot.jpg?raw=1", timeout=10, trust_env=False).content
        shot = screenshot(url, tmp_path / "profile")
        assert run.end(signal.SIGTERM) == 0
    pictures = [jpeg.decode(p) for p in re.findall(rb"\xff\xd8\xff.*?\xff\xd9", data, re.DOTALL)]
    live = [image for image in pictures if np.median(image[600:700, 600:760]) > 150]  # a white shirt
    assert len(live) >= 2 and all(faces(finder, image) == [] for image in pictures)
    assert faces(finder, jpeg.decode(raw)) == []
    films = sorted(kept.rglob("*.mp4"))
    recorded = [image for path in films for image in film(path)]
    assert len(recorded) > 5 and all(faces(finder, image) == [] for image in recorded[::5])
    assert faces(finder, shot) == []
    assert shot.std() > 20  # a page with a picture


def film(path: Path) -> Iterator[Image]:
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while True:
        good, image = reader.read()
        if not good:
            return
        yield np.asarray(image[..., ::-1])


def screenshot(url: str, profile: Path) -> Image:
    """What Chromium shows; noise where there is no Chromium."""
    try:
        need_chromium()
    except pytest.skip.Exception:
        return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    with Browser(profile) as browser:
        browser.open(url)
        # A canvas or an image, whichever the page draws into.
        wide = "(e.naturalWidth || e.width) > 600"
        script = f"return [...document.querySelectorAll('canvas, img')].some(e => {wide})"
        browser.resize(1280, 900)
        browser.wait("the picture", lambda: browser.run(script))
        time.sleep(1)
        png = base64.b64decode(browser.cdp("Page.captureScreenshot", format="png")["data"])
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    (profile.parent / "page.png").write_bytes(png)
    return np.asarray(image[..., ::-1])
