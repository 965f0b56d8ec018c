"""The child process in which a new model meets the interpreter for the first time."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecam.engines import probe
from edgecam.errors import EdgecamError

ROUNDS = 5  # inferences on black, for the time of one
SLACK = 256 << 20  # bytes of addresses for threads and the allocator, which are no memory yet


def child() -> None:
    """The child's main function: a request on standard input, an answer on standard output."""
    from edgecam import build_model  # noqa: F401 - heavy: what it takes is no need of the model

    request = json.load(sys.stdin)
    probe.confine()
    _limit(int(request["memory"]))
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print what they like
    try:
        answer = examine(Path(request["model"]), request["engine"])
    except EdgecamError as problem:
        answer = {"error": problem.message}
    os.write(answers, json.dumps(answer).encode())
    os.close(answers)
    os._exit(0)


def examine(path: Path, engine: Mapping[str, Any]) -> dict[str, Any]:
    """Load a model and run its golden samples.

    Args:
        engine: the engine's settings, as JSON gives them.

    Returns:
        ``problems``, a line for each sample that is not as promised; ``need``, bytes of memory;
        ``ms``, of one inference; ``device``.

    Raises:
        EdgecamError: it cannot be loaded or run.
    """
    import numpy as np

    from edgecam import build_model, contract, verify
    from edgecam.config import Settings
    from edgecam.types import Frame

    before = anonymous_memory()
    spec = contract.read(path)
    samples = verify.load(path)[1] if spec is not None and spec.golden else ()
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in engine.items()}
    threshold = verify.lowest(samples) if samples else None
    model = build_model.load_model(Settings(model=str(path), threshold=threshold, top_k=1000, **plain))
    outcomes = [
        verify.check(sample, model.run(Frame(n, sample.image)), model.labels)
        for n, sample in enumerate(samples)
    ]
    black = Frame(0, np.zeros((240, 320, 3), np.uint8))
    seconds = []
    for _ in range(ROUNDS):
        model.run(black)
        seconds.append(black.times.inferred - black.times.preprocessed)
        time.sleep(0)
    return {
        "problems": [f"{o.name}: {'; '.join(o.problems)}" for o in outcomes if not o.passed],
        "need": max(0, anonymous_memory() - before),
        "ms": sorted(seconds)[ROUNDS // 2] * 1000,
        "device": model.engine.device,
    }


def anonymous_memory() -> int:
    """Bytes that this process holds and no file backs."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _limit(memory: int) -> None:
    """Give this process no more addresses than a model may take memory, and room for threads."""
    import resource

    if not memory:
        return
    own = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = own + memory + SLACK
    if soft == resource.RLIM_INFINITY or wanted < soft:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
