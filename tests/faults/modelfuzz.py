"""What becomes of a damaged model file: refused with one line, run as if nothing were, or a finding.

Each file goes the way of the service: the verifier, the trial in a child process, then contract, interpreter,
head and a few frames. A trial may crash (that is what it is for); what comes after it may not. Children are
forked here, where edgecam starts a fresh interpreter for its trial, and find loaded what each would load
(:func:`warm`): ten thousand files in less than an hour.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgecam import build, registry, tflite
from edgecam.config import Settings
from edgecam.engines import probe, runtimes
from edgecam.errors import EdgecamError
from edgecam.types import Detections, Frame

LIMIT = 60.0  # seconds; a child that takes longer hangs
FINDING = "finding"
_FRAMES = 3


@dataclass(frozen=True)
class Fate:
    """How it ended.

    Attributes:
        what: ``refused`` (a line of edgecam's own), ``refused by the trial`` (the child crashed or hung),
            ``runs``, or :data:`FINDING`.
        detail: the line.
    """

    what: str
    detail: str = ""


def warm() -> None:
    """Load the modules that a child needs before it is forked: half of its time went into that. What a model
    file touches, the interpreter above all, is made in the child alone."""
    importlib.import_module("numpy.random")
    for known in (registry.HEADS, registry.ENGINES):
        for target in known.values():
            importlib.import_module(target.partition(":")[0])


def fate(path: Path, runtime: runtimes.Runtime) -> Fate:
    """Let a service's process take one file."""
    try:
        tflite.load(path)
    except EdgecamError as error:
        return _judged_line(error.message)
    except Exception as error:
        return Fate(FINDING, f"the verifier: {type(error).__name__}: {error}")
    trial = in_child(lambda: _trial(path, runtime))
    if trial is None:
        return Fate("refused by the trial")
    served = in_child(lambda: _serve(path, runtime))
    if served is None:
        return Fate(FINDING, "the trial passed, the service crashed or hung")
    kind, _, detail = served.partition(" ")
    return {"refused": _judged_line(detail), "runs": Fate("runs")}.get(kind, Fate(FINDING, detail))


def _judged_line(text: str) -> Fate:
    clean = text.isprintable() and len(text) < 2000
    return Fate("refused" if clean else FINDING, text if clean else f"not one clean line: {text[:200]!r}")


def _trial(path: Path, runtime: runtimes.Runtime) -> str:
    probe.confine()
    with contextlib.suppress(EdgecamError):
        probe.attempt(runtime, path, 1, "", {})
    return "done"


def _serve(path: Path, runtime: runtimes.Runtime) -> str:
    """What ``edgecam run`` does with it; the trial is over."""
    probe.ensure_harmless = lambda *args: None
    try:
        model = build.load_model(Settings(model=str(path), runtime=runtime.name, threads=1))
        chance = np.random.default_rng(0)
        for _ in range(_FRAMES):
            rgb = chance.integers(0, 256, (120, 160, 3), np.uint8)
            result = model.run(Frame(0, rgb))
            if isinstance(result, Detections) and not np.isfinite(result.xyxy).all():
                return f"{FINDING} a box is not finite"
    except EdgecamError as error:
        return f"refused {error.message}"
    except BaseException as error:  # the service has no better net either
        return f"{FINDING} {type(error).__name__}: {error}"
    texts = (*model.spec.labels, model.spec.name, model.spec.version)
    bad = [label for label in texts if label and not label.isprintable()]
    return f"{FINDING} {bad[0]!r} would be shown as it is" if bad else "runs"


def in_child(work: Callable[[], str], limit: float = LIMIT) -> str | None:
    """The answer of ``work`` in a forked child; None if it crashed or hung."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            cv2.setNumThreads(1)
            os.write(writer, json.dumps(work()[:5000]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    answer = b""
    deadline = time.monotonic() + limit
    os.set_blocking(reader, True)
    late = False
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
            late = True
            break
        part = os.read(reader, 65536)
        if not part:
            break
        answer += part
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if late or not os.WIFEXITED(status) or not answer:
        return None
    return str(json.loads(answer))
