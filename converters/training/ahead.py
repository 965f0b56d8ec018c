"""Work done a little ahead of its use, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_AHEAD = 4  # batches


def ahead(make: Callable[[int], Any], count: int, threads: int) -> Iterator[Any]:
    """``make(0)``, ``make(1)``, ... in order, some of them made ahead in threads."""
    with ThreadPoolExecutor(threads, "feed") as pool:
        waiting: deque[Future[Any]] = deque()
        try:
            for number in range(count):
                waiting.append(pool.submit(make, number))
                if len(waiting) > _AHEAD + threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
