"""A model fetched from the broker, piece by piece, a few at a time: as fast as this device takes them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from edgecam.errors import ModelError
from edgecam.fleet.radio import WINDOW, Radio
from edgecam.fleet.wire import PIECE, Manifest, Tree
from edgecam.sinks.mqtt.server import Server

PATIENCE = 30.0  # seconds without a piece after which the rest is not waited for


class Fetch:
    """
    Args:
        server: the broker; the connection gets the client id in it.
        tree: the topics.
        sha256: of the model.
        check: raises what speaks against the model before its pieces come.
        patience: seconds.
        stopped: set when the run ends.
    """

    def __init__(
        self,
        server: Server,
        tree: Tree,
        sha256: str,
        check: Callable[[Manifest], None],
        stopped: threading.Event,
        patience: float = PATIENCE,
    ) -> None:
        self._server = replace(server, client_id=f"{server.client_id}-fetch" if server.client_id else "")
        self._tree = tree
        self._sha256 = sha256
        self._check = check
        self._stopped = stopped
        self._patience = patience
        self._changed = threading.Condition()
        self._manifest: bytes | None = None
        self._pieces: dict[int, bytes] = {}

    def run(self, progress: Callable[[int, int], None] = lambda done, pieces: None) -> tuple[Manifest, bytes]:
        """The manifest and the model.

        Raises:
            EdgecamError: it is not there, not whole, or what ``check`` raises.
        """
        with Radio(self._server, self._hear) as radio:
            radio.subscribe([self._tree.manifest(self._sha256)])
            self._await(radio, lambda: bool(self._manifest), "the model is not on the broker")
            manifest = Manifest.decode(self._manifest or b"")
            if manifest.sha256 != self._sha256:
                raise ModelError("the manifest is of another model", "push the model again")
            self._check(manifest)
            parts = []
            for first in range(0, manifest.pieces, WINDOW):
                window = range(first, min(first + WINDOW, manifest.pieces))
                parts += self._take(radio, manifest, window)
                progress(window.stop, manifest.pieces)
        data = b"".join(parts)
        if len(data) != manifest.size or hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise ModelError(f"{manifest.name} arrived damaged: it has another hash", "push the model again")
        return manifest, data

    def _take(self, radio: Radio, manifest: Manifest, window: range) -> list[bytes]:
        topics = [self._tree.piece(self._sha256, number) for number in window]
        radio.subscribe(topics)
        what = f"{manifest.name} arrived cut off: {{}} of {manifest.pieces} pieces"
        self._await(radio, lambda: all(n in self._pieces for n in window), what, window.start)
        radio.unsubscribe(topics)
        with self._changed:
            return [self._pieces.pop(number) for number in window]

    def _await(self, radio: Radio, done: Callable[[], bool], what: str, before: int = 0) -> None:
        """Wait while anything comes."""
        seen, since = -1, time.monotonic()
        with self._changed:
            while not done():
                if len(self._pieces) != seen:
                    seen, since = len(self._pieces), time.monotonic()
                if radio.lost:
                    raise ModelError(f"broker {self._server.name} {radio.lost}", "push the model again")
                if self._stopped.is_set() or time.monotonic() - since > self._patience:
                    raise ModelError(what.format(before + len(self._pieces)), "push the model again")
                self._changed.wait(0.2)

    def _hear(self, topic: str, body: bytes) -> None:
        last = topic.rpartition("/")[2]
        with self._changed:
            if topic == self._tree.manifest(self._sha256):
                self._manifest = body
            elif last.isdecimal() and 0 < len(body) <= PIECE and len(self._pieces) <= 2 * WINDOW:
                self._pieces[int(last)] = body
            self._changed.notify_all()
