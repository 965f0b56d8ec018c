"""What the firmware of a Raspberry Pi knows of power and heat, and the kernel does not."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Firmware:
    """``vcgencmd get_throttled``: what the firmware of a Raspberry Pi knows, and the kernel does not.

    Args:
        program: by name or path; not there means not a Raspberry Pi, or not installed.
        every: seconds between two questions of :meth:`poll`.
        clock: monotonic seconds.

    Attributes:
        problem: why it did not answer, "" if it did or is not there.
    """

    PATIENCE = 3.0  # seconds that an answer may take

    def __init__(
        self, program: str = "vcgencmd", every: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.problem = ""
        self._path = shutil.which(program)
        self._every = every
        self._clock = clock
        self._process: subprocess.Popen[str] | None = None
        self._asked_at = -every
        self._bits: int | None = None

    @property
    def present(self) -> bool:
        return self._path is not None

    def ask(self) -> int | None:
        """Ask and wait; the bits, or None with ``problem``."""
        if self._path is None:
            return None
        try:
            process = self._start(self._path)
            out, _ = process.communicate(timeout=self.PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return self._fail(f"no answer within {self.PATIENCE:g} s")
        except OSError as error:
            return self._fail(error.strerror or str(error))
        return self._answer(out)

    def poll(self) -> int | None:
        """The newest bits known; asks every so often and never waits. None before the first answer."""
        now = self._clock()
        if self._process is not None:
            self._collect(self._process, now)
        elif self._path is not None and now - self._asked_at >= self._every:
            self._asked_at = now
            try:
                self._process = self._start(self._path)
            except OSError as error:
                self._bits = self._fail(error.strerror or str(error))
        return self._bits

    def close(self) -> None:
        """End a question that is still open."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _collect(self, process: subprocess.Popen[str], now: float) -> None:
        if process.poll() is None:
            if now - self._asked_at > self.PATIENCE:
                self._bits = self._fail(f"no answer within {self.PATIENCE:g} s")
                self.close()
            return
        self._process = None
        self._bits = self._answer(process.communicate()[0])

    @staticmethod
    def _start(path: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [path, "get_throttled"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )

    def _answer(self, out: str) -> int | None:
        match = re.search(r"throttled=0x([0-9a-fA-F]{1,8})\b", out)
        if match is None:
            return self._fail(" ".join(out.split())[:120] or "no answer")
        self.problem = ""
        return int(match[1], 16)

    def _fail(self, problem: str) -> int | None:
        if problem != self.problem:
            log.debug("vcgencmd: %s", problem)
        self.problem = problem
        return None
