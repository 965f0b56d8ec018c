"""A connection to a broker that comes back by itself.

::

    publish(retained) ─► newest of each topic ─┐
                                               ├► the link's thread ─► paho's thread ─► broker
    Outbox (on the disk) ──────────────────────┘

Every connection is a session of its own: what the one before did not get acknowledged is sent again, events
from the outbox and of retained topics their newest. So nothing depends on what a broker remembers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgecam.backoff import Backoff
from edgecam.errors import SinkError
from edgecam.outbox import Outbox
from edgecam.sinks.mqtt.client import Message as Message
from edgecam.sinks.mqtt.server import Server
from edgecam.sinks.mqtt.session import Mail, Purpose, Session

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds between tries where another one right now will not help: a wrong password, a twin.
SLOW_PAUSE = 60.0
#: Seconds after which a connection counts as a good one: the pauses begin with the shortest again.
STEADY = 5.0


class Link:
    """Connects, publishes, subscribes, and does so again when the broker comes back.

    Args:
        server: the broker.
        report: tells the user one line.
        will: what the broker says when this device goes away without a word.
        outbox: whose entries are delivered, oldest first, each at least once.
        qos: of those.
        heard: called with (topic, body, retained) for each message of a subscription, on a thread of the
            link: it must return soon.

    Attributes:
        trouble: why there is no connection, or "".
        connected: how often there was one.
    """

    def __init__(
        self,
        server: Server,
        report: Callable[[str], None],
        *,
        will: Message | None = None,
        outbox: Outbox | None = None,
        qos: int = 1,
        heard: Callable[[str, bytes, bool], None] = lambda topic, body, retained: None,
    ) -> None:
        self.trouble = ""
        self.connected = 0
        self._server = server
        self._report = report
        self._purpose = Purpose(will, outbox, qos, heard, self._greeted)
        self._mail = Mail()
        self._session: Session | None = None
        self._said = ""
        self._slow = False
        self._thread = threading.Thread(target=self._run, name=f"mqtt {server.name}", daemon=True)

    @property
    def up(self) -> bool:
        """There is a connection."""
        session = self._session
        return session is not None and session.up

    def start(self) -> None:
        """Begin to connect; a broker that is away is no error.

        Raises:
            SinkError: paho-mqtt is not installed.
        """
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError as error:
            raise SinkError("paho-mqtt is not installed", "pip install 'edgecam[mqtt]'") from error
        self._thread.start()

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Hear of a topic (``+`` and ``#`` are allowed), over every new connection. Before :meth:`start`."""
        self._purpose.subscriptions.append((topic, qos))

    def publish(self, message: Message) -> None:
        """Send it when there is a connection. Of each topic only the newest waits for one.

        A retained message is sent again with every new connection; another one only with the first.
        """
        with self._mail.bell:
            if message.retain:
                self._mail.kept[message.topic] = message
            self._mail.fresh[message.topic] = message
            self._mail.bell.notify_all()

    def kept(self, topic: str) -> bytes | None:
        """What was last published there to be retained."""
        with self._mail.bell:
            message = self._mail.kept.get(topic)
            return None if message is None else message.body

    def ring(self) -> None:
        """There is something new in the outbox."""
        with self._mail.bell:
            self._mail.bell.notify_all()

    def slow_down(self) -> None:
        """After the connection in hand take your time to make the next one."""
        self._slow = True

    def wait_up(self, seconds: float) -> bool:
        """Wait for a connection; False if there is none."""
        with self._mail.bell:
            return self._mail.bell.wait_for(lambda: self.up, seconds)

    def close(self, seconds: float = 1.0) -> None:
        """Deliver what can be within ``seconds`` if there is a connection, take leave, end the thread."""
        with self._mail.bell:
            if not self._mail.closing:
                self._mail.deadline = time.monotonic() + seconds
            self._mail.closing = True
            self._mail.bell.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds + 1.5)

    def _run(self) -> None:
        backoff, mail = Backoff(FIRST_PAUSE, LONGEST_PAUSE), self._mail
        while not mail.closing:
            self._slow = False
            began = time.monotonic()
            session = self._session = Session(self._server, self._purpose, mail)
            why = session.run()
            if session.up and time.monotonic() - began > STEADY:
                backoff.reset()
            session.up = False
            if why is None:
                return
            self._down(why)
            pause = backoff.pause(SLOW_PAUSE if session.slow or self._slow else 0.0)
            with mail.bell:
                mail.bell.wait_for(lambda: mail.closing, pause)

    def _greeted(self) -> None:
        """The broker has let us in; on paho's thread."""
        self.connected += 1
        self.trouble = ""
        if self._said:
            self._said = ""
            self._report(f"mqtt: broker {self._server.name} is there again")

    def _down(self, why: str) -> None:
        self.trouble = f"broker {self._server.name} {why}"
        if self.trouble != self._said:
            self._said = self.trouble
            self._report(f"mqtt: {self.trouble}; trying again")
