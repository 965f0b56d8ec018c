"""The models of a run: which it starts with, and who changes them while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from edgecam.errors import EdgecamError, ModelError
from edgecam.model import Model
from edgecam.slots import check
from edgecam.slots.change import Change, Runs
from edgecam.slots.orders import ENDS, Desk, Order, Progress, Stage
from edgecam.slots.store import Store
from edgecam.types import Frame, Result, Status

log = logging.getLogger(__name__)


class Keeper:
    """Takes orders, one at a time. On the main loop's thread.

    Args:
        store: the installed models.
        base: what the settings name.
        load: makes a model from a file, or from what the settings name for None; checks that it fits the run.
        report: tells the user one line.
        memory: bytes that a model may take beside the running one, 0 for what is free.

    Attributes:
        store: as given.
        used: told the file of the model in use when it changes, None for what the settings name.
    """

    def __init__(
        self,
        store: Store,
        base: str,
        load: Callable[[Path | None], Model],
        report: Callable[[str], None],
        memory: int = 0,
        used: Callable[[Path | None], None] = lambda path: None,
    ) -> None:
        self.used = used
        self.store = store
        self._desk = Desk(store)
        self._base = base
        self._load = load
        self._report = report
        self._memory = memory
        self._claim: BinaryIO | None = None
        self._runs: Runs | None = None
        self._change: Change | None = None
        self._order = Order("", "activate")
        self._first = ""

    def open(self) -> bool:
        """Claim the folder; False if another run has it, or it cannot be written."""
        try:
            self.store.make()
            self._claim = self.store.claim()
        except OSError as error:
            log.debug("no installed models: %s (%s)", self.store.folder, error)
            return False
        if self._claim is None:
            self._report(f"another run uses {self.store.folder}: models cannot be changed in this one")
            return False
        self._desk.withdraw()  # it was meant for the run before: who asked has given up
        return True

    def first(self) -> Model:
        """The model to start with.

        Raises:
            EdgecamError: neither an installed one nor the one in the settings can be used.
        """
        state = self.store.read()
        if state.active and state.base != self._base:
            self._report(f"the settings name {self._base} now: slot {state.name(state.active)} is not used")
            return self._load(None)
        wanted, state = state.active, self.store.change(lambda state: state.start())
        while True:
            if state.active != wanted:
                why = state.refused.get(wanted, "")
                now = state.name(state.active)
                self._report(f"slot {state.name(wanted)} was taken back, {now} is in use again: {why}")
            wanted = state.active
            try:
                model = self._make(wanted)
            except EdgecamError as error:
                if not wanted:
                    raise
                why = str(error)
                state = self.store.change(lambda state, why=why: state.fail(why))  # type: ignore[misc]
                continue
            self._first = wanted
            self.used(self._file(wanted))
            return model

    def attach(self, runs: Runs) -> None:
        """The run begins."""
        self._runs = runs
        if self.store.read().trial is not None and self._first:
            order, last = Order.new("activate", self._first), self._desk.progress()
            if last is not None and last.stage == "trial":  # who asked may still be waiting
                order = replace(order, id=last.id)
            self._begin(order, self._first, resumed=True)

    def close(self) -> None:
        """The run is over, in order."""
        if self._change is not None:
            self._change.close()
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    @property
    def watches(self) -> bool:
        """A change goes on, which needs to see the model at work."""
        return self._change is not None

    def seen(self, frame: Frame, found: Result) -> None:
        if self._change is not None:
            self._change.seen(frame, found)

    def rescue(self, model: Model, error: Exception) -> Model | None:
        return None if self._change is None else self._change.rescue(model, error)

    def tend(self, status: Status) -> None:
        """Look after what goes on; called a few times a second."""
        if self._claim is None or self._runs is None:
            return
        if self._change is not None:
            self._change.tend(status)
            if self._change.over:
                self._change = None
            return
        order = self._desk.take()
        if order is not None:
            self._take(order, status)

    def _take(self, order: Order, status: Status) -> None:
        state = self.store.read()
        active, previous = (state.active, state.previous) if state.base == self._base else ("", "")
        wanted = previous if order.do == "rollback" else order.sha256
        self._order = order
        if wanted == active:
            self._tell("refused", f"{state.name(wanted)} is in use already", {})
        elif status.steps_down:
            self._tell("refused", f"the governor does less for now ({status.message}): try again later", {})
        else:
            self._begin(order, wanted)

    def _begin(self, order: Order, wanted: str, *, resumed: bool = False) -> None:
        assert self._runs is not None
        self._order = order
        self._change = Change(
            order, wanted, self._base, self.store, self._make, self._runs, self._tell, resumed=resumed
        )

    def _make(self, sha256: str) -> Model:
        """The model of a slot, or the one in the settings.

        Raises:
            EdgecamError: its file is not what it was, it does not fit, or there is too little memory.
        """
        if not sha256:
            return self._load(None)
        slot = self.store.read().slot(sha256)
        wrong = self.store.intact(sha256)
        if slot is None or wrong:
            raise ModelError(
                f"slot {slot.name if slot else sha256[:12]}: {wrong or 'is not there'}", "install it"
            )
        if self._runs is not None:  # beside another one
            check.check_memory(slot.name, slot.need, self._memory)
        return self._load(self.store.path(sha256))

    def _file(self, sha256: str) -> Path | None:
        return self.store.path(sha256) if sha256 else None

    def _tell(self, stage: Stage, message: str, figures: Mapping[str, Any]) -> None:
        self._desk.tell(Progress(self._order.id, stage, message, figures))
        if stage in ENDS or stage == "trial":
            self._report(f"the model stays: {message}" if stage == "refused" else message)
            self.used(self._file(self.store.read().active))
