"""One change of model while a run goes on: load, look at the same frames, swap, stand by."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from edgecam.changeover import Changeover
from edgecam.errors import EdgecamError, ModelError
from edgecam.model import Model
from edgecam.slots.compare import Shadow
from edgecam.slots.orders import Order, Stage
from edgecam.slots.store import Store
from edgecam.types import Frame, Result, Status

log = logging.getLogger(__name__)

ENOUGH = 10  # frames that a shadow run and a trial must have seen
PATIENCE, GRACE = 3.0, 5.0  # how many times its length a shadow run may wait for them, and seconds on top
FAST = 5.0  # milliseconds of an inference that are never too slow: there the noise is larger than the model
STEADY = 2.0  # seconds that a run must be degraded for, to be so

Tell = Callable[[Stage, str, Mapping[str, Any]], None]


class Runs(Protocol):
    """The pipeline, as far as it matters here."""

    @property
    def model(self) -> Model: ...

    def use(self, model: Model, *, keep: bool = False) -> None: ...


class Change:
    """Carries out one order. On the main loop's thread, but for the loading.

    Args:
        order: what is asked for.
        wanted: SHA-256 of the model, "" for the one in the settings.
        base: what the settings name.
        store: where the state is.
        load: makes the model of a SHA-256.
        runs: whose model is changed.
        tell: told each step; the last one is in :data:`edgecam.slots.orders.ENDS`.
        resumed: the process has started with the model on trial.

    Attributes:
        over: nothing is left to do.
    """

    def __init__(
        self,
        order: Order,
        wanted: str,
        base: str,
        store: Store,
        load: Callable[[str], Model],
        runs: Runs,
        tell: Tell,
        *,
        resumed: bool = False,
    ) -> None:
        self.over = False
        self._order, self._plan = order, order.plan
        self._wanted, self._base = wanted, base
        self._store, self._load, self._runs, self._tell = store, load, runs, tell
        self._changeover = Changeover(load, self._loaded, lambda model: model.engine.close())
        self._new: Model | None = None
        self._old: Model | None = None
        self._shadow: Shadow | None = None
        self._before: Status | None = None
        self._figures: Mapping[str, Any] = {}
        self._words = ""
        self._trial = resumed
        self._since = time.monotonic()
        self._degraded_since = 0.0
        self._frames = 0
        if resumed:
            self._new = runs.model
        else:
            tell("loading", f"loading {store.read().name(wanted)}", {})
            self._changeover.begin(wanted)

    def seen(self, frame: Frame, found: Result) -> None:
        """A frame went through the model in use."""
        self._frames += 1
        if self._shadow is not None:
            self._shadow.offer(frame, found)

    def rescue(self, model: Model, error: Exception) -> Model | None:
        """The model from before, if ``model`` is the one on trial."""
        if not self._trial or model is not self._new:
            return None
        try:
            old = self._take_old()
        except EdgecamError as problem:
            log.warning("the model from before cannot be loaded: %s", problem)
            return None
        self._failed(f"it failed ({error})")
        return old

    def tend(self, status: Status) -> None:
        """Go on as far as it is time to."""
        try:
            if self._trial:
                self._look_at_trial(status)
            elif self._shadow is not None:
                self._look_at_shadow(self._shadow, status)
            else:
                self._before = status
                self._changeover.pending()
        except EdgecamError as error:
            self._refuse(str(error))

    def close(self) -> None:
        """The run is over, in order."""
        self._changeover.close()
        self._end_shadow()
        if self._trial:
            with contextlib.suppress(EdgecamError):
                self._store.change(lambda state: state.end())
            self._tell("trial", "the run has ended; the trial goes on when it starts again", {})
        elif not self.over:
            self._drop()
            self._tell("refused", "the run has ended", {})
        if self._old is not None:
            self._old.engine.close()
            self._old = None

    def _loaded(self, model: Model) -> None:
        task, self._new = self._runs.model.spec.task, model
        if model.spec.task != task:
            raise ModelError(
                f"{model.name} is there to {model.spec.task}, the run to {task}", "change the settings' model"
            )
        if self._order.do == "rollback" or not self._plan.shadow:
            self._swap()
            return
        self._since = time.monotonic()
        self._shadow = Shadow(model, self._runs.model)
        self._tell("shadow", f"{model.name} looks at the same frames for {self._plan.shadow:g} s", {})

    def _look_at_shadow(self, shadow: Shadow, status: Status) -> None:
        assert self._new is not None
        plan, waited, compared = self._plan, time.monotonic() - self._since, shadow.compared()
        if shadow.failed:
            raise ModelError(shadow.failed)
        if self._runs.model is not shadow.beside:
            raise ModelError("the governor went over to a smaller model meanwhile", "try again later")
        if waited < plan.shadow:
            return
        if compared.frames < ENOUGH:
            if waited < plan.shadow * PATIENCE + GRACE:
                return
            raise ModelError(f"only {compared.frames} frames came in {waited:.0f} s", "is the camera away?")
        self._before, name = status, self._new.name
        self._words = words = compared.words
        if compared.ms > max(FAST, compared.ms_before * plan.slower):
            raise ModelError(f"{name} is too slow: {words}", f"it may take {plan.slower:g} times as long")
        if compared.agreement < plan.agreement:
            raise ModelError(f"{name} sees other things: {words}", f"asked for is {plan.agreement:.0%}")
        self._figures = asdict(compared)
        self._end_shadow()
        self._swap()

    def _swap(self) -> None:
        """Between two frames. The state first: whatever happens then, the next start finds the trial."""
        assert self._new is not None
        if self._order.do == "rollback":
            state = self._store.change(lambda state: state.back())
        elif self._plan.trial > 0:
            state = self._store.change(lambda state: state.activate(self._wanted, self._base).start())
        else:
            state = self._store.change(lambda state: state.activate(self._wanted, self._base).prove())
        self._trial = state.trial is not None
        self._old = self._runs.model if self._trial else None
        self._runs.use(self._new, keep=self._trial)
        self._since, self._frames, self._degraded_since = time.monotonic(), 0, 0.0
        if self._trial:
            words = f"{self._new.name} is in use, on trial for {self._plan.trial:g} s"
            seen = f" ({self._words})" if self._words else ""
            self._tell("trial", words + seen, self._figures)
        else:
            self._finish("done", f"{state.name(state.active)} is in use")

    def _look_at_trial(self, status: Status) -> None:
        now = time.monotonic()
        if self._runs.model is not self._new:  # and the governor has closed it
            self._failed("the governor went over to a smaller model during its trial")
            return
        why = self._worse(status, now)
        if why:
            self._runs.use(self._take_old())
            self._failed(why)
        elif now - self._since >= self._plan.trial and self._frames >= ENOUGH:
            state = self._store.change(lambda state: state.prove())
            self._finish("done", f"{state.name(state.active)} has passed its trial and stays")

    def _worse(self, status: Status, now: float) -> str:
        """Why the model on trial does worse than the one before, "" if it does not, or if nobody knows."""
        before = self._before
        if before is None:
            return ""
        if status.state != "degraded" or before.state == "degraded":
            self._degraded_since = 0.0
        elif not self._degraded_since:
            self._degraded_since = now
        elif now - self._degraded_since >= STEADY:
            return f"the run got worse with it: {status.words}"
        limit = max(FAST, before.inference_ms * self._plan.slower)
        if before.inference_ms and self._frames >= ENOUGH and status.inference_ms > limit:
            return f"it takes {status.inference_ms:.1f} ms, the one before took {before.inference_ms:.1f} ms"
        return ""

    def _take_old(self) -> Model:
        """The model to go back to; loaded now if the process has started with the one on trial."""
        old, self._old = self._old, None
        if old is not None:
            return old
        trial = self._store.read().trial
        return self._load("" if trial is None else trial.fallback)

    def _failed(self, why: str) -> None:
        """The model on trial is out of use; let it be known."""
        name = self._store.read().name(self._wanted)
        with contextlib.suppress(EdgecamError):  # a full disk: the next start finds it on trial still
            self._store.change(lambda state: state.fail(why))
        self._finish("rolled back", f"slot {name} was taken back: {why}")

    def _refuse(self, why: str) -> None:
        """It cannot be carried out; the model in use stays."""
        if self._trial:
            log.warning("slots: %s", why)  # the trial goes on: the disk may be full for a moment only
            return
        self._end_shadow()
        self._drop()
        self._finish("refused", why)

    def _finish(self, stage: Stage, message: str) -> None:
        if self._old is not None:
            self._old.engine.close()
        self._new = self._old = None
        self._trial, self.over = False, True
        self._tell(stage, message, self._figures)

    def _drop(self) -> None:
        if self._new is not None and self._new is not self._runs.model:
            self._new.engine.close()
        self._new = None

    def _end_shadow(self) -> None:
        shadow, self._shadow = self._shadow, None
        if shadow is not None and not shadow.close():
            log.warning("a model hangs; it is left behind")
