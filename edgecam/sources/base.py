"""What every source does."""

from __future__ import annotations

from typing import Protocol

from edgecam.types import Frame


class Source(Protocol):
    """A place that frames come from. Made from a ``URI``; opens nothing until ``open``.

    Attributes:
        live: True if frames come by themselves in real time (the newest wins, drops are counted);
            False if each frame waits to be read (a file: every frame is seen, in order).
        name: what to show, without credentials.
        total: number of frames if known, else None.
        broken: pictures that could not be decoded and were skipped so far.

    A live source that paces itself may have an attribute ``patience`` too: the seconds after which a read is
    late. Any other one hangs after 10 s, and is then replaced by a new one.
    """

    live: bool
    name: str
    total: int | None
    broken: int

    def open(self) -> None:
        """Open the device or file; also called again after a loss.

        Raises:
            UsageError: an option that the source cannot have.
            SourceError: it cannot be opened; one line that names the remedy.
        """

    def read(self) -> Frame | None:
        """The next frame, or None at the end. Blocks at most a few seconds.

        A picture that cannot be decoded is skipped, counted in ``broken`` and named once in the log.

        Raises:
            SourceLostError: a live source went away; ``open`` may be tried again.
            SourceError: the source failed for good.
        """

    def close(self) -> None:
        """Release everything; safe to call twice and from another thread."""
