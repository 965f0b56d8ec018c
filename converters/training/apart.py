"""Runs a function in a process of its own: the one that has TensorFlow, with its memory, threads and noise.

The function takes a report first, then what is given by name, and gives JSON back. The request goes to the
child's standard input; lines of JSON come back on its standard output: ``line``, ``warn``, ``begin``,
``progress`` and ``end`` as they happen, then ``result`` or ``error``. When the parent is gone, so is the
child.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Report, Step
from converters.training.chain import CHAIN
from converters.work import Work
from edgecam import errors
from edgecam.errors import EdgecamError

log = logging.getLogger(__name__)

TENSORFLOW = "tensorflow"
#: options that say where a training runs, not what it learns: it goes on from its checkpoint on others
PLACES = ("devices",)
_ROOT = str(Path(__file__).resolve().parents[2])


def run_step(
    function: str, step: Step, work: Work, options: Mapping[str, Any], report: Report
) -> dict[str, Any]:
    """Run what a step does that makes a model: a function ``f(report, work, options, mark, out)``.

    Args:
        function: ``module:name``.
        step: whose work it is; the mark stands for its options and the contents of its inputs.
        work: the work folder.
        options: all options of the step.
        report: hears what the function says.

    Raises:
        EdgecamError: as :func:`call`.
    """
    learnt_by = {name: value for name, value in options.items() if name not in PLACES}
    arguments = {
        "work": str(work.root),
        "options": dict(options),
        "mark": work.fingerprint(step.name, learnt_by, step.inputs(work, options)),
        "out": CHAIN[step.name],
    }
    return call(function, arguments, report, backend=options.get("backend", TENSORFLOW))


def call(
    function: str, arguments: Mapping[str, Any], report: Report, *, backend: str = TENSORFLOW
) -> dict[str, Any]:
    """Run a function and wait for it.

    Args:
        function: ``module:name``.
        arguments: JSON, given by name.
        report: hears what the function says.
        backend: of Keras.

    Raises:
        EdgecamError: what it raised; or TensorFlow or JAX is not installed, or the process died.
    """
    if backend == TENSORFLOW and importlib.util.find_spec("tensorflow") is None:
        raise EdgecamError("TensorFlow is not installed", "pip install 'edgecam[convert]'")
    for module, name in (("jax", "JAX"), ("keras", "Keras")) if backend == "jax" else ():
        if importlib.util.find_spec(module) is None:
            raise EdgecamError(f"{name} is not installed", "pip install 'edgecam[jax]'")
    paths = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        # -P: a file in the current folder must not stand in for a module of the same name.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "converters.training.child"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([_ROOT, *paths]), "KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            encoding="utf-8",
        )
        try:
            return _talk(child, {"function": function, "arguments": dict(arguments)}, report)
        except _DiedError:
            child.kill()
            raise _why(child.wait(), said) from None
        finally:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


class _DiedError(Exception):
    """The child has gone without an answer."""


def _talk(child: subprocess.Popen[str], request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
    except OSError:
        raise _DiedError from None
    with contextlib.ExitStack() as bars:
        advance: Any = None
        for line in child.stdout:
            (kind, value), *_ = json.loads(line).items()
            if kind == "line":
                report.line(value)
            elif kind == "warn":
                report.warn(value)
            elif kind == "begin":
                advance = bars.enter_context(report.progress(value))
            elif kind == "progress":
                advance(*value)
            elif kind == "end":
                bars.close()
            elif kind == "error":
                raise getattr(errors, value["kind"], EdgecamError)(value["message"], value["remedy"])
            else:
                return dict(value)
    raise _DiedError


def _why(code: int, said: Any) -> EdgecamError:
    said.seek(0)
    log.info("the training process said: %s", said.read())
    if code == -signal.SIGKILL:
        return EdgecamError(
            "the training process was killed",
            "it may have run out of memory; run again to go on from the checkpoint",
        )
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return EdgecamError(f"the training process died ({how})", "run it again with -v to see what it said")
