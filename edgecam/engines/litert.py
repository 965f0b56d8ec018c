"""The TensorFlow Lite interpreter: ai-edge-litert or tflite-runtime, on the CPU or through a delegate."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence

from edgecam import tflite
from edgecam.engines import delegates, probe, runtimes
from edgecam.engines.base import EngineOptions
from edgecam.engines.session import Session
from edgecam.errors import DelegateError, EngineError, ModelError
from edgecam.types import Array

ONLY_TFLITE_RUNTIME = ("armv6l", "armv7l")  # machines that ai-edge-litert has no wheel for
PAUSE = 0.5  # seconds between two attempts to open an accelerator


class LiteRTEngine:
    """Runs a ``.tflite`` file; see :class:`edgecam.engines.base.Engine` for the attributes.

    The file is verified before the interpreter sees it, and files that are not edgecam's own are once tried
    in a child process; so is every delegate, each time, because the known failure of one is a crash.

    Raises:
        ModelError: not a TFLite model, truncated or corrupted; an input without fixed size; an operator
            that the interpreter has not.
        DelegateError: the model is compiled for an Edge TPU and there is none that works; or
            ``require_delegate`` and there is no delegate that works.
        EngineError: no interpreter works here, or it refuses the model.
    """

    def __init__(self, options: EngineOptions) -> None:
        model = tflite.load(options.model)
        check_inputs(model, str(options.model))
        self._threads = options.threads or default_threads()
        self._session: Session | None
        notes: list[str] = []
        choice = delegates.choose(options, model, notes)
        session = self._delegated(options, model, choice, notes) if choice else None
        if session is None:
            session = self._on_cpu(options, model)
            self.device = f"CPU x{self._threads}"
        self._session = session
        self.input = session.input
        self.outputs = session.outputs
        self.notes = tuple(notes)

    def _delegated(
        self, options: EngineOptions, model: tflite.ModelFile, choice: delegates.Choice, notes: list[str]
    ) -> Session | None:
        """A session on the chosen delegate; None, with a note, where it does not work and the CPU can do."""
        problem = choice.problem
        for runtime in runtimes.available(options.runtime) if not problem else ():
            request = probe.Request(
                runtime.name, options.model, self._threads, choice.library, choice.options
            )
            verdict = probe.run(request)
            try:
                if not verdict.error:
                    session = self._open(runtime, model, choice)
                    self.device, self.runtime = choice.label, runtime.label
                    return session
                problem = verdict.error
            except EngineError as error:
                problem = error.message
        if not problem:  # no interpreter at all: the CPU's attempt says so
            return None
        if options.require_delegate:
            raise DelegateError(problem, "run without --require-delegate to go on with the CPU")
        if model.compiled_for_edgetpu:
            raise delegates.needs_edgetpu(options.model, problem)
        notes.append(f"{problem}; running on the CPU")
        return None

    def _open(self, runtime: runtimes.Runtime, model: tflite.ModelFile, choice: delegates.Choice) -> Session:
        """A session on a delegate that has just worked in a child process.

        Closing a USB Edge TPU resets its port: for a moment after the child it is not there.
        """
        for _ in range(choice.patience):
            try:
                return Session(runtime, model.data, self._threads, choice.library, choice.options)
            except DelegateError:
                time.sleep(PAUSE)
        return Session(runtime, model.data, self._threads, choice.library, choice.options)

    def _on_cpu(self, options: EngineOptions, model: tflite.ModelFile) -> Session:
        reasons = []
        for name in runtimes.names(options.runtime):
            try:
                runtime = runtimes.load(name)
                probe.ensure_harmless(model.data, runtime, options.model, self._threads)
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
        self._session = None


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
