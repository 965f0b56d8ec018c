"""Pictures read, decoded and prepared by threads, so that the network never waits for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Out = TypeVar("Out")

AHEAD = 4  # prepared pictures that wait, for each thread


def ahead(work: Callable[[Item], Out], items: Sequence[Item], threads: int = 0) -> Iterator[Out]:
    """``map``, in order, computed a little ahead by threads.

    Args:
        work: what to do with one item; its error is raised where its result would be given.
        items: what to do it with.
        threads: how many, 0 for one per core that this process may use.
    """
    count = threads or len(os.sched_getaffinity(0))
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="pictures") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > count * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
