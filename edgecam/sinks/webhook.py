"""``webhook:https://host/path?secret=env:HOOK_SECRET``: a POST of JSON for each step of an event.

Steps wait in a queue on the disk until the receiver has taken them: each is sent at least once, in order,
with growing pauses while it does not answer. With a secret they are signed as Standard Webhooks says
(https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, an
HMAC-SHA256. ``docs/webhook.md`` shows how to check it.

Options (a ``?`` of the receiver's own is written ``%3F``):
    secret: what to sign with; token: sent as ``Authorization: Bearer``. See :mod:`edgecam.references`.
    ca: PEM file of the CA that the receiver's certificate is from.
    rules, phases: names of rules, and of ``start``, ``update``, ``end``; without them all.
    timeout: seconds for an answer.
    queue, queue_count, queue_size: where steps wait (``memory`` for not on the disk), and how many at most.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from edgecam import references
from edgecam.envelope import Numbered
from edgecam.errors import UsageError
from edgecam.outbox import Outbox, open_outbox, outbox_options
from edgecam.posting import Courier, Receiver
from edgecam.quantities import parse_duration
from edgecam.registry import URI
from edgecam.sinks.base import SinkContext
from edgecam.sinks.choosing import event_options, wanted
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Packet, QueueState

#: Seconds for which the last steps are waited for at the end: of a camera, and of a file.
_LIVE_DRAIN, _FILE_DRAIN = 1.0, 20.0
_SHARP = "whsec_"  # what a secret in base64 begins with


class WebhookSink(WorkerSink):
    """Posts steps of events."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=64)
        self._options = uri.options(
            **outbox_options(),
            **event_options(),
            secret=(str, ""),
            token=(str, ""),
            ca=(str, ""),
            timeout=(parse_duration, 10.0),
        )
        self._receiver = _receiver(uri, self._options)
        # The path is the key to many a receiver: it is not shown, a mark tells one from another.
        mark = hashlib.sha256(self._receiver.url.encode()).hexdigest()[:4]
        self.name = f"webhook:{self._receiver.name}/...{mark}"
        self._outbox: Outbox | None = None
        self._courier: Courier | None = None
        self._message: Numbered | None = None

    @property
    def trouble(self) -> str:
        """Why steps do not arrive for now, or ""."""
        if self._courier is None or self._outbox is None:
            return ""
        why = self._courier.trouble or self._outbox.trouble
        return why and f"webhook: {why}"

    @property
    def queue(self) -> QueueState:
        return QueueState() if self._outbox is None else self._outbox.state

    def _open(self, context: SinkContext) -> None:
        def say(line: str) -> None:
            context.report(f"webhook: {line}")

        what = (self._receiver.name, self._receiver.url, context.device_id)
        self._outbox = open_outbox(self._options, "webhook", what, say)
        self._message = Numbered(context.device_id)
        self._courier = Courier(self._receiver, self._outbox, say)
        self._courier.start()
        context.report(f"webhook: events to {self._receiver.name}")

    def _handle(self, packet: Packet) -> None:
        assert self._outbox is not None and self._courier is not None and self._message is not None
        steps = [event for event in packet.events if wanted(event, self._options)]
        if steps:
            self._outbox.put([self._message.named(event, packet.status) for event in steps])
            self._courier.ring()

    def _finish(self) -> None:
        if self._courier is not None and self._outbox is not None and self._context is not None:
            self._courier.close(_LIVE_DRAIN if self._context.live else _FILE_DRAIN)
            self._outbox.close()


def _receiver(uri: URI, options: dict[str, Any]) -> Receiver:
    """Whom the URI names."""
    form = "write webhook:https://host/path"
    try:
        parts = urlsplit(uri.path)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{uri.safe} is not a URL", form) from error
    strange = any(ord(c) <= 32 or ord(c) > 126 for c in uri.path)
    if parts.scheme not in ("http", "https") or not host or strange:
        raise UsageError(f"{uri.safe} names no receiver", form)
    place = f"[{host}]" if ":" in host else host
    netloc = place if port is None else f"{place}:{port}"
    headers = {}
    if options["token"]:
        headers["Authorization"] = f"Bearer {references.value(options['token'])}"
    elif parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return Receiver(
        url=urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, "")),
        name=f"{parts.scheme}://{netloc}",
        headers=headers,
        key=_key(options["secret"]),
        context=_tls(options["ca"]) if parts.scheme == "https" else None,
        timeout=options["timeout"],
    )


def _key(text: str) -> bytes:
    """What signs; b"" for no signature."""
    value = references.value(text)
    if not value.startswith(_SHARP):
        return value.encode()
    try:
        return base64.b64decode(value.removeprefix(_SHARP), validate=True)
    except ValueError as error:
        raise UsageError(
            "webhook: the secret begins with whsec_ and is no base64", "copy it whole"
        ) from error


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(Path(ca).expanduser()) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"webhook: {ca} cannot be used ({error})", "ca= names a PEM file") from error
