"""Who is inside: connections, counted from the moment they are accepted; who only waits is put out.

uvicorn counts requests; a peer that connects and says nothing, or a byte now and then, would stay forever and
use up the places and the file descriptors of the whole process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from edgecam.sinks.web.live import DIRECT

#: Connections at once, in all and of one address.
MOST = 96
EACH = 32
#: Seconds for what must come before a request can be answered: TLS handshake, request line and headers.
PATIENCE = 10.0


class Guest(socket.socket):
    """A connection that was accepted.

    Attributes:
        address: of the peer.
        busy: it gets an answer, or an endless stream; otherwise it is the first to go where room is needed.
    """

    door: Door
    address = ""
    busy = False
    timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        self.door.left(self)
        super().close()

    def put_out(self) -> None:
        """Cut it; the event loop then closes it."""
        self.door.left(self)
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Door(socket.socket):
    """A listening socket for asyncio that lets in :data:`MOST` at once.

    Args:
        sock: bound and listening; it is taken over.
        loop: the one that accepts.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        most: int = MOST,
        each: int = EACH,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.patience = patience
        self.loop = loop
        self.guests: dict[int, Guest] = {}
        self._most, self._each = most, each

    def accept(self) -> tuple[socket.socket, Any]:
        """The next who may come in; those for whom there is no room are cut at once."""
        while True:
            sock, peer = super().accept()
            address = str(peer[0]) if isinstance(peer, tuple) else ""
            guest = Guest(sock.family, sock.type, sock.proto, fileno=sock.detach())
            guest.door, guest.address = self, address
            if self._room(address):
                self.guests[guest.fileno()] = guest
                guest.timer = self.loop.call_later(self.patience, guest.put_out)
                return guest, peer
            guest.close()

    def _room(self, address: str) -> bool:
        mine = [guest for guest in self.guests.values() if guest.address == address]
        if len(mine) >= self._each:
            return _make_room(mine)
        return len(self.guests) < self._most or _make_room(list(self.guests.values()))

    def left(self, guest: Guest) -> None:
        """It is gone, or as good as gone."""
        if guest.timer is not None:
            guest.timer.cancel()
        if self.guests.get(guest.fileno()) is guest:
            del self.guests[guest.fileno()]


def _make_room(guests: list[Guest]) -> bool:
    """Put out the one that has waited longest without asking for anything."""
    for guest in guests:
        if not guest.busy:
            guest.put_out()
            return True
    return False


class Protocol(H11Protocol):
    """uvicorn's, with a bound for how long a request may take to come, and a short way for live responses."""

    door: Door
    _guest: Guest | None = None
    _overdue: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        app: Any = self.app

        async def introduced(scope: Any, receive: Any, send: Any) -> None:
            scope[DIRECT] = self
            await app(scope, receive, send)

        self.app = introduced

    def put(self, data: bytes) -> bool:
        """See :class:`edgecam.sinks.web.live.Direct`."""
        if not self.transport.is_closing():
            self.transport.write(data)
        return not self.flow.write_paused

    async def room(self) -> None:
        """See :class:`edgecam.sinks.web.live.Direct`."""
        await self.flow.drain()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._guest = self.door.guests.get(transport.get_extra_info("socket").fileno())
        if self._guest is not None and self._guest.timer is not None:
            self._guest.timer.cancel()
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _look(self) -> None:
        """While no answer is under way, what comes must become a request in time, however busily it drips."""
        busy = self.cycle is not None and not self.cycle.response_complete
        if self._guest is not None:
            self._guest.busy = busy
        if busy:
            self._forget()
        elif self._overdue is None and not self.transport.is_closing():
            self._overdue = self.loop.call_later(self.door.patience, self.transport.abort)

    def _forget(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


def protocol(at: Door) -> type[Protocol]:
    """The protocol for uvicorn, which makes one for each connection by itself."""
    return type("DoorProtocol", (Protocol,), {"door": at})
