"""One RTSP request (RFC 2326) to learn why a stream could not be opened: FFmpeg through OpenCV never says."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import edgecam
from edgecam.errors import SourceError
from edgecam.sources.auth import authorization
from edgecam.sources.network import Address, connect, refusal

_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True)
class _Answer:
    status: int
    reason: str
    challenges: tuple[str, ...]


def describe(to: Address, timeout: float) -> None:
    """Ask the camera to describe its stream; return if it does.

    Raises:
        SourceError: it cannot be reached, speaks no RTSP, wants another log-in, has no such stream.
    """
    # FFmpeg does not check certificates either.
    sock = connect(to, timeout, verify=False)
    try:
        answer = _ask(sock, to, 1, "")
        if answer.status == 401 and to.user:
            login = authorization(answer.challenges, "DESCRIBE", to.bare, to.user, to.password)
            if login:
                answer = _again(sock, to, timeout, login)
    except TimeoutError as error:
        raise SourceError(f"{to.at} does not answer within {timeout:g} s", "restart the camera") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"what listens at {to.at} speaks no RTSP", "check the port (often 554)") from error
    finally:
        sock.close()
    if answer.status != 200:
        raise refusal(to, answer.status, answer.reason)


def _again(sock: socket.socket, to: Address, timeout: float, login: str) -> _Answer:
    """The request with a log-in; on a new connection where the camera closed the first."""
    try:
        return _ask(sock, to, 2, login)
    except (ConnectionError, ValueError):
        fresh = connect(to, timeout, verify=False)
        try:
            return _ask(fresh, to, 2, login)
        finally:
            fresh.close()


def _ask(sock: socket.socket, to: Address, number: int, login: str) -> _Answer:
    lines = [
        f"DESCRIBE {to.bare} RTSP/1.0",
        f"CSeq: {number}",
        f"User-Agent: edgecam/{edgecam.__version__}",
        "Accept: application/sdp",
    ]
    if login:
        lines.append(f"Authorization: {login}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("utf-8"))
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(4096)
        if not chunk or len(data) > _MAX_ANSWER:
            break
        data += chunk
    return _parse(data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace"))


def _parse(head: str) -> _Answer:
    first, *lines = head.split("\r\n")
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("RTSP/") or not code.isdecimal():
        raise ValueError("not an RTSP answer")
    pairs = (line.partition(":") for line in lines)
    challenges = tuple(
        value.strip() for name, _, value in pairs if name.strip().lower() == "www-authenticate"
    )
    return _Answer(int(code), reason, challenges)
