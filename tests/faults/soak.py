"""``python -m tests.faults.soak --minutes 120``: a run at full speed while faults come, and what it holds.

The camera sends rubbish, breaks off and freezes; the accelerator is unplugged and its process killed; viewers
come, hang and go; the folder of recordings is deleted. Open files, threads, children and resident memory are
noted every ten seconds; a table shows them by tenths of the time. Exit code 1 if they grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.e2e.command import Running
from tests.engines.conftest import SOURCE as STANDIN
from tests.faults.test_streams import MODEL, faults
from tests.faults.watched import Held, Watched, children, held
from tests.helpers.http_camera import HttpCamera, Request

TELL = 60.0  # seconds from one line of what it holds to the next
ALLOWED = Held(files=4, threads=2, children=0, memory=15)  # growth from the second to the last tenth


class Faults:
    """Makes one fault after another, at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.gone = folder / "gone"
        self.kept = folder / "kept"
        self.frozen = threading.Event()
        self.run: Running | None = None
        self.page = ("127.0.0.1", 0)
        self._hanging: list[socket.socket] = []

    def stream(self, request: Request) -> None:
        """The camera: as fast as it is read, now and then broken off or silent."""
        request.start("multipart/x-mixed-replace; boundary=frame")
        for _, body in faults(self.chance):
            if self.chance.random() < 0.0005:
                self.counts["stream broken off"] += 1
                return
            if self.frozen.is_set():
                time.sleep(5)
                self.frozen.clear()
            request.send(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + body + b"\r\n")
            time.sleep(0.005)

    def one(self) -> None:
        """The next fault."""
        kinds: list[Callable[[], None]] = [
            self._freeze,
            self._unplug,
            self._kill_accelerator,
            self._hang_viewers,
            self._delete_folder,
        ]
        kind = self.chance.choice(kinds)
        kind()
        self.counts[kind.__name__.strip("_").replace("_", " ")] += 1

    def _freeze(self) -> None:
        self.frozen.set()

    def _unplug(self) -> None:
        self.gone.touch()
        time.sleep(self.chance.uniform(0.5, 3))
        self.gone.unlink()

    def _kill_accelerator(self) -> None:
        assert self.run is not None
        for child in children(self.run.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, self.chance.choice((signal.SIGKILL, signal.SIGSEGV)))

    def _hang_viewers(self) -> None:
        for viewer in self._hanging:
            viewer.close()
        self._hanging = []
        for _ in range(20):
            viewer = socket.create_connection(self.page, 5)
            viewer.sendall(
                b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n" + self.chance.choice((b"\r\n", b""))
            )
            self._hanging.append(viewer)

    def _delete_folder(self) -> None:
        shutil.rmtree(self.kept, ignore_errors=True)


def soak(minutes: float, seed: int, every: float) -> tuple[list[Held], Counter[str], dict[str, object]]:
    """What the run held after each fault, the faults made, its last status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "libstandin.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, STANDIN], check=True)
        making = Faults(folder, seed)
        delegate = f"{library}?claim=all&gone={making.gone}"
        sinks = [
            "web:?port=0",
            f"jsonl:{folder}/results.jsonl?size=1M",
            f"record:{making.kept}/?segment=10s&size=20M",
        ]
        command: list[object] = ["--model", MODEL, "--delegate", delegate]
        for sink in sinks:
            command += ["--sink", sink]
        with HttpCamera(cam=making.stream) as camera, Running("run", camera.url("cam"), *command) as run:
            watched = Watched(run)
            address = urllib.parse.urlsplit(watched.url)
            making.run, making.page = run, (str(address.hostname), int(address.port or 80))
            seen: list[Held] = []
            told = time.monotonic()
            end = told + minutes * 60
            while time.monotonic() < end:
                due = time.monotonic() + every
                making.one()
                time.sleep(max(0.0, due - time.monotonic()))
                if run.process.poll() is not None:
                    raise SystemExit(f"it ended with {run.process.returncode}:\n" + "\n".join(run.err[-20:]))
                seen.append(held(run.process.pid))
                if time.monotonic() >= told + TELL:
                    told = time.monotonic()
                    left = (end - told) / 60
                    print(f"{minutes - left:.0f} min {seen[-1]}", file=sys.stderr, flush=True)
            making.frozen.clear()
            watched.results_go_on()  # by now the accelerator is tried again after ten minutes only
            status = watched.status()
            assert run.end(signal.SIGTERM) == 0
            return seen, making.counts, status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=10, help="seconds from one fault to the next")
    options = parser.parse_args()
    seen, counts, status = soak(options.minutes, options.seed, options.every)
    print(
        f"{options.minutes:g} minutes, {status['frames']} results, {status['broken']} broken pictures skipped"
    )
    print("; ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))
    print("| tenth | files | threads | children | memory MB |\n| ---: | ---: | ---: | ---: | ---: |")
    size = max(1, len(seen) // 10)
    tenths = [seen[at : at + size] for at in range(0, size * 10, size)]
    medians = []
    for number, tenth in enumerate(filter(None, tenths), 1):
        values = [
            statistics.median(getattr(h, f) for h in tenth)
            for f in ("files", "threads", "children", "memory")
        ]
        medians.append(values)
        print(f"| {number} | {values[0]:.0f} | {values[1]:.0f} | {values[2]:.0f} | {values[3]:.0f} |")
    grown = [last - first for first, last in zip(medians[min(1, len(medians) - 1)], medians[-1], strict=True)]
    allowed = (ALLOWED.files, ALLOWED.threads, ALLOWED.children, ALLOWED.memory)
    return int(any(more > most for more, most in zip(grown, allowed, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
