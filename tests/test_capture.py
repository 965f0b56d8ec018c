"""The capture thread: newest frame wins, files lose nothing, a lost source comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from edgecam import capture as capture_module
from edgecam import reader as reader_module
from edgecam.capture import Capture
from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.types import Frame


class ScriptedSource:
    """Plays a list of steps: a number is a frame, an exception is raised, a callable is called first."""

    name = "scripted"
    total = None
    broken = 0
    patience = 0.0

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
    monkeypatch.setattr(reader_module, "BACKOFF_FIRST", 0.001)
    monkeypatch.setattr(reader_module, "BACKOFF_MAX", 0.01)


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
    capture._reader.thread.join(5)
    assert capture.lost == 2
    assert len(source.opens) == 3
    assert capture.error is None
    frame = capture.slot.take(0)
    assert frame is not None and frame.seq == 2
    capture.stop()


def test_what_nobody_thought_of_loses_a_camera_and_does_not_end_the_run() -> None:
    source = ScriptedSource([0, KeyError(6), 1], live=True)
    capture = Capture(source)
    said: list[str] = []
    source.close = lambda: said.append(capture.status.message)  # type: ignore[method-assign]
    capture.start()
    capture._reader.thread.join(5)
    assert capture.error is None and capture.lost == 1 and len(source.opens) == 2
    assert said[0] == "scripted: KeyError: 6"
    frame = capture.slot.take(0)
    assert frame is not None and frame.seq == 1


def test_what_nobody_thought_of_ends_a_run_that_wants_that() -> None:
    capture = Capture(ScriptedSource([0, KeyError(6)], live=True), exit_on_loss=True)
    capture.start()
    capture._reader.thread.join(5)
    assert isinstance(capture.error, SourceLostError) and str(capture.error) == "scripted: KeyError: 6"


def test_reopening_goes_on_until_it_works() -> None:
    source = ScriptedSource([0, SourceLostError("gone"), 1], live=True)
    capture = Capture(source)

    def fail_three_times() -> None:
        source.open_errors = [SourceError("still gone")] * 3

    source.steps = iter([0, fail_three_times, SourceLostError("gone"), 1])
    capture.start()
    capture._reader.thread.join(5)
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
    capture._reader.thread.join(5)
    assert capture.ended and source.closed


def test_exit_on_loss_hands_the_error_on() -> None:
    capture = Capture(ScriptedSource([0, SourceLostError("gone"), 1], live=True), exit_on_loss=True)
    capture.start()
    capture._reader.thread.join(5)
    assert isinstance(capture.error, SourceLostError)
    assert capture.lost == 0


def test_a_bug_in_the_source_of_a_file_ends_the_run_with_a_line_not_a_dead_thread() -> None:
    capture = Capture(ScriptedSource([ZeroDivisionError("oops")], live=False))
    capture.start()
    capture._reader.thread.join(5)
    assert capture.ended
    assert "ZeroDivisionError: oops" in str(capture.error)


def test_stop_while_a_file_waits_for_room() -> None:
    capture = Capture(ScriptedSource(range(10), live=False))
    capture.start()
    assert capture.opened.wait(5)
    capture.stop()
    assert not capture._reader.thread.is_alive()


def test_stop_before_start_is_harmless() -> None:
    Capture(ScriptedSource([], live=True)).stop()


def ended(capture: Capture) -> None:
    capture._reader.thread.join(5)
    assert not capture._reader.thread.is_alive()


def until(happened: Callable[[], bool], capture: Capture | None = None) -> None:
    """Wait for it as the main loop does, which checks on the capture."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        if capture is not None:
            capture.check()
        time.sleep(0.005)


class Hanging:
    """Sources that may hang, and threads that can be let go at the end of a test."""

    def __init__(self, *scripts: list[int | Exception | Callable[[], None]]) -> None:
        self.let_go = threading.Event()
        self.made = [ScriptedSource(script, live=True) for script in scripts]
        self.waiting = iter(self.made[1:])

    def capture(self, **options: Any) -> Capture:
        return Capture(self.made[0], renew=lambda: next(self.waiting, self.made[-1]), **options)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "PATIENCE", 0.05)
    monkeypatch.setattr(reader_module, "GRACE", 0.05)


def hang(*, after: int = 0, until_closed: bool = False, say: int = 7) -> Hanging:
    """A source that gives frames 0 to ``after`` - 1 and hangs, and one that works."""
    hanging = Hanging([], [])

    def block() -> None:
        deadline = time.monotonic() + 10
        while not (until_closed and hanging.made[0].closed) and not hanging.let_go.wait(0.005):
            assert time.monotonic() < deadline

    hanging.made[0].steps = iter([*range(after), block, 99])
    hanging.made[1].steps = iter([say, hanging.let_go.wait])
    return hanging


