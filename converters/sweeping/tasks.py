"""What Ray runs on its workers: a variant, a share of its test pictures, the measurement of latencies.

The functions take and give plain values, so they are also called without Ray.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from converters.files import write_whole
from converters.job import Job
from converters.steps.base import Advance
from converters.sweeping import parcel, shares
from converters.sweeping.parcel import Parcel
from converters.sweeping.variants import Variant
from converters.training.chain import CHAIN
from converters.work import Work
from edgecam import __version__
from edgecam.errors import EdgecamError, QualityError, UsageError

LOG = "log.txt"
TOKEN = "sweep.json"
BEGUN = "begun on "
_WAIT = 60  # seconds for a worker that is given up to let go of its folder
_KEPT = (".tflite", ".keras", ".html", ".md", ".json", ".txt", ".png")  # what comes back of a work folder


@dataclass(frozen=True)
class Order:
    """All that a variant's task needs.

    Attributes:
        variant: what is run.
        job: what is converted, with the paths of the sender's machine.
        data: the folder of pictures, None where the steps fetch it; ``place`` is the data within it.
        files: other files that the job names: its key -> content.
        root: the sweep's folder on the sender's machine; ``token`` is in its file :data:`TOKEN`.
        travel: work in a folder of this machine and send the results back, even where ``root`` is shared.
        cpus: threads of a training.
        shard: test pictures of a task.
        version: of the sender.
    """

    variant: Variant
    job: Job
    data: Parcel | None
    place: str
    files: Mapping[str, bytes]
    root: str
    token: str
    travel: bool
    cpus: int
    shard: int
    version: str = __version__


class Log:
    """A report into a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def line(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def warn(self, text: str) -> None:
        self.line(f"warning: {text}")

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        yield lambda done, total: None


def run_trunk(order: Order, trunk: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run what several variants begin with; see :func:`run_variant`.

    Returns:
        ``files``, the packed work folder, and ``last``, the step that is done; or ``error`` and ``remedy``.
    """
    work = Work(_here(order) / "trunks" / order.variant.name)
    log = Log(work.path(LOG))
    log.line(f"{BEGUN}{socket.gethostname()}")
    failed = _caught(log, lambda: _grow(order, work, log, trunk))
    if failed:
        return failed
    chosen = [path for path in parcel.files(work.root) if path.suffix in _KEPT and path.name != LOG]
    return {"files": parcel.pack(work.root, chosen, bytes), "last": order.variant.steps[-1].step}


def run_variant(order: Order, trunk: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run a variant's steps in its own work folder.

    A folder that an earlier try has left there is gone on from.

    Args:
        order: what to do.
        trunk: of :func:`run_trunk`: what the variant begins with.

    Returns:
        ``variant``, ``host``, ``tries``, ``seconds``; ``figures`` of ``evaluate``; ``gate`` that was not met;
        or ``error`` and ``remedy``; ``files``, the packed work folder, where it is not the sender's.
    """
    began = time.monotonic()
    here = _here(order)
    work = Work(here / "variants" / order.variant.name)
    log = Log(work.path(LOG))
    log.line(f"{BEGUN}{socket.gethostname()}")
    found: dict[str, Any] = {"variant": order.variant.name, "host": socket.gethostname()}
    found |= _caught(log, lambda: found.update(_judged(order, work, log, trunk)))
    found["tries"] = work.path(LOG).read_text(encoding="utf-8").count(f" {BEGUN}")
    found["seconds"] = round(time.monotonic() - began, 1)
    if here != Path(order.root):
        chosen = [path for path in parcel.files(work.root) if path.suffix in _KEPT]
        found["files"] = parcel.pack(work.root, chosen, bytes)
        shutil.rmtree(work.root, ignore_errors=True)
    return found


def _caught(log: Log, work: Callable[[], None]) -> dict[str, str]:
    """Do it; what went wrong, {} if nothing."""
    try:
        work()
    except EdgecamError as error:
        log.line(f"failed: {error}")
        return {"error": error.message, "remedy": error.remedy}
    except Exception as error:
        log.line(f"failed: {type(error).__name__}: {error}")
        return {"error": f"{type(error).__name__}: {error}", "remedy": f"see its {LOG}"}
    return {}


def _here(order: Order) -> Path:
    """The sweep's folder on this machine."""
    return Path(order.root) if _shared(order) else parcel.scratch() / f"work-{order.token}"


def _shared(order: Order) -> bool:
    """Whether this machine sees the sender's folder."""
    try:
        said = Work(Path(order.root)).read_json(TOKEN)
    except EdgecamError:
        return False
    return not order.travel and said is not None and said.get("token") == order.token


def _judged(order: Order, work: Work, log: Log, trunk: Mapping[str, Any] | None) -> dict[str, Any]:
    gate = ""
    try:
        _grow(order, work, log, trunk)
    except QualityError as error:  # a result, too
        gate = error.message
    figures = work.figures("evaluate")
    if figures is None:
        raise UsageError("nothing was judged", "a sweep needs the steps data, quantize and evaluate")
    kept = {key: figures[key] for key in ("task", "pictures", "machine", "models", "chosen", "paths")}
    return {"figures": kept, "gate": gate}


def _grow(order: Order, work: Work, log: Log, trunk: Mapping[str, Any] | None) -> None:
    """Run the steps, from where the trunk ends."""
    if trunk is not None:
        if "error" in trunk:
            raise EdgecamError(str(trunk["error"]), str(trunk["remedy"]))
        if work.figures(trunk["last"]) is None:
            parcel.unpack(trunk["files"], work.root)
    _steps(order, work, log)


def _steps(order: Order, work: Work, log: Log) -> None:
    from converters import judge, runner

    if order.version != __version__:
        raise UsageError(f"this machine has edgecam {__version__}, not {order.version}", "install the same")
    job = _job(order)
    steps = order.variant.steps
    planned = [replace(plan, options=_threads(plan.step, plan.options, order.cpus)) for plan in steps]
    with judge.asking(shares.asks(order.data, _root(order, job), order.shard)):
        _patiently(lambda: runner.run(work, job, planned, log))


def _root(order: Order, job: Job) -> Path:
    """The folder of the pictures on this machine."""
    return Path(job.data).parent if order.place else Path(job.data)


def _job(order: Order) -> Job:
    """The job with the paths of this machine."""
    job = order.job
    if order.data is not None:
        job = replace(job, data=str(parcel.at_hand(order.data, parcel.fetched) / order.place))
    placed: dict[str, Any] = {
        key: _placed(getattr(job, key), content) for key, content in order.files.items()
    }
    return replace(job, **placed)


def _placed(path: str, content: bytes) -> str:
    """A file of the sender on this machine: the same one, or a copy."""
    own = Path(path)
    if own.is_file() and own.read_bytes() == content:
        return path
    copy = parcel.scratch() / f"files-{hashlib.sha256(content).hexdigest()[:16]}" / own.name
    if not copy.exists():
        write_whole(copy, content)
    return str(copy)


def _threads(step: str, options: Mapping[str, Any], cpus: int) -> dict[str, Any]:
    """A training takes no more of the machine than Ray has given it."""
    return {"threads": cpus, **options} if step in CHAIN else dict(options)


def _patiently(work: Any) -> None:
    """Run when the folder is free: the worker that had it may only be about to end."""
    end = time.monotonic() + _WAIT
    while True:
        try:
            work()
            return
        except UsageError as error:
            if "another run is at work" not in error.message or time.monotonic() > end:
                raise
            time.sleep(0.5)


def measure(models: Mapping[str, bytes], images: Sequence[Any], threads: int = 0) -> dict[str, Any]:
    """Latencies of models, one after another while nothing else runs.

    Args:
        models: name -> content of a ``.tflite`` with a contract.
        images: a few pictures, uint8 (H, W, 3).
        threads: of the engine, 0 for the runtime's default.

    Returns:
        ``machine`` and ``models``: name -> ``invoke_ms``, ``total_ms``, ``p95_ms``.
    """
    from contextlib import ExitStack

    from converters.judging.runner import Runner, latencies
    from edgecam import bench

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        runners = {}
        for number, (name, content) in enumerate(models.items()):
            path = Path(folder) / f"{number}.tflite"
            path.write_bytes(content)
            runners[name] = stack.enter_context(Runner(path, threads))
        found = latencies(runners, images)
        return {"machine": bench.machine(), "models": {name: asdict(entry) for name, entry in found.items()}}
