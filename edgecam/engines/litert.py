"""The TensorFlow Lite interpreter: ai-edge-litert or tflite-runtime, on the CPU or through a delegate."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edgecam import tflite
from edgecam.engines import delegates, probe, runtimes
from edgecam.engines.apart import ApartSession
from edgecam.engines.base import EngineOptions
from edgecam.engines.failover import Failover, Opened
from edgecam.engines.session import Session
from edgecam.errors import DelegateError, EdgecamError, EngineError, ModelError
from edgecam.types import Array

ONLY_TFLITE_RUNTIME = ("armv6l", "armv7l")  # machines that ai-edge-litert has no wheel for
PAUSE = 0.5  # seconds between two attempts to open an accelerator


class LiteRTEngine:
    """Runs a ``.tflite`` file; see :class:`edgecam.engines.base.Engine` for the attributes.

    The file is verified before the interpreter sees it, and files that are not edgecam's own are once tried
    in a child process. A delegate runs in a process of its own for good, because the known failures of such
    libraries are a crash and a hang; the CPU takes over while it fails (:mod:`edgecam.engines.failover`).

    Raises:
        ModelError: not a TFLite model, truncated or corrupted; an input without fixed size; an operator
            that the interpreter has not.
        DelegateError: the model is compiled for an Edge TPU, there is none that works, and no twin of the
            model for the CPU; or ``require_delegate`` and there is no delegate that works.
        EngineError: no interpreter works here, or it refuses the model.
    """

    def __init__(self, options: EngineOptions) -> None:
        model = tflite.load(options.model)
        check_inputs(model, str(options.model))
        self._options = options
        self._model = model
        self._threads = options.threads or default_threads()
        self._cpu = f"CPU x{self._threads}" + " (tuned)" * options.tuned
        self._label = self._cpu
        self.runtime = ""
        self._failover: Failover | None = None
        notes: list[str] = []
        choice = delegates.choose(options, model, notes)
        self._session: Opened | None = self._accelerated(choice, notes) if choice else None
        if self._session is None:
            self._session = self._on_cpu(options.model, model)
        self.input = self._session.input
        self.outputs = self._session.outputs
        self.notes = tuple(notes)

    @property
    def device(self) -> str:
        """What it runs on now, for people."""
        return self._cpu if self.trouble else self._label

    @property
    def trouble(self) -> str:
        """Why it does not run on the accelerator for now; "" while it does, or none was asked for."""
        return "" if self._failover is None else self._failover.trouble

    def _accelerated(self, choice: delegates.Choice, notes: list[str]) -> Opened | None:
        """The accelerator, with the CPU behind it; None, with a note, where it can never be used."""
        options = self._options
        first: Opened | DelegateError
        try:
            first = self._open(choice, choice.patience)
        except DelegateError as error:
            if options.require_delegate:
                raise DelegateError(
                    error.message, "run without --require-delegate to go on with the CPU"
                ) from error
            first = error
        twin = delegates.twin(options.model) if self._model.compiled_for_edgetpu else options.model
        if isinstance(first, DelegateError):
            if twin is None:
                raise delegates.needs_edgetpu(options.model, first.message)
            notes.append(
                f"{first.message}; running {'' if twin == options.model else f'{twin.name} '}on the CPU"
            )
            if choice.hopeless:
                return None
        processor = None
        if twin is not None and not options.require_delegate:
            processor = partial(self._load_on_cpu, twin)
        self._failover = Failover(self._open_again, processor, first)
        self._label = choice.label
        return self._failover

    def _open(self, choice: delegates.Choice, patience: int = 0) -> Opened:
        """The model on a delegate, under the first interpreter that can.

        Closing a USB Edge TPU resets its port: for a moment after it was in use it is not there.

        Raises:
            DelegateError: it does not work.
        """
        problem: EdgecamError = DelegateError(choice.problem or "no interpreter is installed")
        for attempt in range(patience + 1):
            for runtime in runtimes.available(self._options.runtime) if not choice.problem else ():
                session = ApartSession(
                    probe.Request(
                        runtime.name, self._options.model, self._threads, choice.library, choice.options
                    )
                )
                try:
                    session.open()
                except EngineError as error:
                    problem = error
                    continue
                self.runtime = runtime.label
                return session
            if choice.problem or attempt == patience:
                break
            time.sleep(PAUSE)
        raise DelegateError(problem.message, problem.remedy)

    def _open_again(self) -> Opened:
        """The accelerator anew: it may be on another port by now."""
        choice = delegates.choose(self._options, self._model, [])
        if choice is None:
            raise DelegateError("there is no accelerator to use")
        return self._open(choice)

    def _load_on_cpu(self, path: Path) -> Session:
        return self._on_cpu(path, tflite.load(path))

    def _on_cpu(self, path: Path, model: tflite.ModelFile) -> Session:
        reasons = []
        for name in runtimes.names(self._options.runtime):
            try:
                runtime = runtimes.load(name)
                probe.ensure_harmless(model.data, runtime, path, self._threads)
                session = Session(runtime, model.data, self._threads)
                self.runtime = runtime.label
                return session
            except runtimes.UnusableRuntimeError as error:
                reasons.append(error)
        best = reasons[-1 if platform.machine() in ONLY_TFLITE_RUNTIME else 0]
        why = "; ".join(error.message for error in reasons)
        raise EngineError(f"no TFLite interpreter works here ({why})", best.remedy)

    def infer(self, tensor: Array) -> Sequence[Array]:
        """Run once; see :meth:`edgecam.engines.base.Engine.infer`."""
        session = self._session
        if session is None:
            raise EngineError("the engine is closed", "make a new one")
        return session.run(tensor)

    def close(self) -> None:
        """Free the interpreter; safe to call twice, and while another thread is still in :meth:`infer`."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


def default_threads() -> int:
    """One per core this process may use, up to four: more gain little on small models."""
    return max(1, min(4, len(os.sched_getaffinity(0))))


def check_inputs(model: tflite.ModelFile, name: str) -> None:
    """Refuse what cannot be fed with one picture.

    Raises:
        ModelError: several inputs, or a size that is not fixed.
    """
    if len(model.inputs) != 1:
        raise ModelError(
            f"{name} has {len(model.inputs)} inputs, edgecam runs models with one picture as input",
            "convert it with a single image input",
        )
    signature = model.inputs[0].signature
    if len(signature) < 2 or min(signature[1:]) < 1:
        shown = "x".join("?" if n < 0 else str(n) for n in signature)
        raise ModelError(
            f"{name} has an input of no fixed size ({shown or 'unknown'})",
            "convert it with a fixed input size, for example 1x320x320x3",
        )
    if signature[0] not in (-1, 1):
        raise ModelError(f"{name} takes {signature[0]} pictures at once", "convert it with a batch of one")
