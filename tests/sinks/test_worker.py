"""Sinks with a thread of their own."""

import threading
import time

import pytest

from edgecam.errors import SinkError
from edgecam.sinks import worker
from edgecam.sinks.base import SinkContext
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Packet

from .support import PATIENCE, Listener, packet


class Slow(WorkerSink):
    """Takes a packet when the test lets it."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__("slow:", depth)
        self.gate = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.seen: list[int] = []
        self.finished = 0
        self.error: Exception | None = None
        self.error_at_end: Exception | None = None

    def _handle(self, packet: Packet) -> None:
        self.began.release()
        self.gate.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error
        self.seen.append(packet.frame.seq)

    def _finish(self) -> None:
        self.finished += 1
        if self.error_at_end is not None:
            raise self.error_at_end


def started(live: bool, **options: int) -> tuple[Slow, Listener]:
    sink, listener = Slow(**options), Listener()
    sink.start(listener.context(live))
    return sink, listener


def release(sink: Slow, count: int = 100) -> None:
    sink.gate.release(count)


def test_live_drops_the_oldest_and_counts_when_full() -> None:
    sink, _ = started(live=True)
    sink.push(packet(0))
    assert sink.began.acquire(timeout=PATIENCE)  # 0 is being handled, the queue is empty
    for seq in range(1, 6):
        sink.push(packet(seq))
    assert sink.dropped == 3
    release(sink)
    sink.close()
    assert sink.seen == [0, 4, 5] and sink.failed == ""


def test_not_live_waits_and_loses_nothing() -> None:
    sink, _ = started(live=False)
    pushing = threading.Thread(target=lambda: [sink.push(packet(seq)) for seq in range(20)])
    pushing.start()
    assert sink.began.acquire(timeout=PATIENCE)
    assert pushing.is_alive()  # 20 packets do not fit into a queue of 2
    release(sink)
    pushing.join(PATIENCE)
    sink.close()
    assert sink.seen == list(range(20)) and sink.dropped == 0


@pytest.mark.parametrize("live", [True, False])
def test_an_error_is_reported_once_and_the_pipeline_goes_on(live: bool) -> None:
    sink, listener = started(live)
    sink.error = SinkError("the disk is full", "make room")
    release(sink)
    for seq in range(10):
        sink.push(packet(seq))  # also when full: a dead thread never holds the pipeline
    sink.close()
    assert sink.failed == "the disk is full: make room"
    assert listener.reports == ["slow: stopped: the disk is full: make room"]
    assert sink.finished == 1


def test_a_push_that_waits_is_freed_when_the_thread_dies() -> None:
    sink, _ = started(live=False)
    pushing = threading.Thread(target=lambda: [sink.push(packet(seq)) for seq in range(10)])
    pushing.start()
    assert sink.began.acquire(timeout=PATIENCE)
    sink.error = RuntimeError("bug")
    release(sink)
    pushing.join(PATIENCE)
    assert not pushing.is_alive()
    sink.close()
    assert sink.failed == "RuntimeError: bug"


def test_an_error_of_the_system_is_named_without_its_number() -> None:
    sink, listener = started(live=True)
    sink.error = OSError(28, "No space left on device")
    release(sink)
    sink.push(packet())
    assert listener.reported.wait(PATIENCE)
    sink.close()
    assert sink.failed == "No space left on device"


def test_an_error_at_the_end_is_a_failure_too() -> None:
    sink, listener = started(live=True)
    sink.error_at_end = SinkError("cannot finish the file")
    sink.close()
    assert sink.failed == "cannot finish the file" and len(listener.reports) == 1


def test_close_ends_the_thread_and_may_be_called_twice_or_without_start() -> None:
    sink, _ = started(live=True)
    thread = sink._thread
    assert thread is not None and thread.name == "sink slow:"
    sink.close()
    sink.close()
    assert not thread.is_alive() and sink.finished == 1
    sink.push(packet())
    assert sink.seen == []
    Slow().close()


def test_close_gives_up_on_a_hung_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LIVE_CLOSE_SECONDS", 0.2)
    sink, listener = started(live=True)
    sink.push(packet())
    assert sink.began.acquire(timeout=PATIENCE)
    sink.close()
    assert "did not finish within 0.2 s" in sink.failed and listener.reports
    thread = sink._thread
    release(sink)
    assert thread is not None
    thread.join(PATIENCE)


def test_close_leaves_out_what_a_slow_live_sink_cannot_do_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LIVE_CLOSE_SECONDS", 2.0)
    now = [1000.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    sink, _ = started(live=True)
    sink.push(packet(0, captured=0.0))
    assert sink.began.acquire(timeout=PATIENCE)
    for seq in (1, 2):
        sink.push(packet(seq, captured=0.0))
    closing = threading.Thread(target=sink.close)
    closing.start()
    while not sink._closing:
        time.sleep(0.001)
    now[0] += 10
    release(sink)
    closing.join(PATIENCE)
    assert sink.seen == [0] and sink.dropped == 2 and sink.finished == 1


class BrokenOpen(Slow):
    def _open(self, context: SinkContext) -> None:
        raise SinkError("no such folder")


class BrokenAttach(Slow):
    def _attach(self) -> None:
        raise SinkError("no such folder")


@pytest.mark.parametrize("broken", [BrokenOpen, BrokenAttach])
def test_what_opening_raises_start_raises(broken: type[Slow]) -> None:
    sink, listener = broken(), Listener()
    with pytest.raises(SinkError, match="no such folder"):
        sink.start(listener.context())
    sink.close()
    assert sink._thread is None and sink.finished == 0 and not listener.reports


def test_a_tick_comes_while_no_packet_does() -> None:
    class Ticking(Slow):
        def _idle(self) -> None:
            self.began.release()

    sink = Ticking()
    sink._tick = 0.001
    sink.start(Listener().context())
    for _ in range(3):
        assert sink.began.acquire(timeout=PATIENCE)
    sink.close()
    assert sink.finished == 1
