"""What the sinks that keep files in a folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from edgecam.registry import URI
from edgecam.sinks.base import SinkContext
from edgecam.sinks.movie import Archive, folder_of, limit_options, make_limits
from edgecam.sinks.worker import WorkerSink


class KeepingSink(WorkerSink):
    """Keeps files of one kind in the folder that its URI names, within limits.

    Args:
        uri: of the sink.
        known: options that it takes beside those of the limits, as for :meth:`~edgecam.registry.URI.options`.

    Attributes:
        kind: what the names of its files begin with.
    """

    kind: ClassVar[str]

    def __init__(self, uri: URI, **known: tuple[Callable[[str], Any], Any]) -> None:
        super().__init__(uri.safe, depth=16, tick=1.0)
        self._folder = folder_of(uri)
        self._options = uri.options(**known, **limit_options())
        self._limits = make_limits(self._options)
        self._opened: Archive | None = None

    @property
    def trouble(self) -> str:
        """Why nothing is kept for now, or ""."""
        return "" if self._opened is None else self._opened.trouble

    @property
    def _archive(self) -> Archive:
        assert self._opened is not None
        return self._opened

    def _open(self, context: SinkContext) -> None:
        self._opened = Archive(self._folder, self.kind, self._limits, context.report)
        self._opened.open()

    def _idle(self) -> None:
        self._archive.tend()
