"""``mqtt://user@broker/edgecam?password=file:/etc/edgecam/mqtt``: what happens, to a broker.

``mqtts://`` is encrypted. Events wait in a queue on the disk while the broker is away and reach it at least
once; everything else is retained, and its newest is sent when the broker is there again. ``docs/mqtt.md``
explains the topics.

Options:
    user, password: how to sign in; ``env:NAME`` and ``file:PATH`` keep a password out of sight.
    ca, cert, key, tls_verify: with ``mqtts://``; PEM files.
    client_id, version, qos: of MQTT; ``edgecam-DEVICE``, 5 and 1 unless said otherwise.
    snapshot: seconds between two pictures, 0 for none (also none of events); boxes: drawn into them.
    every: seconds between two messages of health.
    homeassistant: ``yes``, or the prefix of its discovery; labels: that get a sensor of their own.
    commands: whether the switches are heard.
    queue, queue_count, queue_size: where events wait (``memory`` for not on the disk), and how many at most.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from edgecam.errors import EdgecamError
from edgecam.outbox import Outbox, open_outbox, outbox_options
from edgecam.quantities import parse_duration
from edgecam.registry import URI, choice, parse_bool, parse_names
from edgecam.sinks.base import SinkContext
from edgecam.sinks.mqtt import homeassistant
from edgecam.sinks.mqtt.server import read_server, server_options
from edgecam.sinks.mqtt.talk import Talk
from edgecam.sinks.mqtt.topics import Topics, check_base
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Packet, QueueState

#: Seconds for which the last messages are waited for at the end: of a camera, and of a file.
_LIVE_DRAIN, _FILE_DRAIN = 1.0, 20.0


class MqttSink(WorkerSink):
    """Tells a broker what happens."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=64, tick=0.5)
        self._options = uri.options(
            **server_options(),
            **outbox_options(),
            qos=(_qos, 1),
            snapshot=(parse_duration, 0.0),
            boxes=(parse_bool, False),
            every=(parse_duration, 30.0),
            homeassistant=(_prefix, ""),
            labels=(parse_names, ()),
            commands=(parse_bool, True),
        )
        self._uri = uri
        self._server = read_server(uri, self._options)
        parts = urlsplit(uri.text)
        self._base = check_base(unquote(parts.path) + ("#" if parts.fragment else "")) or "edgecam"
        self._outbox: Outbox | None = None
        self._talk: Talk | None = None

    @property
    def trouble(self) -> str:
        """Why events do not arrive for now, or ""."""
        if self._talk is None:
            return ""
        why = self._talk.trouble
        return why and f"mqtt: {why}"

    @property
    def queue(self) -> QueueState:
        return QueueState() if self._outbox is None else self._outbox.state

    def _open(self, context: SinkContext) -> None:
        topics = Topics(self._base, context.device_id)
        what = (self._server.name, topics.root)
        self._outbox = open_outbox(self._options, "mqtt", what, lambda line: context.report(f"mqtt: {line}"))
        self._talk = Talk(self._server, self._options, context, topics, self._outbox)
        try:
            self._talk.link.start()
        except EdgecamError:
            self._outbox.close()
            raise
        context.report(f"mqtt: {topics.root}/... at {self._server.name}")

    def _handle(self, packet: Packet) -> None:
        assert self._talk is not None
        self._talk.take(packet)
        self._talk.tend()

    def _idle(self) -> None:
        assert self._talk is not None
        self._talk.tend()

    def _finish(self) -> None:
        if self._talk is not None and self._outbox is not None and self._context is not None:
            self._talk.leave(_LIVE_DRAIN if self._context.live else _FILE_DRAIN)
            self._outbox.close()


def _qos(text: str) -> int:
    return int(choice("0", "1", "2")(text))


def _prefix(text: str) -> str:
    """``yes``, ``no``, or a prefix of discovery."""
    try:
        return homeassistant.PREFIX if parse_bool(text) else ""
    except ValueError:
        return check_base(text)
