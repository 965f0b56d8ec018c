"""A GET whose answer may never end, for cameras: log-in, redirects, time-outs, and a close from any thread.

``urllib`` would do most of it, but not close a stream that another thread waits on, nor answer a camera that
asks for SHA-256; and it would send requests for a camera in this network through a proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from dataclasses import replace
from urllib.parse import urljoin

import edgecam
from edgecam.errors import SourceError, SourceLostError, UsageError
from edgecam.redact import printable
from edgecam.registry import parse_uri
from edgecam.sources.auth import authorization
from edgecam.sources.network import DEFAULT_PORTS, Address, address, connect, refusal

_MAX_HOPS = 8
_CHUNK = 64 * 1024


class HttpStream:
    """The body of an answer. ``read`` in one thread; ``close`` in any.

    Attributes:
        status: 200, 401, ...
        reason: the words after it.
        content_type: as sent, "" if it was not.
    """

    def __init__(self, to: Address, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self._to = to
        self._sock = sock
        self._response = response
        self._closed = False
        self.status = response.status
        self.reason = response.reason
        self.content_type = response.headers.get("Content-Type", "")
        self.challenges = response.headers.get_all("WWW-Authenticate", [])
        self.location = response.headers.get("Location", "")

    def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end.

        Raises:
            SourceLostError: the connection broke, nothing came for too long, or another thread closed it.
        """
        try:
            data = self._response.read1(_CHUNK)
        except TimeoutError as error:
            raise SourceLostError(
                f"the camera at {self._to.at} sends nothing any more", "it is tried again"
            ) from error
        # A socket that another thread closes fails in many ways.
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            self._check_closed()
            raise SourceLostError(f"the camera at {self._to.at} broke the connection ({error})") from error
        if not data:
            self._check_closed()
        return data

    def _check_closed(self) -> None:
        if self._closed:
            raise SourceLostError("the source was closed while it was being read")

    def close(self) -> None:
        self._closed = True
        # Only a shutdown ends a read that waits in another thread.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._sock.close()


def get(to: Address, timeout: float, verify: bool = True) -> HttpStream:
    """Ask for ``to``; log in and follow redirects as needed.

    Args:
        to: credentials are sent only if they are asked for, and only to this host.
        timeout: seconds for connecting and for each read.
        verify: check the certificate of https.

    Returns:
        The answer, its status is 200.

    Raises:
        SourceError: anything else, with a line that tells what to do.
    """
    login = ""
    for _ in range(_MAX_HOPS):
        stream = _request(to, login, timeout, verify)
        if stream.status == 200:
            return stream
        stream.close()
        if stream.status == 401 and to.user and not login:
            login = authorization(stream.challenges, "GET", to.target, to.user, to.password)
            if not login:
                raise SourceError(
                    f"the camera at {to.at} asks for a log-in of an unknown kind", "allow Basic or Digest"
                )
        elif stream.status in {301, 302, 303, 307, 308} and stream.location:
            to, login = _redirected(to, stream.location), ""
        else:
            raise refusal(to, stream.status, stream.reason)
    raise SourceError(f"the camera at {to.at} sends us round in circles", "give the final address")


def _request(to: Address, login: str, timeout: float, verify: bool) -> HttpStream:
    sock = connect(to, timeout, verify)
    connection = http.client.HTTPConnection(to.host, to.port, timeout=timeout)
    connection.sock = sock
    headers = {"User-Agent": f"edgecam/{edgecam.__version__}", "Accept": "*/*", "Connection": "close"}
    if (to.scheme, to.port) == ("https", DEFAULT_PORTS["https"]):
        headers["Host"] = to.at.removesuffix(":443")
    if login:
        headers["Authorization"] = login
    try:
        connection.request("GET", to.target, headers=headers)
        return HttpStream(to, sock, connection.getresponse())
    except http.client.InvalidURL as error:
        sock.close()
        raise UsageError(f"{to.at}: {error}", "write a space as %20") from error
    except TimeoutError as error:
        sock.close()
        raise SourceError(f"{to.at} does not answer within {timeout:g} s", "restart the camera") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        sock.close()
        raise SourceError(f"what listens at {to.at} speaks no HTTP", "check the port") from error


def _redirected(to: Address, location: str) -> Address:
    uri = parse_uri(urljoin(to.bare, location))
    if uri.scheme not in {"http", "https"}:
        raise SourceError(f"the camera at {to.at} sends us to {printable(uri.safe)}", "use that address")
    new = address(uri)
    same = (new.host, new.port) == (to.host, to.port) or (new.host == to.host and new.scheme == "https")
    return replace(new, user=to.user, password=to.password) if same else new
