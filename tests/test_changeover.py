"""Something is made on a thread of its own and handed over to the main loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edgecam.changeover import Changeover
from edgecam.errors import ModelError


class Shop:
    """Makes what it is asked for once the door is open."""

    def __init__(self) -> None:
        self.door = threading.Event()
        self.used: list[tuple[str, str]] = []
        self.discarded: list[str] = []
        self.changeover = Changeover(self.make, self.use, self.discarded.append)

    def make(self, name: str) -> str:
        assert self.door.wait(10)
        if name == "absent":
            raise ModelError("absent: no such file")
        if name == "bug":
            raise ZeroDivisionError("oh")
        return name.upper()

    def use(self, made: str) -> None:
        self.used.append((made, threading.current_thread().name))


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_caller_goes_on_and_takes_it_into_use_itself() -> None:
    shop = Shop()
    shop.changeover.begin("small")
    assert [shop.changeover.pending() for _ in range(3)] == [True] * 3 and shop.used == []
    shop.door.set()
    until(lambda: not shop.changeover.pending())
    assert shop.used == [("SMALL", threading.current_thread().name)]
    assert not shop.changeover.pending() and len(shop.used) == 1
    shop.changeover.begin("large")
    until(lambda: not shop.changeover.pending())
    assert [made for made, _ in shop.used] == ["SMALL", "LARGE"]
    shop.changeover.close()
    assert shop.discarded == []


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "absent: no such file"), ("bug", "ZeroDivisionError: oh")]
)
def test_what_cannot_be_made_is_said_once(name: str, reason: str) -> None:
    shop = Shop()
    shop.door.set()
    shop.changeover.begin(name)
    with pytest.raises(Exception, match=reason):
        until(lambda: not shop.changeover.pending())
    assert not shop.changeover.pending() and shop.used == []


def test_one_at_a_time() -> None:
    shop = Shop()
    shop.changeover.begin("small")
    with pytest.raises(RuntimeError):
        shop.changeover.begin("large")
    shop.door.set()


def test_what_comes_after_the_end_is_discarded() -> None:
    shop = Shop()
    shop.changeover.begin("small")
    shop.changeover.close(timeout=0.01)
    shop.door.set()
    until(lambda: shop.discarded == ["SMALL"])
    assert shop.used == []


def test_what_is_made_and_not_taken_is_discarded_at_the_end() -> None:
    shop = Shop()
    shop.door.set()
    shop.changeover.begin("small")
    until(lambda: bool(shop.changeover._made))
    shop.changeover.close()
    assert shop.discarded == ["SMALL"] and shop.used == []
