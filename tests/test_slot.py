"""One item between two threads."""

from __future__ import annotations

import threading
import time

from edgecam.slot import LatestSlot


def test_the_newest_wins_and_drops_are_counted() -> None:
    slot: LatestSlot[int] = LatestSlot()
    for i in range(5):
        slot.put(i)
    assert slot.take(0) == 4
    assert slot.dropped == 4
    assert slot.take(0) is None


def test_offer_waits_for_room() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.offer(1, 0)
    assert not slot.offer(2, 0.01)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(slot.take(5)))
    thread.start()
    assert slot.offer(2, 5)
    thread.join(5)
    assert taken == [1] and slot.take(0) == 2
    assert slot.dropped == 0


def test_a_few_may_wait_where_they_are_offered_and_come_in_order() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.room = 3
    assert [slot.offer(i, 0) for i in range(4)] == [True, True, True, False]
    assert [slot.take(0) for _ in range(4)] == [0, 1, 2, None]
    slot.offer(5, 0)
    slot.offer(6, 0)
    slot.put(7)
    assert slot.take(0) == 7 and slot.dropped == 2


def test_close_wakes_a_waiting_taker_and_leaves_the_last_item() -> None:
    slot: LatestSlot[int] = LatestSlot()
    began = time.monotonic()
    threading.Timer(0.05, slot.close).start()
    assert slot.take(30) is None
    assert time.monotonic() - began < 20
    full: LatestSlot[int] = LatestSlot()
    full.put(7)
    full.close()
    assert full.take(0) == 7
    assert not full.offer(8, 1)
