"""The whole program with secrets in everything that takes one: they are seen nowhere."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from tests.e2e.command import Running
from tests.helpers.http_camera import HttpCamera, behind_basic, hang, mjpeg


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
