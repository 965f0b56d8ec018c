"""Starts, freezes and kills the RTSP server of rtsp_server.py."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)
_CHECK = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [n for n in ("videotestsrc", "x264enc", "rtph264pay") if not Gst.ElementFactory.find(n)]
raise SystemExit(bool(missing))
"""


class RtspServer:
    """A server process on 127.0.0.1. Skips the test where GStreamer's RTSP server is not installed.

    Args:
        through: a command that runs it elsewhere: in another network.
    """

    def __init__(
        self, user: str = "", password: str = "", digest: bool = False, through: Sequence[str] = ()
    ) -> None:
        if (
            not Path(PYTHON).exists()
            or subprocess.run([PYTHON, "-c", _CHECK], capture_output=True).returncode
        ):
            pytest.skip(f"GStreamer's RTSP server is not installed: apt install {PACKAGES}")
        self._login = ["--user", user, "--password", password, *(["--digest"] if digest else [])]
        self._through = through
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def url(self, login: str = "", path: str = "cam") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Start it, again at the port that it had."""
        command = [
            *self._through,
            PYTHON,
            str(Path(__file__).with_name("rtsp_server.py")),
            "--port",
            str(self.port),
        ]
        login = self._login if self._login[1] else []
        self._process = subprocess.Popen(
            [*command, *login], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.kill()
