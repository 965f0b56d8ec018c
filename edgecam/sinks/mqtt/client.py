"""paho's client, made for one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgecam.sinks.mqtt.server import Server

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """What is published."""

    topic: str
    body: bytes
    qos: int = 1
    retain: bool = False


class Hears(Protocol):
    """Who is called back, on paho's thread. Codes are paho's ``ReasonCode``."""

    def on_connect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None: ...

    def on_disconnect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None: ...

    def on_publish(self, client: Client, data: Any, mid: int, code: Any, properties: Any) -> None: ...

    def on_subscribe(self, client: Client, data: Any, mid: int, codes: Any, properties: Any) -> None: ...

    def on_message(self, client: Client, data: Any, message: Any) -> None: ...


def make(server: Server, will: Message | None, hears: Hears) -> Client:
    """A client that has not connected yet, and that ends with its connection."""
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    five = server.version == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=server.client_id,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        clean_session=None if five else True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_SECONDS
    if server.user:
        client.username_pw_set(server.user, server.password or None)
    if server.tls is not None:
        client.tls_set_context(server.tls)
    if will is not None:
        client.will_set(will.topic, will.body, will.qos, will.retain)
    client.on_connect = hears.on_connect
    client.on_disconnect = hears.on_disconnect
    client.on_publish = hears.on_publish
    client.on_message = hears.on_message
    client.on_subscribe = hears.on_subscribe
    return client
