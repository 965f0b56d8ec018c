"""Does what the governor decides: reads the board, and changes rate, picture size and model of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edgecam import journal
from edgecam.board import Board
from edgecam.errors import EdgecamError
from edgecam.governor import Change, Governor, Limits, Reading, interval, ladder

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds from one look at the board to the next


class Regulator:
    """Keeps one run within its limits. Used from the main loop's thread alone.

    Args:
        board: what is read.
        limits: when to act.
        report: tells the user one line.
        resize: opens the source with pictures of ``WIDTHxHEIGHT``, with its own for ""; None if it has no
            other sizes.
        models: smaller models, the next smaller first.
        change_model: begins to go over to a model by its name, to the first one for "".
        model_pending: whether that is still going on; raises what has made it fail.

    Attributes:
        pause: seconds from one inference to the next, at least.
        temperature: degrees Celsius at the last look, None if there is no sensor.
        words: what is done less of and why, "" for nothing.
    """

    def __init__(
        self,
        board: Board,
        limits: Limits,
        report: Callable[[str], None],
        *,
        resize: Callable[[str], None] | None = None,
        models: Sequence[str] = (),
        change_model: Callable[[str], None] = lambda name: None,
        model_pending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.pause = 0.0
        self.temperature: float | None = None
        self._board = board
        self._limits = limits
        self._report = report
        self._resize = resize
        self._models = tuple(models)
        self._change_model = change_model
        self._model_pending = model_pending
        self._changing: Change | None = None
        self._governor: Governor | None = None
        self._now = 0.0
        self._looked_at = -EVERY
        self._full = 0.0

    @property
    def level(self) -> int:
        """How many steps are taken."""
        return 0 if self._governor is None else self._governor.level

    @property
    def words(self) -> str:
        return "" if self._governor is None else self._governor.words

    def look(self, now: float, size: tuple[int, int], latency: float, rate: float) -> bool:
        """See how it is, about once a second, and act; True if something changed.

        Args:
            now: monotonic seconds.
            size: of the source's pictures.
            latency: milliseconds from capture to result.
            rate: inferences a second.
        """
        if now - self._looked_at < EVERY:
            return False
        self._now = self._looked_at = now
        if self._governor is None:
            steps = ladder(size if self._resize is not None else None, self._models)
            self._governor = Governor(self._limits, steps, lambda: self._now)
        if self._governor.in_effect("rate") is None and rate > 0:
            self._full = rate
        self.temperature = self._board.temperature()
        if self._changing is not None:
            return self._change_ended(self._governor, self._changing)
        found = self._board.throttling(self._board.firmware.poll())
        slowed = () if found is None else found.serious
        change = self._governor.update(Reading(self.temperature, slowed, latency))
        if change is None:
            return False
        self._carry_out(self._governor, change)
        return True

    def close(self) -> None:
        self._board.firmware.close()

    def _carry_out(self, governor: Governor, change: Change) -> None:
        step = change.in_effect
        self._tell(governor, change)
        try:
            if change.step.kind == "rate":
                self.pause = interval(self._full, step)
            elif change.step.kind == "size" and self._resize is not None:
                self._resize("" if step is None else str(step.value))
            elif change.step.kind == "model":
                self._change_model("" if step is None else str(step.value))
                self._changing = change
        except EdgecamError as error:
            self._give_up(governor, change, error)

    def _change_ended(self, governor: Governor, change: Change) -> bool:
        """True if the other model is in use now, or cannot be: until then no other step is thought of."""
        try:
            if self._model_pending():
                return False
        except EdgecamError as error:
            self._give_up(governor, change, error)
        self._changing = None
        return True

    def _give_up(self, governor: Governor, change: Change, error: EdgecamError) -> None:
        self._report(f"governor: {change.step.words} is not possible: {error}")
        if change.down:
            governor.drop(change.step)

    def _tell(self, governor: Governor, change: Change) -> None:
        fields = {
            "EDGECAM_GOVERNOR": "down" if change.down else "up",
            "EDGECAM_GOVERNOR_STEP": change.step.kind,
            "EDGECAM_GOVERNOR_LEVEL": str(governor.level),
        }
        if self.temperature is not None:
            fields["EDGECAM_TEMPERATURE"] = f"{self.temperature:.1f}"
        priority = journal.WARNING if change.down else journal.NOTICE
        if not journal.send(change.words, priority, fields):
            self._report(change.words)


def make(
    board: Board,
    limits: Limits,
    report: Callable[[str], None],
    *,
    resize: Callable[[str], None] | None,
    models: Sequence[str],
    change_model: Callable[[str], None],
    model_pending: Callable[[], bool],
) -> Regulator | None:
    """A regulator, or None where nothing can be read that it would act on."""
    heat = board.temperature() is not None or board.firmware.present or board.throttling(None) is not None
    if not limits.latency and not (limits.temperature and heat):
        return None
    return Regulator(
        board,
        limits,
        report,
        resize=resize,
        models=models,
        change_model=change_model,
        model_pending=model_pending,
    )
