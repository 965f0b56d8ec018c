"""The whole program with secrets in everything that takes one: they are seen nowhere."""

from __future__ import annotations

import base64
import contextlib
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from edgecam import resources
from tests.e2e.command import Running, edgecam
from tests.faults.watched import children
from tests.helpers.broker import Broker, listening, running, users
from tests.helpers.http_camera import HttpCamera, behind_basic, hang, mjpeg
from tests.helpers.rtsp import RtspServer
from tests.helpers.waiting import until

PAGE = "S3CRET-page"
CAMERA, BROKER = "S3CR@T/cam", "S3CR@T:broker"  # what has a meaning in an address must be escaped there
LOGIN = base64.b64encode(f"viewer:{CAMERA}".encode())
ENDLESS = ("/stream.mjpg", "/live", "/events")


def test_a_camera_with_a_password_a_page_with_a_token_and_what_is_kept(tmp_path: Path) -> None:
    """A camera that wants a password, three sinks, all endpoints, the log at its most talkative."""
    settings = tmp_path / "edgecam.toml"
    kept = tmp_path / "kept"
    with HttpCamera(camera=behind_basic(mjpeg(60, then=hang))) as camera:
        address = camera.url("camera", "viewer:p%3Ass%40w%2Frd@") + "?token=S3CRET-cam"
        settings.write_text(
            f'source = "{address}"\ntoken = "S3CRET-page"\nlisten = "127.0.0.1:0"\n'
            f'sinks = ["web:", "jsonl:{kept}/all.jsonl", "record:{kept}/film.mp4"]\nlog_level = "debug"\n'
        )
        settings.chmod(0o600)
        kept.mkdir()
        with Running("run", "--config", settings, "-vv", "--debug") as run:
            url = run.wait_for("page: http").split()[1].rstrip("/")
            headers = {"authorization": "Bearer S3CRET-page"}
            paths = ("", "api/status", "api/scene", "api/settings", "api/cameras", "api/session", "metrics")
            shown = [httpx.get(f"{url}/{path}", headers=headers).text for path in (*paths, "healthz")]
            with httpx.stream("GET", f"{url}/events", headers=headers, timeout=20) as events:
                lines = events.iter_lines()
                shown += [next(lines) for _ in range(12)]
            httpx.get(f"{url}/?token=S3CRET-wrong")
            run.end(signal.SIGTERM)
        texts = [*run.err, *run.out, *shown]
        assert any("***@127.0.0.1" in text for text in texts)  # the source is named, without its password
        files = [path for path in kept.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} == {".jsonl", ".mp4"}
        blob = b"\n".join([*(text.encode() for text in texts), *(path.read_bytes() for path in files)])
        for secret in (b"p:ss@w/rd", b"p%3Ass", b"cDpzc0B3", b"S3CRET"):
            assert secret not in blob


@pytest.mark.rtsp
@pytest.mark.mosquitto
def test_an_rtsp_camera_and_a_broker_with_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in the addresses themselves, and a stranger's model, so that a child process is started too: in
    what is printed, served, published, kept, and seen of the processes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model, kept = tmp_path / "model.tflite", tmp_path / "kept"
    shutil.copy(resources.bundled_model("classify-person"), model)
    with (
        RtspServer("viewer", CAMERA) as server,
        running(tmp_path, users(tmp_path, "me", BROKER), anonymous=False) as broker,
        listening(broker.port, user="me", password=BROKER) as watcher,
    ):
        settings = written(tmp_path / "edgecam.toml", server, broker, model, kept, CAMERA, BROKER)
        with Running("run", "--config", settings, "-vv", "--debug") as run, command_lines(run) as seen:
            url = run.wait_for("page: http").split()[1].rstrip("/")
            until("an event is told", lambda: any("/event/" in topic for topic, *_ in watcher.heard), 60)
            shown = [*asked(url), httpx.get(f"{url}/?token=S3CRET-wrong").text]
            server.kill()
            broker.freeze()
            until("the camera is missed", lambda: "not reach" in " ".join(run.err) or "lost" in status(url))
            broker.thaw()
            shown += asked(url)
            assert run.end(signal.SIGTERM) == 0
        server.start()
        texts = [*run.out, *run.err, *shown, *told(settings), *refused(tmp_path, server, broker, model)]
        published = [topic.encode() + body for topic, body, _ in watcher.heard]
    assert any("rtsp://***@127.0.0.1" in text for text in texts)
    assert any(b"-c" in line for line in seen)  # the child that tried the model was seen
    files = [path for folder in (kept, tmp_path / "state", tmp_path / "cache") for path in folder.rglob("*")]
    files = [path for path in files if path.is_file()]
    assert {path.suffix for path in files} >= {".jsonl", ".mp4", ".jpg"}
    parts = [*(text.encode() for text in texts), *published, *seen, *(path.read_bytes() for path in files)]
    for number, part in enumerate(parts):
        assert b"S3CR" not in part and LOGIN not in part, (number, part[:2000])


