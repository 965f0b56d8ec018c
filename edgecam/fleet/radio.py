"""A connection for a while: to fetch a model, or to look at the fleet. It does not come back by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgecam.errors import EdgecamError
from edgecam.sinks.mqtt import client as mqtt
from edgecam.sinks.mqtt import reasons
from edgecam.sinks.mqtt.server import Server

if TYPE_CHECKING:
    from paho.mqtt.client import Client

WINDOW = 16  # messages on their way at once
SECONDS = 30.0  # for the broker to answer


class Radio:
    """
    Args:
        server: the broker.
        heard: called with (topic, body) for each message, on paho's thread.

    Attributes:
        lost: why the connection has ended, "" while it is there.
    """

    def __init__(self, server: Server, heard: Callable[[str, bytes], None]) -> None:
        self.lost = ""
        self._server = server
        self._heard = heard
        self._changed = threading.Condition()
        self._up = False
        self._flying: set[int] = set()
        self._early: set[int] = set()
        try:
            self._client = mqtt.make(server, None, self)
        except ImportError as error:
            raise EdgecamError("paho-mqtt is not installed", "pip install 'edgecam[mqtt]'") from error

    def open(self) -> Radio:
        """Connect.

        Raises:
            EdgecamError: the broker is away, or does not let us in.
        """
        name = self._server.name
        try:
            self._client.connect(self._server.host, self._server.port, self._server.keepalive)
        except Exception as error:  # whatever the network thinks up
            words, _ = reasons.of_exception(error, self._server.tls is not None)
            raise EdgecamError(f"broker {name} {words}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._up or self.lost, mqtt.CONNECT_SECONDS)
            if not self._up:
                self.close()
                raise EdgecamError(f"broker {name} {self.lost or 'does not answer'}")
        return self

    def subscribe(self, topics: Sequence[str]) -> None:
        if topics:
            self._client.subscribe([(topic, 1) for topic in topics])

    def unsubscribe(self, topics: Sequence[str]) -> None:
        if topics:
            self._client.unsubscribe(list(topics))

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Send, at least once. Blocks while too much is on its way.

        Raises:
            EdgecamError: the connection is gone.
        """
        self._wait(lambda: len(self._flying) < WINDOW)
        info = self._client.publish(topic, body, 1, retain)
        with self._changed:
            if info.mid in self._early:
                self._early.discard(info.mid)
            else:
                self._flying.add(info.mid)

    def flush(self) -> None:
        """Wait until all has arrived.

        Raises:
            EdgecamError: the connection is gone, or the broker does not answer.
        """
        self._wait(lambda: not self._flying)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._client.disconnect()
            self._client.loop_stop()

    def __enter__(self) -> Radio:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        with self._changed:
            while not done() and not self.lost:
                left = end - time.monotonic()
                if left <= 0:
                    raise EdgecamError(f"broker {self._server.name} does not answer", "is it overloaded?")
                self._changed.wait(left)
            if self.lost:
                raise EdgecamError(
                    f"broker {self._server.name} {self.lost}", "try again: it goes on from there"
                )

    # -- called by paho, on its thread

    def on_connect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None:
        with self._changed:
            if code.is_failure:
                self.lost, _ = reasons.of_refusal(str(code))
            else:
                self._up = True
            self._changed.notify_all()

    def on_disconnect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None:
        with self._changed:
            self.lost = self.lost or reasons.of_loss(str(code), self._up)
            self._changed.notify_all()

    def on_publish(self, client: Client, data: Any, mid: int, code: Any, properties: Any) -> None:
        with self._changed:
            if mid in self._flying:
                self._flying.discard(mid)
            else:
                self._early.add(mid)
            if code.is_failure:
                self.lost = self.lost or f"does not let this user publish ({code})"
            self._changed.notify_all()

    def on_subscribe(self, client: Client, data: Any, mid: int, codes: Any, properties: Any) -> None:
        if any(code.is_failure for code in codes):
            with self._changed:
                self.lost = self.lost or "refuses a subscription: check its access list"
                self._changed.notify_all()

    def on_message(self, client: Client, data: Any, message: Any) -> None:
        self._heard(message.topic, message.payload)
