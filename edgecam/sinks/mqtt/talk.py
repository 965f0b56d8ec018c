"""One run's conversation with the broker."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgecam import jpeg
from edgecam.envelope import Numbered, encode, model_of
from edgecam.errors import FrameError
from edgecam.outbox import Outbox
from edgecam.sinks.base import SinkContext
from edgecam.sinks.mqtt import homeassistant
from edgecam.sinks.mqtt.board import Board
from edgecam.sinks.mqtt.ear import Switches, Twin
from edgecam.sinks.mqtt.link import Link, Message
from edgecam.sinks.mqtt.server import Server
from edgecam.sinks.mqtt.topics import OFFLINE, ONLINE, Topics
from edgecam.types import Packet, Status

_QUALITY = 85  # of pictures with boxes


class Talk:
    """Says what happens and hears what is asked.

    Args:
        server: the broker.
        options: of the sink.
        context: of the run.
        topics: of the device.
        outbox: where events wait.

    Attributes:
        link: the connection, not started yet.
    """

    def __init__(
        self, server: Server, options: Mapping[str, Any], context: SinkContext, topics: Topics, outbox: Outbox
    ) -> None:
        self._options = options
        self._context = context
        self._topics = topics
        self._outbox = outbox
        self.link = Link(
            replace(server, client_id=server.client_id or f"edgecam-{topics.device}"),
            context.report,
            will=Message(topics.online, OFFLINE.encode(), retain=True),
            outbox=outbox,
            qos=options["qos"],
            heard=self._heard,
        )
        self._board = Board(topics, context.scene, self.link.publish, options["every"])
        self._switches = Switches(topics, context.control, options["commands"], context.report)
        self._twin = Twin(topics, context.report)
        prefix = options["homeassistant"]
        self._discovery = homeassistant.topic(prefix, topics.device) if prefix else ""
        self._old_entities: dict[str, str] = {}  # Home Assistant's, as last heard
        self._status: Status | None = None
        self._facts: tuple[object, ...] = ()
        self._message = Numbered(topics.device)
        self._pictured_at = float("-inf")
        heard = (topics.birth, topics.online, *map(topics.set, self._switches.heard))
        for topic in (*heard, *([self._discovery] if prefix else [])):
            self.link.subscribe(topic)
        self._say(topics.online, ONLINE.encode())

    @property
    def trouble(self) -> str:
        """Why events do not arrive for now, or ""."""
        return self._twin.words or self.link.trouble or self._outbox.trouble

    def take(self, packet: Packet) -> None:
        """A packet: its events into the queue, the rest onto the board."""
        self._status = status = packet.status
        self._announce(status)
        if packet.events:
            self._outbox.put([(self._topics.event(e.rule), self._message(e, status)) for e in packet.events])
            self.link.ring()
        self._board.look(packet)
        self._picture(packet)

    def tend(self) -> None:
        """What is due without a packet."""
        self._board.tend(self._outbox.state, self._status)
        for topic, word in self._switches.now().items():
            self._say(topic, word.encode())

    def leave(self, seconds: float) -> None:
        """Say that this is the end, and deliver what can be."""
        if self._status is not None:
            self._board.end(self._outbox.state, self._status)
        self._say(self._topics.online, OFFLINE.encode())
        self.link.close(seconds)

    def _announce(self, status: Status) -> None:
        """Say who is there, at first and when it is another one: a model, a sensor."""
        entities = self._old_entities
        facts = (model_of(status), status.source, status.device, status.temperature is None, entities)
        if facts == self._facts:
            return
        self._facts = facts
        self._board.birth(status, self._context.scene, socket.gethostname())
        if self._discovery:
            self._say(self._discovery, encode(homeassistant.discovery(self._offer(status), entities)))

    def _offer(self, status: Status) -> homeassistant.Offer:
        """What there is for Home Assistant."""
        control, scene = self._context.control, self._context.scene
        return homeassistant.Offer(
            self._topics,
            scene,
            homeassistant.labels_of(scene, self._options["labels"]),
            snapshot=bool(self._options["snapshot"]),
            temperature=status.temperature is not None,
            pause="pause" in self._switches.heard,
            privacy="privacy" in self._switches.heard and control is not None and control.may_unveil,
        )

    def _picture(self, packet: Packet) -> None:
        """Publish the packet's picture, for those that look at the camera and for the events it shows."""
        every = self._options["snapshot"]
        if not every or packet.status.state == "ended":
            return
        topics = [self._topics.event_snapshot(e.rule) for e in packet.events if e.improved]
        now = time.monotonic()
        if now - self._pictured_at >= every:
            self._pictured_at = now
            topics.append(self._topics.snapshot)
        if not topics:
            return
        try:
            data = (
                jpeg.encode(packet.picture(), _QUALITY) if self._options["boxes"] else jpeg.of(packet.frame)
            )
        except FrameError:
            return
        for topic in topics:
            self.link.publish(Message(topic, data, retain=True))

    def _say(self, topic: str, body: bytes) -> None:
        """Publish, retained, if it is something else than what was said there."""
        if self.link.kept(topic) != body:
            self.link.publish(Message(topic, body, retain=True))

    def _heard(self, topic: str, body: bytes, retained: bool) -> None:
        """A message came; on the link's thread."""
        if topic == self._topics.birth:
            if self._twin.birth(body, retained):
                self.link.slow_down()
        elif topic == self._topics.online:
            # The last will of a connection that was cut comes late: we are here.
            if body == OFFLINE.encode() and self.link.kept(topic) == ONLINE.encode():
                self.link.publish(Message(topic, ONLINE.encode(), retain=True))
        elif topic == self._discovery:
            self._old_entities = self._old_entities | homeassistant.components_of(body)
        else:
            self._switches.command(topic, body, retained)
            for switch, word in self._switches.now().items():
                self._say(switch, word.encode())