def written(
    path: Path, server: RtspServer, broker: Broker, model: Path, kept: Path, camera: str, word: str
) -> Path:
    """Settings with these passwords."""
    source = server.url(f"viewer:{quote(camera, safe='')}@")
    mqtt = f"mqtt://me:{quote(word, safe='')}@{broker.address}/?snapshot=1s&every=1s&homeassistant=yes"
    path.write_text(
        f"source = '{source}'\nmodel = '{model}'\ntoken = '{PAGE}'\nlisten = '127.0.0.1:0'\n"
        f"log_level = 'debug'\nsinks = ['web:', '{mqtt}', 'jsonl:{kept}/all.jsonl', "
        f"'record:{kept}/?segment=1s', 'snapshots:{kept}']\n"
        "[[rule]]\nname = 'anybody'\nmin_score = 0.01\ncooldown = 0\n"
    )
    path.chmod(0o600)
    path.with_name("kept").mkdir(exist_ok=True)
    return path


@contextlib.contextmanager
def command_lines(run: Running) -> Iterator[set[bytes]]:
    """What a list of processes shows of a run's children while they live, looked up again and again."""
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            pids = [run.process.pid]
            for pid in pids:
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
                    pids += children(pid)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def asked(url: str) -> list[str]:
    """What every address of the page answers to a GET, and the first lines of the streams of text."""
    headers = {"authorization": f"Bearer {PAGE}"}
    known = httpx.get(f"{url}/openapi.json", headers=headers).json()["paths"]
    paths = [
        path for path, ways in known.items() if "get" in ways and "{" not in path and path not in ENDLESS
    ]
    assert len(paths) > 12
    answers = [httpx.get(url + path, headers=headers, timeout=20) for path in paths]
    shown = [f"{answer.headers} {answer.text}" for answer in answers]
    with httpx.stream("GET", f"{url}/events", headers=headers, timeout=20) as events:
        lines = events.iter_lines()
        return [*shown, *(next(lines) for _ in range(6))]


def status(url: str) -> str:
    return httpx.get(f"{url}/api/status", headers={"authorization": f"Bearer {PAGE}"}).text


def told(settings: Path) -> list[str]:
    """What other commands say of the same settings."""
    ways = (["config", "--json"], ["config", "--toml"], ["doctor"])
    runs = [edgecam(*way, "--config", settings, "--debug", "-vv") for way in ways]
    assert all(done.stdout for done in runs)
    return [text for done in runs for text in (done.stdout, done.stderr)]


def refused(folder: Path, server: RtspServer, broker: Broker, model: Path) -> list[str]:
    """What is said of wrong passwords: of the camera's at once, of the broker's in the log."""
    kept = folder / "kept"
    settings = written(folder / "wrong.toml", server, broker, model, kept, "S3CRET-wrong", "S3CRET-wrong")
    done = edgecam("run", "--config", settings, "-vv", "--debug")
    assert done.returncode == 1 and "wrong user or password" in done.stderr
    with Running("run", "synthetic:?fps=5", "--config", settings, "-vv", "--debug") as run:
        run.wait_for("password")
        run.end(signal.SIGTERM)
    return [done.stdout, done.stderr, *run.out, *run.err]
