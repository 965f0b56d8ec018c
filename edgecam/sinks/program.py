"""``exec:PROGRAM ARGUMENT``: a program for each step of an event, which stands on its standard input as JSON.

There is no shell: quotes and ``\\`` are read as a shell does, nothing else is. The program gets this one's
environment without ``EDGECAM_...``, where secrets may stand. Its output goes nowhere.

Options:
    rules, phases: names of rules, and of ``start``, ``update``, ``end``; without them all.
    at_once: programs that may run at one time; with 1 they run in the order of the steps.
    timeout: seconds after which one is killed, with all that it has started.
    queue_count: steps that may wait; over it the oldest are dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

from edgecam.envelope import Numbered
from edgecam.errors import SinkError, UsageError
from edgecam.quantities import parse_duration
from edgecam.registry import URI
from edgecam.sinks.base import SinkContext
from edgecam.sinks.choosing import event_options, wanted
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Packet, QueueState

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 16
_LIVE_DRAIN, _FILE_DRAIN = 2.0, 60.0  # seconds for which running programs are waited for at the end


class ExecSink(WorkerSink):
    """Runs a program for each step."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=64)
        self._options = uri.options(
            **event_options(),
            at_once=(_number(_MOST_AT_ONCE), 1),
            timeout=(parse_duration, 30.0),
            queue_count=(_number(1_000_000), 1000),
        )
        try:
            self._command = shlex.split(uri.path)
        except ValueError as error:
            raise UsageError(f"{uri.safe}: {error}", "close the quotes") from error
        if not self._command:
            raise UsageError(f"{uri.safe} names no program", "write exec:/path/of/a/program")
        self._runner: Runner | None = None
        self._message: Numbered | None = None

    @property
    def trouble(self) -> str:
        """How the last program failed, or ""."""
        return "" if self._runner is None else self._runner.trouble

    @property
    def queue(self) -> QueueState:
        return QueueState() if self._runner is None else self._runner.state

    def _open(self, context: SinkContext) -> None:
        program = shutil.which(self._command[0])
        if program is None:
            raise SinkError(f"{self._command[0]} is no program that can be run", "name one, and chmod +x it")
        self._message = Numbered(context.device_id)
        options = self._options
        self._runner = Runner(
            [program, *self._command[1:]], options["at_once"], options["timeout"], options["queue_count"]
        )
        context.report(f"exec: {self._command[0]} for each event")

    def _handle(self, packet: Packet) -> None:
        assert self._runner is not None and self._message is not None and self._context is not None
        for event in packet.events:
            if wanted(event, self._options):
                body = self._message(event, packet.status)
                self._runner.put(body, wait=not self._context.live)

    def _finish(self) -> None:
        if self._runner is not None and self._context is not None:
            self._runner.close(_LIVE_DRAIN if self._context.live else _FILE_DRAIN)


class Runner:
    """Runs a command for each text that is put, on its standard input.

    Args:
        command: the program, and its arguments.
        at_once: how many run at one time.
        timeout: seconds after which one is killed.
        most: texts that may wait.

    Attributes:
        trouble: how the last one failed, or "".
        killed: how many were.
    """

    def __init__(self, command: list[str], at_once: int, timeout: float, most: int) -> None:
        self.trouble = ""
        self.killed = 0
        self._command = command
        self._timeout = timeout
        self._most = most
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._waiting: deque[bytes] = deque()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._size = self._dropped = self._done = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"exec {number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def state(self) -> QueueState:
        with self._changed:
            return QueueState(len(self._waiting), self._size, self._dropped, self._done)

    def put(self, text: bytes, wait: bool = False) -> None:
        """Run it for this soon; a full queue drops its oldest, or waits for room."""
        with self._changed:
            while wait and len(self._waiting) >= self._most:
                self._changed.wait(1.0)
            if len(self._waiting) >= self._most:
                self._size -= len(self._waiting.popleft())
                self._dropped += 1
                log.log(logging.WARNING if self._dropped == 1 else logging.DEBUG, "exec: the queue is full")
            self._waiting.append(text)
            self._size += len(text)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Let what waits and runs end within ``seconds``, then kill it."""
        end = time.monotonic() + seconds
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._size = 0
            left = list(self._running)
        for process in left:
            self.killed += 1
            _kill(process)
        for thread in self._threads:
            thread.join(1.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                text = self._waiting.popleft()
                self._size -= len(text)
                self._changed.notify_all()
            self._run(text)

    def _run(self, text: bytes) -> None:
        name = self._command[0]
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={key: value for key, value in os.environ.items() if not key.startswith("EDGECAM_")},
                start_new_session=True,
            )
        except OSError as error:
            self._ended(f"exec: {name} cannot be run ({error.strerror})")
            return
        with self._changed:
            self._running.add(process)
        try:
            with contextlib.suppress(BrokenPipeError):  # it need not read
                process.communicate(text, timeout=self._timeout)
            code = process.wait(self._timeout)
            self._ended(f"exec: {name} ended with status {code}" if code else "")
        except subprocess.TimeoutExpired:
            self.killed += 1
            _kill(process)
            self._ended(f"exec: {name} took over {self._timeout:g} s and was killed")
        finally:
            with self._changed:
                self._running.discard(process)

    def _ended(self, trouble: str) -> None:
        with self._changed:
            self._done += 1
        if trouble and trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired, OSError, ValueError):
        process.communicate(timeout=5)


def _number(most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise ValueError(f"expected a number from 1 to {most}")
        return int(text)

    return convert
