"""A network camera over HTTP, in this process, with the bad habits of real ones."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from edgecam import jpeg
from edgecam.registry import parse_uri
from edgecam.sources.synthetic import SyntheticSource

SCENE = SyntheticSource(parse_uri("synthetic:?size=320x240"))

USER, PASSWORD = "viewer", "p:ss@w/rd"


def picture(seq: int) -> bytes:
    """Frame ``seq`` of the synthetic scene as JPEG."""
    return jpeg.encode(SCENE.render(seq), 90)


Handler = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; a route of :class:`HttpCamera` answers it with these."""

    protocol_version = "HTTP/1.1"
    camera: HttpCamera
    chunked = False

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.camera.requests.append(self.path)
        self.close_connection = True
        route = self.camera.routes.get(self.path.partition("?")[0])
        try:
            if route is None:
                self.answer(404, b"not here", "text/plain")
            else:
                route(self)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def start(self, kind: str, *, status: int = 200, chunked: bool = False, **headers: str) -> None:
        self.chunked = chunked
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        if self.chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
        self.wfile.write(data)
        self.wfile.flush()

    def answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.start(kind, status=status, Content_Length=str(len(body)), **headers)
        self.send(body)


class HttpCamera:
    """Serves ``routes`` on a free port of 127.0.0.1 while its ``with`` block lasts."""

    def __init__(self, **routes: Handler) -> None:
        self.routes = {"/" + name.replace("__", "."): route for name, route in routes.items()}
        self.requests: list[str] = []
        self.closing = threading.Event()
        handler = type("Handler", (Request,), {"camera": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}/{path}"

    def secure(self, cert: Path, key: Path) -> None:
        """From now on speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        # The handshake belongs to the request's thread, not to the one that accepts.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def __enter__(self) -> HttpCamera:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def mjpeg(
    frames: int = 5,
    *,
    boundary: str = "frame",
    announced: str | None = None,
    length: bool = True,
    newline: bytes = b"\r\n",
    chunked: bool = False,
    data: Callable[[int], bytes] = picture,
    then: Callable[[Request], None] | None = None,
) -> Handler:
    """A stream of ``frames`` pictures; ``then`` is done with the connection still open."""

    def handle(request: Request) -> None:
        told = boundary if announced is None else announced
        request.start(f"multipart/x-mixed-replace;boundary={told}", chunked=chunked)
        for seq in range(frames):
            body = data(seq)
            head = [b"--" + boundary.encode(), b"Content-Type: image/jpeg"]
            if length:
                head.append(b"Content-Length: %d" % len(body))
            request.send(newline.join([*head, b"", body, b""]))
        request.send(b"--" + boundary.encode() + newline)
        if then is not None:
            then(request)

    return handle


def hang(request: Request) -> None:
    """Keep the connection and send nothing, until the camera is closed."""
    request.camera.closing.wait(30)


def behind_basic(route: Handler) -> Handler:
    def handle(request: Request) -> None:
        if request.headers.get("Authorization") == "Basic dmlld2VyOnA6c3NAdy9yZA==":  # viewer:p:ss@w/rd
            route(request)
        else:
            request.answer(401, b"", "text/html", WWW_Authenticate='Basic realm="camera, front"')

    return handle


def behind_digest(route: Handler, algorithm: str = "MD5", qop: bool = True) -> Handler:
    """Checks the answer as RFC 7616 writes it down, on its own."""
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    tail = (', qop="auth,auth-int"' if qop else "") + (f", algorithm={algorithm}" if algorithm else "")
    hashed = hashlib.sha256 if "256" in algorithm else hashlib.md5

    def h(text: str) -> str:
        return hashed(text.encode()).hexdigest()

    def handle(request: Request) -> None:
        given = request.headers.get("Authorization", "")
        fields = {k: a or b for k, a, b in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', given)}
        ha1, ha2 = h(f"{USER}:cam:{PASSWORD}"), h(f"GET:{request.path}")
        extra = f"{fields.get('nc')}:{fields.get('cnonce')}:auth:" if qop else ""
        right = h(f"{ha1}:{nonce}:{extra}{ha2}")
        if given.startswith("Digest ") and fields.get("response") == right and fields["username"] == USER:
            route(request)
        else:
            challenge = f'Digest realm="cam", nonce="{nonce}", opaque="x=y,z"{tail}'
            request.answer(401, b"", "text/html", WWW_Authenticate=challenge)

    return handle


def counting(make: Callable[[int], Handler]) -> Handler:
    """A route that answers each request with the next handler."""
    numbers: Iterator[int] = iter(range(1_000_000))
    return lambda request: make(next(numbers))(request)
