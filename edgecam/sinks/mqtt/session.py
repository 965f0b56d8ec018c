"""One connection to a broker, from its beginning to its end."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecam.outbox import Outbox
from edgecam.sinks.mqtt import reasons
from edgecam.sinks.mqtt.client import CONNECT_SECONDS, Message, make
from edgecam.sinks.mqtt.server import Server

if TYPE_CHECKING:
    from paho.mqtt.client import Client

log = logging.getLogger(__name__)

WINDOW = 20  # entries of the outbox that may be on their way
_MOST_FLYING = 5 * WINDOW  # messages of any kind, over which no state is sent: only its newest counts
_ANY_SIZE = 1 << 28  # bytes; MQTT's own bound of a message


@dataclass
class Mail:
    """What is to be sent; outlives a session. All but ``bell`` is guarded by it.

    Attributes:
        bell: rung at each change.
        kept: retained topics at their newest.
        fresh: what is to be sent now, by topic.
        closing: send what can be until ``deadline`` (monotonic seconds), then end.
    """

    bell: threading.Condition = field(default_factory=threading.Condition)
    kept: dict[str, Message] = field(default_factory=dict)
    fresh: dict[str, Message] = field(default_factory=dict)
    closing: bool = False
    deadline: float = 0.0


@dataclass
class Purpose:
    """What a connection is for; see :class:`edgecam.sinks.mqtt.link.Link`."""

    will: Message | None
    outbox: Outbox | None
    qos: int
    heard: Callable[[str, bytes, bool], None]
    greeted: Callable[[], None]
    subscriptions: list[tuple[str, int]] = field(default_factory=list)


class Session:
    """Connects and delivers. :meth:`run` is called once, on the link's thread.

    Attributes:
        up: the broker has let us in, and the connection is there.
        slow: another try right now will not help.
        refused: messages that the broker would not take.
    """

    def __init__(self, server: Server, purpose: Purpose, mail: Mail) -> None:
        self.up = self.slow = False
        self.refused = 0
        self._server = server
        self._purpose = purpose
        self._mail = mail
        self._most = _ANY_SIZE
        # Guarded by the mail's bell:
        self._lost = ""  # why it ended
        self._flying: dict[int, int] = {}  # message ids on their way, with the outbox's id or 0
        self._early: dict[int, Any] = {}  # acknowledged before their numbers were written down
        self._arrived: list[int] = []

    def run(self) -> str | None:
        """Why it ended, None if it was to be closed."""
        client = make(self._server, self._purpose.will, self)
        try:
            return self._run(client)
        except Exception as error:  # what paho or the network think up next must not end the link
            log.debug("mqtt %s", self._server.name, exc_info=error)
            why, slow = reasons.of_exception(error, self._server.tls is not None)
            self.slow = self.slow or slow
            return why
        finally:
            self._leave(client)

    def _run(self, client: Client) -> str | None:
        mail = self._mail
        client.connect(self._server.host, self._server.port, self._server.keepalive)
        client.loop_start()
        with mail.bell:
            mail.bell.wait_for(lambda: self.up or self._lost or mail.closing, CONNECT_SECONDS)
            if not self.up:
                return None if mail.closing else self._lost or "does not answer"
            mail.fresh = {**mail.kept, **mail.fresh}
        for topic, qos in self._purpose.subscriptions:
            client.subscribe(topic, qos)
        return self._deliver(client)

    def _deliver(self, client: Client) -> str | None:
        mail, outbox, sent = self._mail, self._purpose.outbox, 0
        while True:
            with mail.bell:
                fresh, room = {}, WINDOW - len(self._flying)
                if len(self._flying) < _MOST_FLYING:
                    fresh, mail.fresh = mail.fresh, {}
            self._note_arrived()
            for message in fresh.values():
                self._send(client, message, 0)
            entries = outbox.first(room, sent) if outbox is not None and room > 0 else []
            for entry in entries:
                self._send(client, Message(entry.topic, entry.body, self._purpose.qos), entry.id)
                sent = entry.id
            with mail.bell:
                if self._lost:
                    return self._lost
                if mail.closing and self._may_go(bool(entries)):
                    return None
                waits = bool(mail.fresh) and len(self._flying) < _MOST_FLYING
                if not (entries or self._arrived or waits):
                    mail.bell.wait(0.05 if mail.closing else 1.0)

    def _may_go(self, more: bool) -> bool:
        """All is delivered, or there is no time left. Under the lock."""
        waits = more or self._mail.fresh or self._flying or self._arrived
        return not waits or time.monotonic() > self._mail.deadline

    def _note_arrived(self) -> None:
        with self._mail.bell:
            arrived, self._arrived = self._arrived, []
        if arrived and self._purpose.outbox is not None:
            self._purpose.outbox.done(arrived)

    def _send(self, client: Client, message: Message, entry: int) -> None:
        if len(message.body) + len(message.topic) > self._most - 100:
            self._too_large(message, entry)
            return
        # Not under the lock: paho holds one of its own here, and holds it too when it calls on_publish.
        info = client.publish(message.topic, message.body, message.qos, message.retain)
        with self._mail.bell:
            if info.mid in self._early:
                self._settle(entry, self._early.pop(info.mid))
            elif info.rc == 0:
                self._flying[info.mid] = entry
            else:
                self._lost = self._lost or "went away"

    def _too_large(self, message: Message, entry: int) -> None:
        """The broker would end the connection at it, again and again."""
        log.warning("mqtt: broker %s takes no message of %d bytes", self._server.name, len(message.body))
        with self._mail.bell:
            self.refused += 1
            if entry:
                self._arrived.append(entry)

    def _settle(self, entry: int, code: Any) -> None:
        """The broker has answered to a message. Under the lock."""
        if code.is_failure:
            self.refused += 1
            log.debug("mqtt: broker %s refused a message: %s", self._server.name, code)
        if entry and code.is_failure:  # it stays in the queue: who may publish can be changed on the broker
            self._lost, self.slow = f"takes no events from this user ({code})", True
        elif entry:
            self._arrived.append(entry)

    def _leave(self, client: Client) -> None:
        """Take leave, so that the broker does not take it for a loss, and end paho's thread."""
        with contextlib.suppress(Exception):
            client.disconnect()
            client.loop_stop()
        self._note_arrived()

    # -- called by paho, on its thread

    def on_connect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None:
        with self._mail.bell:
            if code.is_failure:
                self._lost, slow = reasons.of_refusal(str(code))
                self.slow = self.slow or slow
            else:
                self._most = getattr(properties, "MaximumPacketSize", None) or _ANY_SIZE
                self.up = True
                self._purpose.greeted()
            self._mail.bell.notify_all()

    def on_disconnect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None:
        with self._mail.bell:
            self._lost = self._lost or reasons.of_loss(str(code), self.up)
            self.slow = self.slow or self._lost == reasons.TAKEN_OVER
            self._mail.bell.notify_all()

    def on_publish(self, client: Client, data: Any, mid: int, code: Any, properties: Any) -> None:
        with self._mail.bell:
            if mid in self._flying:
                self._settle(self._flying.pop(mid), code)
            else:
                self._early[mid] = code
            self._mail.bell.notify_all()

    def on_subscribe(self, client: Client, data: Any, mid: int, codes: Any, properties: Any) -> None:
        if any(code.is_failure for code in codes):
            log.warning("mqtt: broker %s refuses a subscription: commands are not heard", self._server.name)

    def on_message(self, client: Client, data: Any, message: Any) -> None:
        try:
            self._purpose.heard(message.topic, message.payload, bool(message.retain))
        except Exception as error:
            log.debug("mqtt: %s", message.topic, exc_info=error)