@pytest.mark.usefixtures("impatient")
class TestHang:
    def test_the_thread_is_left_behind_and_a_new_source_opened(self) -> None:
        hanging = hang(after=2)
        capture = hanging.capture()
        capture.start()
        until(lambda: hanging.made[1].opens != [], capture)
        assert capture.source is hanging.made[1]
        assert (capture.lost, capture.left_behind) == (1, 1)
        frame = capture.slot.take(5)
        assert frame is not None and frame.seq == 9  # it counts on from the two before
        until(lambda: capture.status.state == "running")
        hanging.let_go.set()
        until(lambda: capture.left_behind == 0)
        assert capture.slot.take(0) is None  # what the thread left behind brings is nobody's frame any more
        capture.stop()

    def test_it_says_why_while_it_hangs(self) -> None:
        hanging = hang(after=1)
        capture = hanging.capture()
        said = []
        hanging.made[1].steps = iter([lambda: said.append(capture.status), hanging.let_go.wait])
        capture.start()
        until(lambda: bool(said), capture)
        assert said[0].state == "starting"  # the new one opened and has not given a picture yet
        hanging.let_go.set()
        capture.stop()

    def test_closing_the_source_lets_some_threads_go(self) -> None:
        hanging = hang(after=1, until_closed=True)
        capture = hanging.capture()
        capture.start()
        until(lambda: hanging.made[1].opens != [], capture)
        assert capture.left_behind == 0
        hanging.let_go.set()
        capture.stop()

    def test_an_opening_that_hangs_is_left_behind_too(self) -> None:
        hanging = hang()
        hanging.made[0].open = lambda: hanging.let_go.wait(10)  # type: ignore[method-assign, assignment, return-value]
        capture = hanging.capture()
        capture.start()
        until(lambda: hanging.made[1].opens != [], capture)
        hanging.let_go.set()
        capture.stop()

    def test_after_several_only_a_new_process_helps(self, caplog: pytest.LogCaptureFixture) -> None:
        hanging = Hanging([], [], [], [], [])
        for source in hanging.made:
            source.steps = iter([hanging.let_go.wait])
        capture = hanging.capture()
        capture.start()
        until(lambda: capture.hopeless, capture)
        assert capture.left_behind == capture_module.MOST_LEFT_BEHIND
        pulse = capture.pulse
        capture.check()
        assert capture.pulse == pulse
        assert "only a new process helps" in caplog.text
        hanging.let_go.set()
        capture.stop()

    def test_a_new_source_that_cannot_be_opened_is_no_hope_for_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(capture_module, "HOPE", 0.2)
        hanging = hang(after=1)
        hanging.made[1].open_errors = [SourceError("busy")] * 10_000
        capture = hanging.capture()
        capture.start()
        until(lambda: capture.status.message == "busy", capture)
        assert capture.status.state == "waiting"
        until(lambda: capture.hopeless, capture)
        hanging.let_go.set()
        until(lambda: not capture.hopeless)
        capture.stop()

    def test_exit_on_loss_ends_with_the_reason(self) -> None:
        hanging = hang(after=1)
        capture = hanging.capture(exit_on_loss=True)
        capture.start()
        until(lambda: capture.ended, capture)
        assert "has not answered" in str(capture.error)
        hanging.let_go.set()

    def test_a_source_that_paces_itself_is_given_its_time(self) -> None:
        hanging = hang(after=1)
        hanging.made[0].patience = 1000.0
        capture = hanging.capture()
        capture.start()
        until(lambda: bool(capture._reader.began))
        time.sleep(0.1)
        capture.check()
        assert capture.source is hanging.made[0]
        hanging.let_go.set()
        capture.stop()

    def test_stop_does_not_wait_for_a_thread_that_hangs(self) -> None:
        hanging = hang(after=1)
        capture = hanging.capture()
        capture.start()
        until(lambda: capture.pulse >= 2)
        capture.stop(timeout=0.05)
        assert capture.ended and capture.error is None
        hanging.let_go.set()


class TestWaiting:
    def test_a_camera_that_comes_later_is_a_state(self) -> None:
        hanging = Hanging([], [], [5])
        hanging.made[0].open_errors = [SourceError("no camera found", "plug one in")]
        hanging.made[1].open_errors = [SourceError("no permission")]
        capture = hanging.capture(wait=True)
        said = []
        hanging.made[2].steps = iter([lambda: said.append(capture.status), 5])
        capture.start()
        assert capture.opened.wait(5)
        capture.check_opened()
        ended(capture)
        assert capture.error is None and capture.lost == 0
        assert (said[0].state, said[0].message) == ("waiting", "no permission")
        frame = capture.slot.take(0)
        assert frame is not None and frame.seq == 5

    def test_an_option_that_is_wrong_does_not_become_right_by_waiting(self) -> None:
        source = ScriptedSource([0], live=True)
        source.open_errors = [UsageError("no such size")]  # type: ignore[list-item]
        capture = Capture(source, wait=True)
        capture.start()
        ended(capture)
        with pytest.raises(UsageError, match="no such size"):
            capture.check_opened()

    def test_the_pulse_goes_with_every_try(self) -> None:
        source = ScriptedSource([0], live=True)
        source.open_errors = [SourceError("not yet")] * 10_000
        capture = Capture(source, wait=True)
        capture.start()
        until(lambda: capture.pulse > 10)
        assert not capture.hopeless
        capture.stop()
        ended(capture)
