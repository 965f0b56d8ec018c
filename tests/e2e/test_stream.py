"""A real RTSP server, a real camera loss, seen from outside."""

from __future__ import annotations

import json
import signal
import time

import httpx
import pytest

from tests.e2e.command import Running
from tests.helpers.rtsp import RtspServer

pytestmark = pytest.mark.rtsp


def health(url: str) -> tuple[int, str]:
    answer = httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
    return answer.status_code, answer.text


def wait_health(url: str, code: int, timeout: float = 30) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status, text = health(url)
        if status == code:
            return text
        time.sleep(0.1)
    raise AssertionError(f"/healthz did not answer {code} within {timeout} s: {health(url)}")


def test_a_stream_that_dies_is_shown_and_comes_back_by_itself() -> None:
    with RtspServer(user="user", password="geheim") as server:
        source = server.url("user:geheim@")
        with Running("run", source, "--sink", "web:?port=0", "--sink", "jsonl:-") as run:
            url = run.url()
            wait_health(url, 200)
            server.kill()
            assert wait_health(url, 503)
            jpeg = httpx.get(f"{url}/snapshot.jpg", timeout=5, trust_env=False)
            assert jpeg.headers["content-type"] == "image/jpeg" and len(jpeg.content) > 1000
            server.start()
            wait_health(url, 200)
            assert run.end(signal.SIGTERM) == 0
        assert not [line for line in [*run.out, *run.err] if "geheim" in line or "Traceback" in line]
        results = [json.loads(line) for line in run.out]
        assert any("detections" in row for row in results)
        assert any("detections" not in row for row in results)
