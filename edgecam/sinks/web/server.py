"""uvicorn on a thread of its own, on a socket that was bound beforehand."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from edgecam.errors import SinkError
from edgecam.sinks.web.door import Door, protocol

log = logging.getLogger(__name__)

#: Unsent bytes that the kernel takes over. Little, because what lies there can no longer be replaced by a
#: newer picture: on a slow network this is the difference between a late picture and a very late one.
UNSENT_LIMIT = 128 * 1024
#: Seconds after which a peer that takes nothing (a phone that left the network) is given up.
PEER_TIMEOUT = 30
#: Bytes of a request's line and headers.
HEAD_LIMIT = 16 * 1024


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Raises:
        SinkError: the port is taken or not allowed, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SinkError(f"web: unknown host {host!r}", "use 127.0.0.1, 0.0.0.0 or an own address") from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        _tune(sock)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise _explain(error, host, port) from error
    return sock


def _explain(error: OSError, host: str, port: int) -> SinkError:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8080
        return SinkError(
            f"web: port {port} is in use",
            f"choose another (web:?port={other}), or see who has it: ss -ltnp 'sport = :{port}'",
        )
    if error.errno == errno.EACCES:
        return SinkError(f"web: port {port} is not allowed", "choose a port above 1023 (web:?port=8080)")
    if error.errno == errno.EADDRNOTAVAIL:
        return SinkError(f"web: this machine has no address {host}", "use 127.0.0.1, or 0.0.0.0 for all")
    return SinkError(f"web: cannot listen on {host} port {port} ({error.strerror})", "choose another address")


def _tune(sock: socket.socket) -> None:
    """Options that accepted connections inherit."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    for name, value in {
        "TCP_KEEPIDLE": PEER_TIMEOUT,
        "TCP_KEEPINTVL": PEER_TIMEOUT // 3,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": PEER_TIMEOUT * 1000,
        "TCP_NOTSENT_LOWAT": UNSENT_LIMIT,
    }.items():
        option = getattr(socket, name, None)  # Linux has them all
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


class ServerThread:
    """Runs an ASGI application until :meth:`close`.

    Args:
        loop: the event loop to run on; closed at the end.
        connections: served at once; more get "503". Bounds memory: each holds two pictures at most. Half as
            many may come from one address, half as many again are let in to wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: int) -> None:
        self.failed = ""
        self._connections = connections
        self._loop = loop
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, app: ASGIApp, sock: socket.socket, certificate: tuple[Path, Path] | None = None) -> None:
        """
        Args:
            sock: see :func:`bind`; it is taken over.
            certificate: files of certificate and key, for TLS.
        """
        most = self._connections
        door = Door(sock, self._loop, most=most * 3 // 2, each=most // 2)
        config = uvicorn.Config(
            app,
            http=protocol(door),
            h11_max_incomplete_event_size=HEAD_LIMIT,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            # Never: an access log would hold tokens.
            access_log=False,
            server_header=False,
            limit_concurrency=most,
            timeout_graceful_shutdown=5,
            ssl_certfile=None if certificate is None else certificate[0],
            ssl_keyfile=None if certificate is None else certificate[1],
        )
        self._server = uvicorn.Server(config)
        # uvicorn takes signals in the main thread only; here they are the pipeline's.
        self._thread = threading.Thread(
            target=self._run, args=(self._server, door), name="edgecam-web-server", daemon=True
        )
        self._thread.start()

    def _run(self, server: uvicorn.Server, sock: socket.socket) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(server.serve(sockets=[sock]))
        except Exception as error:
            log.exception("web: the server failed")
            self.failed = f"the web server failed: {error}"
        finally:
            sock.close()

    def close(self, grace: float, timeout: float) -> None:
        """End politely within ``grace`` seconds; then cut the connections of those who do not read."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(grace)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cut)
            self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("web: the server did not end in time")

    def _cut(self) -> None:
        assert self._server is not None
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
