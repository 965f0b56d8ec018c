"""One `edgecam run` under watch: its results as they come, its page, and what the process uses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import process

EDGECAM = Path(sys.executable).with_name("edgecam")


@dataclass
class Run:
    """The real command, as a user would start it, with its results on a pipe.

    Attributes:
        began: monotonic seconds when it was started.
        first: seconds until its first result.
        url: of its page, "" without one.
        rows: its results; ``heard`` is when each came out of the pipe.
        said: the last line of its messages.
    """

    process: subprocess.Popen[str]
    began: float
    first: float = 0.0
    url: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    said: str = ""

    @classmethod
    def start(cls, source: str, *flags: str, page: bool = True, web: str = "web:?port=0") -> Run:
        """Start it and wait for its first result.

        Args:
            source, flags: of the command.
            page: with the page, at ``web``.

        Raises:
            SystemExit: it ended before.
        """
        began = time.monotonic()
        command = [str(EDGECAM), "run", source, *flags, "--sink", "jsonl:-"]
        started = subprocess.Popen(
            [*command, *(["--sink", web] if page else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        run = cls(started, began)
        for target in (run._read_results, run._read_messages):
            threading.Thread(target=target, daemon=True).start()
        while not (run.first and (run.url or not page)):
            if started.poll() is not None:
                raise SystemExit(f"edgecam ended with {started.returncode}: {run.said}")
            time.sleep(0.005)
        return run

    def _read_results(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            now = time.monotonic()
            self.first = self.first or now - self.began
            self.rows.append(json.loads(line))
            self.heard.append(now)

    def _read_messages(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said = line.strip()
            found = re.search(r"http://\S+", line) if "page: " in line else None
            self.url = self.url or (found[0].rstrip("/") if found else "")

    def cpu(self) -> float:
        """CPU seconds used so far, all threads."""
        return process.cpu(self.process.pid)

    def memory(self) -> float:
        """Resident MB."""
        return process.memory(self.process.pid)

    def share(self) -> float:
        """Proportional MB: what it shares with others counts in parts."""
        return process.share(self.process.pid)

    def stop(self) -> float:
        """SIGTERM; seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - began
