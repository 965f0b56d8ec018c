"""Runs the installed `edgecam` as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

EDGECAM = Path(sys.executable).with_name("edgecam")


def environment(home: Path | None = None) -> dict[str, str]:
    """The test's own environment without any EDGECAM_ variable, and with an empty home if one is given."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("EDGECAM_")}
    if home is not None:
        env |= {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
        }
    return env


def edgecam(
    *arguments: object, cwd: Path | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run to the end; output as text."""
    return subprocess.run(
        [str(EDGECAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


class Running:
    """An `edgecam` in the background whose two outputs are gathered line by line."""

    def __init__(self, *arguments: object, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [str(EDGECAM), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._threads = [
            threading.Thread(target=self._gather, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
            if stream is not None
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _gather(stream: IO[str], lines: list[str]) -> None:
        lines.extend(line.rstrip("\n") for line in stream)

    def wait_for(self, text: str, timeout: float = 30) -> str:
        """The first line of either output that holds ``text``; fails with all output if none comes."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in [*self.err, *self.out]:
                if text in line:
                    return line
            if self.process.poll() is not None and not any(t.is_alive() for t in self._threads):
                break
            time.sleep(0.02)
        raise AssertionError(
            f"no line with {text!r}; exit {self.process.poll()}:\n" + "\n".join([*self.err, *self.out])
        )

    def url(self) -> str:
        """Address of the page, from the line that prints it."""
        line = self.wait_for("http://")
        return next(word for word in line.split() if word.startswith("http://")).rstrip("/")

    def end(self, number: int, timeout: float = 20) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for thread in self._threads:
            thread.join(5)
