"""Events to a real HTTP server that takes them, refuses them, hangs, or is away."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgecam import posting
from edgecam.backoff import Backoff
from edgecam.errors import SinkError, UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.webhook import WebhookSink
from tests.helpers.broker import free_port
from tests.helpers.waiting import until
from tests.sinks.mqtt.support import context, seen
from tests.sinks.support import Listener


class Hook:
    """A receiver. ``answers`` are the next statuses; then it takes everything (200)."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []
        self.always = 200
        self.retry_after = ""
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.taken: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.asked.append((self.path, headers, body))
                status = hook.answers.pop(0) if hook.answers else hook.always
                if status == 200:
                    hook.taken.append(json.loads(body))
                self.send_response(status)
                if status in (301, 307):
                    self.send_header("Location", "/elsewhere")
                if hook.retry_after:
                    self.send_header("Retry-After", hook.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.taken]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with contextlib.closing(Hook()) as hook:
        yield hook


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(posting, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(posting, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(posting, "SLOW_PAUSE", 0.3)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextlib.contextmanager
def started(uri: str, live: bool = True) -> Iterator[tuple[WebhookSink, Listener]]:
    sink, listener = WebhookSink(parse_uri(uri)), Listener()
    sink.start(context(listener, live=live))
    try:
        yield sink, listener
    finally:
        sink.close()
        assert not sink.failed


def some(sink: WebhookSink, first: int, last: int) -> None:
    for number in range(first, last):
        sink.push(seen(number, [("start", f"e-{number}")]))
        until("taken", lambda: len(sink._queue) < 32)


def names(first: int, last: int) -> list[str]:
    return [f"e-{number}" for number in range(first, last)]


def test_a_step_is_a_signed_post(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "a secret")
    with started(f"webhook:http://127.0.0.1:{hook.port}/in%3Fkey=7?secret=env:HOOK&token=let-me-in") as (
        sink,
        _,
    ):
        some(sink, 0, 2)
        until("both came", lambda: len(hook.taken) == 2)
    path, headers, body = hook.asked[0]
    assert path == "/in?key=7" and headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer let-me-in"
    record = json.loads(body)
    assert record["id"] == "e-0" and record["phase"] == "start" and record["device"] == "cam-1"
    assert record["model"]["version"] == "1.2.0" and record["n"] == 1
    # As a receiver checks it.
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(b"a secret", text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["webhook-id"] != hook.asked[1][1]["webhook-id"]
    assert sink.name.startswith(f"webhook:http://127.0.0.1:{hook.port}/...") and len(sink.name) < 45


def test_the_path_is_a_secret() -> None:
    uri = parse_uri("webhook:https://me:pw@hooks.example/services/T0/B0/XYZ?secret=abc&phases=end")
    assert uri.safe == "webhook:https://***@hooks.example/***?secret=***&phases=end"
    for shown in (WebhookSink(uri).name, repr(WebhookSink(uri)._receiver)):
        assert not [word for word in ("XYZ", "pw", "abc", "services") if word in shown]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification: secret, id, time, body and signature."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    name = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert posting.sign(key, name, 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_hour_of_500_is_bounded_counted_and_in_order(hook: Hook) -> None:
    hook.always = 500
    with started(f"webhook:http://127.0.0.1:{hook.port}/?queue_count=50") as (sink, listener):
        some(sink, 0, 120)
        until("the oldest went", lambda: sink.queue.dropped == 70)
        until("it was tried again", lambda: len(hook.asked) >= 5)
        assert sink.trouble == f"webhook: http://127.0.0.1:{hook.port} answers 500 Internal Server Error"
        assert len([line for line in listener.reports if "answers 500" in line]) == 1
        assert sink.queue.waiting == 50 and not sink.dropped
        hook.always = 200
        until("all that was promised came", lambda: hook.ids == names(70, 120))
        until("it is over", lambda: not sink.trouble and sink.queue.waiting == 0)
        assert listener.reports[-1].endswith("takes events again")


def test_the_pauses_of_an_hour() -> None:
    """With the pauses as they are shipped, an hour is some twenty tries."""
    for chance in (0.0, 0.999):
        backoff, tries, now = Backoff(1.0, 300.0, lambda chance=chance: chance), 0, 0.0
        while now < 3600:
            now += backoff.pause()
            tries += 1
        assert 15 <= tries <= 30
    backoff.reset()
    assert backoff.pause() <= 1.0 < backoff.pause(least=60.0)


def test_what_waits_is_sent_by_the_next_run(hook: Hook) -> None:
    port = free_port()
    uri = f"webhook:http://127.0.0.1:{port}/"
    with started(uri) as (sink, _):
        some(sink, 0, 10)
        until("it is a state", lambda: "cannot be reached (Connection refused)" in sink.trouble)
    with contextlib.closing(Hook(port)) as there, started(uri) as (sink, _):
        some(sink, 10, 12)
        until("all came, in order", lambda: there.ids == names(0, 12))


def test_each_is_sent_at_least_once_when_the_receiver_dies_in_between() -> None:
    first = Hook()
    with started(f"webhook:http://127.0.0.1:{first.port}/") as (sink, _):
        some(sink, 0, 5)
        until("some came", lambda: len(first.taken) >= 1)
        first.close()
        some(sink, 5, 15)
        second = Hook(first.port)
        until("the rest came", lambda: "e-14" in second.ids)
        second.close()
    assert sorted({*first.ids, *second.ids}, key=lambda name: int(name[2:])) == names(0, 15)


def test_a_name_stays_over_tries(hook: Hook) -> None:
    hook.answers = [503, 503]
    with started(f"webhook:http://127.0.0.1:{hook.port}/?queue=memory&secret=x") as (sink, _):
        some(sink, 0, 1)
        until("it came", lambda: hook.taken)
    assert len({headers["webhook-id"] for _, headers, _ in hook.asked}) == 1 and len(hook.asked) == 3


def test_what_the_receiver_never_takes_is_dropped_and_said(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [422, 400]
    with started(f"webhook:http://127.0.0.1:{hook.port}/?queue=memory") as (sink, _):
        some(sink, 0, 4)
        until("the others came", lambda: hook.ids == names(2, 4))
        assert sink._courier is not None and sink._courier.refused == 2
    assert "answers 422 Unprocessable" in caplog.text and "the event is dropped" in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404, 301, 307])
def test_what_somebody_must_mend_is_tried_seldom(hook: Hook, status: int) -> None:
    hook.always = status
    with started(f"webhook:http://127.0.0.1:{hook.port}/?queue=memory") as (sink, _):
        some(sink, 0, 1)
        until("it is said", lambda: f"answers {status}" in sink.trouble)
        assert sink.queue.waiting == 1
        assert ("give the address" in sink.trouble) == (status < 400)
    assert {path for path, _, _ in hook.asked} == {"/"}, "a redirect is not followed"


def test_it_waits_as_long_as_it_is_asked_to(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert posting._judged(429, "120") == posting.Answer("later", "answers 429 Too Many Requests", 120.0)
    assert posting._judged(503, "Wed, 21 Oct 2026 07:28:00 GMT").wait == 0.0


def test_a_receiver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"webhook:http://127.0.0.1:{server.getsockname()[1]}/?queue=memory&timeout=0.1s"
        with started(uri) as (sink, _):
            some(sink, 0, 1)
            until("it is said", lambda: "does not answer" in sink.trouble)


def test_a_port_that_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    peer.recv(10_000)
                    peer.sendall(b"220 mail.example ESMTP\r\n")
                    peer.close()

        threading.Thread(target=greet, daemon=True).start()
        with started(f"webhook:http://127.0.0.1:{server.getsockname()[1]}/?queue=memory") as (sink, _):
            some(sink, 0, 1)
            until("it is said", lambda: sink.trouble)
            assert "speaks no HTTP (BadStatusLine)" in sink.trouble


def test_rules_and_phases(hook: Hook) -> None:
    uri = f"webhook:http://127.0.0.1:{hook.port}/?queue=memory&rules=door,gate&phases=start,end"
    with started(uri) as (sink, _):
        sink.push(seen(0, [("start", "a")], rule="other"))
        sink.push(seen(1, [("start", "b"), ("update", "b"), ("end", "b")], rule="gate"))
        until(
            "they came", lambda: [(r["id"], r["phase"]) for r in hook.taken] == [("b", "start"), ("b", "end")]
        )


def test_a_file_delivers_all_before_it_ends(hook: Hook) -> None:
    with started(f"webhook:http://127.0.0.1:{hook.port}/?queue=memory", live=False) as (sink, _):
        some(sink, 0, 50)
    assert hook.ids == names(0, 50)


def test_a_clock_that_jumps(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    real, jump = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])
    with started(f"webhook:http://127.0.0.1:{hook.port}/?secret=x") as (sink, _):
        for number, jump[0] in enumerate((0.0, -1e8, 1e9, 0.0)):
            some(sink, number, number + 1)
            until("it came", lambda number=number: len(hook.taken) == number + 1)
    assert hook.ids == names(0, 4) and [record["n"] for record in hook.taken] == [1, 2, 3, 4]


def test_tls(hook: Hook, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed: apt install openssl")
    make = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=hook"
    command = [openssl, *make.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    papers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    papers.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    hook.server.socket = papers.wrap_socket(hook.server.socket, server_side=True)
    uri = f"webhook:https://127.0.0.1:{hook.port}/?queue=memory"
    with started(uri) as (sink, _):
        some(sink, 0, 1)
        until("it is not trusted", lambda: "certificate that is not trusted" in sink.trouble)
    assert not hook.taken
    with started(f"{uri}&ca={tmp_path / 'cert.pem'}") as (sink, _):
        some(sink, 0, 1)
        until("it came", lambda: hook.ids == names(0, 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("webhook:", "names no receiver"),
        ("webhook:ftp://host/", "names no receiver"),
        ("webhook:host/path", "names no receiver"),
        ("webhook:http://host:x/", "is not a URL"),
        ("webhook:http://host/a b", "names no receiver"),
        ("webhook:http://host/?secret=env:NOT_THERE", "NOT_THERE is not set"),
        ("webhook:http://host/?secret=whsec_!!", "is no base64"),
        ("webhook:https://host/?ca=/not/there", "/not/there cannot be used"),
        ("webhook:http://host/?phases=begin", "expected some of start, update, end"),
    ],
)
def test_wrong_addresses(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        WebhookSink(parse_uri(text))


def test_a_wrong_option_and_a_queue_that_is_in_use(hook: Hook) -> None:
    with pytest.raises(UnknownNameError, match="secret"):
        WebhookSink(parse_uri("webhook:http://host/?secrt=x"))
    uri = f"webhook:http://127.0.0.1:{hook.port}/"
    with started(uri), pytest.raises(SinkError, match="in use by another edgecam"), started(uri):
        pass
