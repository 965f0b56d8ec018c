"""Items worked on ahead, in order."""

from __future__ import annotations

import threading

import pytest

from converters.judging.feed import AHEAD, ahead


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_in_order(threads: int) -> None:
    assert list(ahead(lambda n: n * n, range(50), threads)) == [n * n for n in range(50)]
    assert list(ahead(str, [], threads)) == []


def test_not_far_ahead() -> None:
    """A data set larger than the memory must pass through."""
    begun: list[int] = []
    results = ahead(lambda n: begun.append(n) or n, range(1000), 2)
    assert next(results) == 0
    assert len(begun) <= 2 * AHEAD + 1
    results.close()  # type: ignore[attr-defined]


def test_on_other_threads() -> None:
    """Two items that wait for each other."""
    both = threading.Barrier(2, timeout=30)
    assert len(list(ahead(lambda _: both.wait(), range(2), 2))) == 2
    assert set(ahead(lambda _: threading.current_thread().name, range(4), 2)) <= {"pictures_0", "pictures_1"}


def test_an_error_comes_in_its_place() -> None:
    results = ahead(lambda n: 1 // (n - 3), range(9), 2)
    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("pictures")]
