"""The sink's life, its options, its page files, events and health."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from edgecam.errors import SinkError, UnknownNameError, UsageError
from edgecam.registry import sink_uri
from edgecam.sinks.web import WebSink, streams
from tests.sinks.web_support import (
    TIMEOUT,
    Camera,
    Events,
    Reports,
    Viewer,
    classes,
    make,
    noise,
    running,
    web_threads,
)


@pytest.fixture(scope="module")
def sink() -> Iterator[WebSink]:
    with running() as sink:
        yield sink


def test_it_listens_on_loopback_and_tells_where() -> None:
    reports = Reports()
    with running("web:?port=0", reports) as sink:
        where = urlsplit(sink.url)
        assert where.hostname == "127.0.0.1" and where.port
        assert sink.link == sink.url
        assert reports.lines == [f"page: {sink.url}"]
        assert httpx.get(sink.url).status_code == 200


def test_ipv6_addresses_work() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback: sysctl net.ipv6.conf.lo.disable_ipv6=0")
    with running("web://[::1]:0") as sink:
        assert sink.url.startswith("http://[::1]:")
        assert httpx.get(sink.url).status_code == 200


@pytest.mark.parametrize("text", ["web", "web:", "web:9000", "web://:9000", "web://127.0.0.1:9000/"])
def test_short_forms(text: str) -> None:
    WebSink(sink_uri(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("web:?quality=0", "from 1 to 100"),
        ("web:?quality=high", "from 1 to 100"),
        ("web:?fps=0", "from 0.1"),
        ("web:?fps=nan", "from 0.1"),
        ("web:?port=70000", "from 0 to 65535"),
        ("web:?insecure=maybe", "yes or no"),
        ("web:here", "web://0.0.0.0:9000"),
        ("web://me:secret@0.0.0.0:9000", "web://0.0.0.0:9000"),
        ("web://host:port", "web://host:port"),
        ("web://0.0.0.0:9000/path", "web://0.0.0.0:9000"),
    ],
)
def test_wrong_options_say_what_is_right(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        WebSink(sink_uri(text))
    assert "secret" not in str(caught.value)


def test_a_misspelt_option_names_the_right_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quality'"):
        WebSink(sink_uri("web:?qualty=80"))


def test_a_port_in_use_is_told_at_once_with_the_remedy() -> None:
    with running() as first:
        port = urlsplit(first.url).port
        reports = Reports()
        sink = make(f"web:?port={port}")
        threads = web_threads()
        with pytest.raises(
            SinkError, match=rf"port {port} is in use: choose another \(web:\?port={port + 1}\)"
        ):
            sink.start(reports.context())
        assert reports.lines == []
        assert web_threads() == threads
        sink.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [("web://192.0.2.1:0", "no address 192.0.2.1"), ("web://no-such-host.invalid:0", "unknown host")],
)
def test_an_address_of_another_machine_is_refused(text: str, says: str) -> None:
    with pytest.raises(SinkError, match=says):
        make(text).start(Reports().context())


def test_the_port_is_free_again_after_close() -> None:
    with running() as sink, Viewer(sink):
        port = urlsplit(sink.url).port
    with running(f"web:?port={port}") as again:
        assert urlsplit(again.url).port == port


def test_close_ends_everything_though_clients_hang_on() -> None:
    camera = Camera()
    with running() as sink:
        where = urlsplit(sink.url)
        stuck = socket.create_connection((where.hostname, where.port), timeout=TIMEOUT)
        stuck.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        silent = socket.create_connection((where.hostname, where.port), timeout=TIMEOUT)
        with httpx.Client() as idle, Viewer(sink) as viewer, Events(sink) as events:
            idle.get(f"{sink.url}healthz")
            for number in range(30):  # more than the stuck client's socket holds
                sink.push(camera.packet(noise(number % 3)))
                viewer.part()
            sink.close()
            assert web_threads() == []
            assert viewer.response.read() == b""
            while events.block() not in ([], ["event: bye", "data: {}"]):
                pass
            assert silent.recv(1) == b""
        for sock in (stuck, silent):
            sock.close()
        sink.push(camera.packet())  # late: ignored
        sink.close()
    assert sink.failed == ""


def test_events_are_the_packets_records_with_the_status() -> None:
    camera = Camera()
    with running() as sink, Events(sink) as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        packets = (
            camera.packet(),
            camera.packet(result=classes()),
            camera.packet(state="waiting", message="x"),
        )
        for number, (packet, relay) in enumerate(zip(packets, (False, False, None), strict=True), 1):
            sink.push(packet)
            event = events.event()
            assert 0 <= event.pop("age") < TIMEOUT
            more = {"number": number, "relay": relay, "status": packet.status.as_dict()}
            assert event == packet.record() | more


def test_a_listener_gets_the_newest_event_first() -> None:
    camera = Camera()
    with running() as sink:
        for _ in range(5):
            sink.push(camera.packet())
        with Events(sink) as events:
            assert events.event()["seq"] == 4


def test_a_slow_listener_skips_to_the_newest() -> None:
    camera = Camera()
    with running() as sink, Events(sink, "/events?fps=1") as slow, Events(sink) as fast:
        sink.push(camera.packet())
        assert slow.event()["seq"] == 0
        assert fast.event()["seq"] == 0
        for number in range(1, 8):
            sink.push(camera.packet())
            assert fast.event()["seq"] == number
        assert slow.event()["seq"] == 7


def test_a_wrong_event_rate_is_refused(sink: WebSink) -> None:
    assert httpx.get(f"{sink.url}events?fps=often").status_code == 400


def test_a_silent_event_stream_is_kept_alive_and_ends_with_good_bye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.02)
    with running() as sink, Events(sink) as events:
        assert [events.block() for _ in range(2)] == [[": keep-alive"]] * 2
        sink.close()
        blocks = []
        while not blocks or blocks[-1]:
            blocks.append(events.block())
        assert blocks[-2] == ["event: bye", "data: {}"]


def health(sink: WebSink) -> tuple[int, dict[str, object]]:
    answer = httpx.get(f"{sink.url}healthz")
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


def test_health_follows_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera()
    with running() as sink:
        assert health(sink) == (503, {"state": "starting", "reason": "no picture yet", "age": None})
        sink.push(camera.packet())
        code, body = health(sink)
        assert (code, body["state"], body["reason"]) == (200, "running", "")
        sink.push(camera.packet(state="waiting", message="unplugged"))
        code, body = health(sink)
        assert (code, body["state"], body["reason"]) == (503, "waiting", "unplugged")
        sink.push(camera.packet(state="ended"))
        assert health(sink)[0] == 503
        monkeypatch.setattr("edgecam.sinks.web.health.STALE", -1.0)
        sink.push(camera.packet())
        code, body = health(sink)
        assert (code, body["state"]) == (503, "degraded")
        assert "s old" in str(body["reason"])


def test_status_counts_viewers() -> None:
    with running() as sink, Viewer(sink) as viewer, Events(sink) as events:
        packet = Camera().packet()
        sink.push(packet)
        viewer.part()
        events.event()
        body = httpx.get(f"{sink.url}api/status").json()
        assert (body["viewers"], body["listeners"], body["encoded"], body["dropped"]) == (1, 1, 1, 0)
        assert body["status"] == packet.status.as_dict()
        assert body["health"] == "running"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html"),
        ("page.js", "text/javascript"),
        ("page.css", "text/css"),
        ("favicon.svg", "image/svg+xml"),
    ],
)
def test_page_files_are_revalidated_by_etag(sink: WebSink, path: str, kind: str) -> None:
    answer = httpx.get(sink.url + path)
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache"
    etag = answer.headers["etag"]
    for known in (etag, f"W/{etag}", f'"older", {etag}'):
        again = httpx.get(sink.url + path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(sink.url + path, headers={"if-none-match": '"older"'}).status_code == 200


def test_the_page_asks_no_other_machine_and_is_small(sink: WebSink) -> None:
    files = [httpx.get(sink.url + name).text for name in ("", "page.js", "page.css", "favicon.svg")]
    everything = "".join(files).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "//" not in everything.replace("// ", "")
    assert len(everything.encode()) < 36_000


def test_head_of_an_endless_stream_ends(sink: WebSink) -> None:
    for path in ("stream.mjpg", "events"):
        answer = httpx.head(sink.url + path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_unknown_paths_and_methods(sink: WebSink) -> None:
    assert httpx.get(f"{sink.url}etc/passwd").status_code == 404
    assert httpx.post(f"{sink.url}snapshot.jpg").status_code == 405
