"""Calling a function in a child process that may crash, hang or eat memory without harm to anybody else.

What a probe loads is what is suspected of being broken: an interpreter built for another NumPy, a delegate
library that segfaults, a driver that blocks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds; a first import from a slow card takes ten
MEMORY = 1 << 30  # bytes of private memory; a detector with OpenCV needs a quarter of that
_ROOT = str(Path(__file__).resolve().parents[2])
_CODE = "import sys; sys.path.append(sys.argv[1]); from edgecam.doctor.isolated import child; child()"


@dataclass(frozen=True)
class Outcome:
    """How a call went.

    Attributes:
        value: what the function returned, as plain values; None if it failed.
        error: what went wrong, one line; "" if it worked.
        remedy: what to do about it, if the error says so.
        kind: the exception's class, "" if it was none.
        crashed: the child died or hung.
    """

    value: Any = None
    error: str = ""
    remedy: str = ""
    kind: str = ""
    crashed: bool = False


def call(
    function: str, arguments: Mapping[str, Any], *, timeout: float = TIMEOUT, memory: int = MEMORY
) -> Outcome:
    """Call ``module:function`` in a child.

    Args:
        function: of this package; returns plain values.
        arguments: plain values.
        timeout: seconds after which it is killed.
        memory: bytes it may allocate.
    """
    request = {"function": function, "arguments": dict(arguments), "memory": memory}
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _CODE, _ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = child.communicate(json.dumps(request).encode(), timeout=timeout)
    except subprocess.TimeoutExpired:
        return Outcome(error=f"did not answer within {timeout:g} s", crashed=True)
    finally:
        _end(child)
    log.debug("%s: exit %s, %s", function, child.returncode, err.decode("utf-8", "replace").strip())
    return _outcome(child.returncode, out, err)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child and its children; Ctrl-C comes by here too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _outcome(code: int, out: bytes, err: bytes) -> Outcome:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return Outcome(error=f"crashed ({name})", crashed=True)
    try:
        answer = json.loads(out)
        return Outcome(
            answer["value"], str(answer["error"]), str(answer["remedy"]), str(answer["kind"]), crashed=False
        )
    except (ValueError, KeyError, TypeError):
        words = err.decode("utf-8", "replace").strip().splitlines()
        last = f": {words[-1][:200]}" if words else ""
        return Outcome(error=f"ended its process (exit code {code}){last}", crashed=True)


def child() -> None:
    """The child's main function: a request on standard input, an outcome on standard output."""
    request = json.load(sys.stdin)
    _confine(int(request["memory"]))
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print what they like
    answer: dict[str, Any] = {"value": None, "error": "", "remedy": "", "kind": ""}
    try:
        module, _, name = request["function"].partition(":")
        answer["value"] = getattr(importlib.import_module(module), name)(**request["arguments"])
    except EdgecamError as error:
        answer |= {"error": error.message, "remedy": error.remedy, "kind": type(error).__name__}
    except MemoryError:
        bound = int(request["memory"]) >> 20
        answer |= {"error": f"needs more than {bound} MB of memory", "kind": "MemoryError"}
    except BaseException as error:  # libraries that were compiled for others fail in many ways
        text = " ".join(str(error).split()) or type(error).__name__
        answer |= {"error": text, "kind": type(error).__name__}
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(answers, data) :]
    # Some libraries crash when they are taken down; that is no finding.
    os._exit(0)


def _confine(memory: int) -> None:
    """A bound on memory, no core file, and first in line if the kernel must kill something."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    memory = min(memory, sys.maxsize)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard < 0 else min(memory, hard), hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
