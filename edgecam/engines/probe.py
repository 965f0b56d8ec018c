"""Trying a model or a delegate in a child process, so that a crash is a message and not the end.

Two things can bring the process down: a model that is well-formed but senseless (see :mod:`edgecam.tflite`),
and a delegate library built for another interpreter (Google's libedgetpu with newer ones). The child makes
the interpreter, allocates and runs once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgecam import resources
from edgecam.engines import runtimes
from edgecam.errors import EdgecamError, ModelError

log = logging.getLogger(__name__)

TIMEOUT = 120.0  # seconds; a large model on a small board needs several
ROOT = str(Path(__file__).resolve().parents[2])
_CODE = "import sys; sys.path.append(sys.argv[1]); from edgecam.engines.probe import child; child()"


@dataclass(frozen=True)
class Request:
    """What to try; the fields are those of :class:`edgecam.engines.session.Session`."""

    runtime: str
    model: Path
    threads: int
    library: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """How it went.

    Attributes:
        error: one line, "" if it worked.
        crashed: the child died or hung.
    """

    error: str = ""
    crashed: bool = False


def run(request: Request) -> Verdict:
    """Try it in a child process."""
    payload = json.dumps({**asdict(request), "model": str(request.model)})
    what = f"the delegate {request.library}" if request.library else "the interpreter"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CODE, ROOT],
            input=payload.encode(),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(f"{what} did not answer within {TIMEOUT:.0f} s", crashed=True)
    log.debug(
        "probe of %s under %s: %s", request.model, request.runtime, done.stderr.decode("utf-8", "replace")
    )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return Verdict(f"{what} crashed under {request.runtime} ({name})", crashed=True)
    try:
        return Verdict(str(json.loads(done.stdout)["error"]))
    except (ValueError, KeyError, TypeError):
        return Verdict(f"{what} ended its process (exit code {done.returncode})", crashed=True)


def child() -> None:
    """The child's main function: a request on standard input, a verdict on standard output."""
    confine()
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print what they like
    request = json.load(sys.stdin)
    error = ""
    try:
        runtime = runtimes.load(request["runtime"])
        attempt(runtime, Path(request["model"]), request["threads"], request["library"], request["options"])
    except EdgecamError as problem:
        error = problem.message
    os.write(answers, json.dumps({"error": error}).encode())
    os.close(answers)
    # Some delegates crash when they are taken down in an order they do not expect; that is no finding.
    os._exit(0)


def confine() -> None:
    """Take from this process what a stranger's model must not have: core dumps, large files, more memory
    than there is, new rights by programs it might start. If memory runs out, it is the first to go."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_CHATTER, _CHATTER))
    limit = _memory()
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_CHATTER = 2**20  # bytes: what libraries print is held in a temporary file


def _memory() -> int:
    """Bytes of addresses that the process may have: what it has now, and as much as is free. 0 if unknown."""
    try:
        free = Path("/proc/meminfo").read_text(encoding="ascii")
        own = Path("/proc/self/statm").read_text(encoding="ascii")
        available = next(line for line in free.splitlines() if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024 + int(own.split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, StopIteration, ValueError):
        return 0


def attempt(
    runtime: runtimes.Runtime, model: Path, threads: int, library: str, options: Mapping[str, str]
) -> None:
    """Load a model and run it on black, without a delegate also on white and on noise: what crashes a kernel
    may hang on the pixels.

    Raises:
        EdgecamError: it cannot be used, for a reason that the runtime tells.
    """
    import numpy as np

    from edgecam import tflite
    from edgecam.engines.session import Session

    session = Session(runtime, tflite.load(model).data, threads, library, options)  # runs on zeros
    if library:
        return
    shape, dtype = session.input.shape, session.input.dtype
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for picture in (np.full(shape, 255, np.uint8), noise):
        session.run(picture.view(dtype) if dtype.itemsize == 1 else picture.astype(dtype))


_harmless: set[Path] = set()  # what was tried by this process: a file's mark cannot be kept everywhere


def ensure_harmless(data: bytes, runtime: runtimes.Runtime, path: Path, threads: int) -> None:
    """Try a file once in a child process, unless it is one of edgecam's own, unchanged, or was tried before.

    Only crashes are reported: what fails in an orderly way does so here too, with a better message.

    Raises:
        ModelError: the file crashes the interpreter.
    """
    digest = hashlib.sha256(data).hexdigest()
    if _is_bundled(path, digest):
        return
    mark = _marks() / hashlib.sha256(f"{digest} {runtime.label}".encode()).hexdigest()
    if mark in _harmless or mark.exists():
        return
    verdict = run(Request(runtime.name, path, threads))
    if verdict.crashed:
        raise ModelError(
            f"{path}: {verdict.error}", "download or convert the model again, or try another --runtime"
        )
    if not verdict.error:
        _harmless.add(mark)
        with contextlib.suppress(OSError):  # a read-only home costs one try at each start
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _is_bundled(path: Path, digest: str) -> bool:
    """Whether the file travels with edgecam and is what its card says; memory cards do rot."""
    try:
        own = path.resolve().parent == resources.folder("models").resolve()
        return own and digest in path.with_suffix(".md").read_text(encoding="utf-8")
    except OSError:
        return False


def _marks() -> Path:
    """Folder of empty files named after what has been tried; systemd's cache folder in a service."""
    base = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "edgecam" / "harmless"
