"""One connection while the broker takes nothing: what goes on its way is bounded, and nobody spins."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from edgecam.outbox import MEMORY, Bounds, Outbox
from edgecam.sinks.mqtt.client import Message
from edgecam.sinks.mqtt.server import Server
from edgecam.sinks.mqtt.session import WINDOW, Mail, Purpose, Session
from tests.helpers.waiting import until


@dataclass
class Sent:
    mid: int
    rc: int = 0


@dataclass
class DeafClient:
    """Takes messages and never hears that they have arrived."""

    sent: list[str] = field(default_factory=list)

    def publish(self, topic: str, *_: Any) -> Sent:
        self.sent.append(topic)
        return Sent(len(self.sent))


class Counting(Session):
    rounds = 0

    def _note_arrived(self) -> None:
        self.rounds += 1
        super()._note_arrived()


def test_a_broker_that_acknowledges_nothing() -> None:
    outbox = Outbox(MEMORY, Bounds(), print)
    outbox.put([(f"event/{number}", b"x") for number in range(100)])
    mail = Mail()
    session = Counting(Server("nowhere", 1), Purpose(None, outbox, 1, lambda *_: None, lambda: None), mail)
    client = DeafClient()
    thread = threading.Thread(target=session._deliver, args=(client,), daemon=True)
    mail.fresh = {f"state/{number}": Message(f"state/{number}", b"1", retain=True) for number in range(150)}
    thread.start()
    until("it has sent what it may", lambda: len(client.sent) >= 150)
    for number in range(50):  # later states replace one another: none is sent now
        with mail.bell:
            mail.fresh["state/0"] = Message("state/0", b"%d" % number, retain=True)
            mail.bell.notify_all()
    events = [topic for topic in client.sent if topic.startswith("event/")]
    assert len(client.sent) - len(events) == 150 and len(events) <= WINDOW
    assert outbox.waiting == 100, "nothing has arrived, so nothing is forgotten"
    before = session.rounds
    time.sleep(0.3)
    assert session.rounds - before < 10, "it waits, and does not spin"
    with mail.bell:
        mail.closing = True
        mail.bell.notify_all()
    thread.join(10)
    assert not thread.is_alive()
