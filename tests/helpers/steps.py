"""What a step needs around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from converters.steps.base import Advance


class Heard:
    """Keeps what a step says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.done: list[tuple[int, int | None]] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        yield lambda done, total: self.done.append((done, total))
