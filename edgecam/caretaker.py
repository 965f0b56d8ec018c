"""Looks after a run beside its frames: tells who watches, shows who waits why, lets the regulator act."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgecam.capture import Capture
from edgecam.fanout import Fanout
from edgecam.meters import DurationMeter
from edgecam.placard import placard
from edgecam.recogniser import Recogniser
from edgecam.regulator import Regulator
from edgecam.tally import Tally
from edgecam.types import Frame, Packet, Status

#: What a placard says while there is no picture.
_TITLES = {"starting": "Starting", "waiting": "Waiting for camera", "paused": "Paused"}


class Caretaker:
    """For one run, on the main loop's thread.

    Args:
        capture, tally, sinks, recogniser: of the run.
        regulator, watch: see :class:`edgecam.pipeline.Pipeline`.

    Attributes:
        work: how much is done; stands still while nothing is.
    """

    def __init__(
        self,
        capture: Capture,
        tally: Tally,
        sinks: Fanout,
        recogniser: Recogniser,
        regulator: Regulator | None,
        watch: Callable[[Status, int], None] | None,
    ) -> None:
        self.work = 0
        self._capture, self._tally, self._sinks = capture, tally, sinks
        self._recogniser, self._regulator, self._watch = recogniser, regulator, watch
        self._tick = 0.0
        self._looked_at = self._watched_at = self._placard_at = 0.0
        self._pulse = 0
        self._placards = 0

    def look_after(self, now: float, tick: float, placard_every: float) -> None:
        """Tell who watches how it goes, and while no picture comes, the viewers why.

        Args:
            tick: seconds from one telling to the next, and from one look at the sinks.
            placard_every: seconds from one placard to the next.
        """
        self._tick = tick
        waits = self._tally.state(now)[0] in _TITLES
        if waits and now - self._placard_at >= placard_every and self._capture.source.live:
            self._placard_at = now
            self._show_placard()
        if self._regulator is not None and not waits:
            self._regulate(self._regulator, now)
        if self._watch is None or now - self._watched_at < tick:
            return
        self._watched_at = now
        if waits and self._capture.pulse != self._pulse and not self._capture.hopeless:
            self.work += 1
        if now - self._tally.frame_at < self._capture.patience:
            self.work += 1  # a slow slide show is no standstill
        self._pulse = self._capture.pulse
        self._watch(self.status(None), self.work)

    def _regulate(self, regulator: Regulator, now: float) -> None:
        """Let the regulator look; what it does less of makes the run ``degraded``."""
        tally = self._tally
        if not tally.report.frames:
            return
        if regulator.look(now, tally.size, tally.ages.median() * 1000, tally.results.rate(now)):
            tally.ages = DurationMeter()  # what was before says nothing of now
            self._tally.impaired.pop("load", None)
            if regulator.words:
                self._tally.impaired["load"] = regulator.words

    def _show_placard(self) -> None:
        status = self.status(None)
        title = placard(self._tally.size, _TITLES.get(status.state, ""), status.message)
        frame = Frame(self._placards, title, source=status.source)
        self._placards += 1
        events = self._recogniser.idle()
        self._sinks.push(Packet(frame, None, self._recogniser.model.labels, status, events=events))

    def status(self, frame: Frame | None) -> Status:
        """How the run is, with a frame in hand or without."""
        self._look_round()
        return self._tally.status(frame)

    def _look_round(self) -> None:
        """Note what does not work for now, and what works again: the sinks a few times a second."""
        now = time.monotonic()
        if now - self._looked_at >= self._tick:
            self._looked_at = now
            self._sinks.look_round()
            self._tally.sinks = self._sinks.states
        privacy = self._recogniser.privacy
        if privacy is not None:
            self._tally.impaired.pop("privacy", None)
            if privacy.trouble:
                self._tally.impaired["privacy"] = f"privacy: {privacy.trouble}"
