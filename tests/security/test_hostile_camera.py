"""What a camera that was taken over says of itself, and what comes of it on a terminal and in a log."""

from __future__ import annotations

import logging

import pytest

from edgecam import redact
from edgecam.errors import SourceError
from edgecam.registry import source_uri
from edgecam.sources.httpget import get
from edgecam.sources.network import address, path_of, refusal
from tests.helpers.http_camera import HttpCamera, Request

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


def test_its_reasons_cannot_steer_a_terminal() -> None:
    to = address(source_uri("rtsp://ann:pw@cam/1"))
    said = str(refusal(to, 500, f"no{ESCAPES}\r\nedgecam: all is well" + "x" * 10_000))
    assert said.isprintable() and len(said) < 200


def test_its_redirects_cannot_either_and_take_no_password_elsewhere() -> None:
    def redirect(request: Request) -> None:
        request.wfile.write(
            b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\x1b[2J\x9b31m\r\nContent-Length: 0\r\n\r\n"
        )

    with HttpCamera(camera=redirect) as camera:
        to = address(source_uri(camera.url("camera", "ann:S3CRET@")))
        with pytest.raises(SourceError, match="sends us to") as caught:
            get(to, timeout=5)
    assert str(caught.value).isprintable()
    assert "S3CRET" not in str(caught.value)


def test_a_path_with_controls_is_shown_without_them() -> None:
    assert path_of(address(source_uri("http://cam/a%1b\x1b[2J"))).isprintable()


def test_the_log_holds_no_controls_whoever_wrote_them() -> None:
    record = logging.LogRecord("x", 30, "", 1, "camera says %s", (ESCAPES,), None)
    assert redact.Filter().filter(record)
    assert record.getMessage().isprintable()
