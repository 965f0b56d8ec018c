"""The capture thread: newest frame wins, files lose nothing, a lost source comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from edgecam import capture as capture_module
from edgecam.capture import Capture
from edgecam.errors import SourceError, SourceLostError
from edgecam.types import Frame


class ScriptedSource:
    """Plays a list of steps: a number is a frame, an exception is raised, a callable is called first."""

    name = "scripted"
    total = None
    broken = 0

    def __init__(self, steps: Iterable[int | Exception | Callable[[], None]], live: bool) -> None:
        self.live = live
        self.steps = iter(steps)
        self.opens: list[Exception | None] = []
        self.open_errors: list[Exception] = []
        self.closed = 0

    def open(self) -> None:
        error = self.open_errors.pop(0) if self.open_errors else None
        self.opens.append(error)
        if error is not None:
            raise error

    def read(self) -> Frame | None:
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int):
                return Frame(step, np.zeros((4, 4, 3), np.uint8))
            step()
        return None

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "BACKOFF_FIRST", 0.001)


def test_a_file_loses_nothing_and_keeps_order() -> None:
    capture = Capture(ScriptedSource(range(500), live=False))
    capture.start()
    seen = []
    while len(seen) < 500:
        frame = capture.slot.take(5.0)
        assert frame is not None
        seen.append(frame.seq)
    assert seen == list(range(500))
    assert capture.slot.dropped == 0
    capture.stop()


def test_a_live_source_never_waits_and_counts_every_drop() -> None:
    done = threading.Event()
    source = ScriptedSource([*range(50), done.set], live=True)
    capture = Capture(source)
    capture.start()
    assert done.wait(5)
    frame = capture.slot.take(1.0)
    assert frame is not None and frame.seq == 49
    assert capture.slot.dropped == 49
    capture.stop()


def test_a_lost_source_comes_back_and_is_counted() -> None:
    gate = threading.Event()
    source = ScriptedSource([0, SourceLostError("gone"), 1, SourceLostError("gone"), gate.wait, 2], live=True)
    source.open_errors = []
    capture = Capture(source)
    capture.start()
    gate.set()
    capture._thread.join(5)
    assert capture.lost == 2
    assert len(source.opens) == 3
    assert capture.error is None
    frame = capture.slot.take(0)
    assert frame is not None and frame.seq == 2
    capture.stop()


def test_reopening_goes_on_until_it_works() -> None:
    source = ScriptedSource([0, SourceLostError("gone"), 1], live=True)
    capture = Capture(source)

    def fail_three_times() -> None:
        source.open_errors = [SourceError("still gone")] * 3

    source.steps = iter([0, fail_three_times, SourceLostError("gone"), 1])
    capture.start()
    capture._thread.join(5)
    assert [e is None for e in source.opens] == [True, False, False, False, True]
    assert capture.lost == 1


def test_the_first_opening_must_succeed() -> None:
    source = ScriptedSource([0], live=True)
    source.open_errors = [SourceError("no camera", "plug one in")]
    capture = Capture(source)
    capture.start()
    assert capture.opened.wait(5)
    with pytest.raises(SourceError, match="no camera: plug one in"):
        capture.check_opened()
    capture._thread.join(5)
    assert capture.ended and source.closed


def test_exit_on_loss_hands_the_error_on() -> None:
    capture = Capture(ScriptedSource([0, SourceLostError("gone"), 1], live=True), exit_on_loss=True)
    capture.start()
    capture._thread.join(5)
    assert isinstance(capture.error, SourceLostError)
    assert capture.lost == 0


def test_a_bug_in_a_source_ends_the_run_with_a_line_not_a_dead_thread() -> None:
    capture = Capture(ScriptedSource([0, ZeroDivisionError("oops")], live=True))
    capture.start()
    capture._thread.join(5)
    assert capture.ended
    assert "ZeroDivisionError: oops" in str(capture.error)


def test_stop_while_a_file_waits_for_room() -> None:
    capture = Capture(ScriptedSource(range(10), live=False))
    capture.start()
    assert capture.opened.wait(5)
    capture.stop()
    assert not capture._thread.is_alive()


def test_stop_before_start_is_harmless() -> None:
    Capture(ScriptedSource([], live=True)).stop()
