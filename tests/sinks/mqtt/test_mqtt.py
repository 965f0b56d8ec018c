"""What a real mosquitto hears of a run, through its restarts, its passwords and its certificates."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecam import identity, jpeg
from edgecam.errors import SinkError
from edgecam.outbox import Bounds, Outbox
from edgecam.sinks.mqtt.link import Link, Message
from edgecam.sinks.mqtt.server import Server
from edgecam.types import Frame
from tests.helpers.broker import Broker, Subscriber, listening, running, users
from tests.helpers.waiting import until
from tests.sinks.mqtt.support import MODEL, records, seen, started

pytestmark = pytest.mark.mosquitto

EVENTS = "edgecam/cam-1/event/visitor"


def ids(watcher: Subscriber) -> list[str]:
    return [record["id"] for record in records(watcher, EVENTS)]


def test_what_is_said_of_a_run(broker: Broker, watcher: Subscriber) -> None:
    with started(f"mqtt://{broker.address}/?snapshot=1s&every=1s") as (sink, listener):
        sink.push(seen(0, temperature=51.5, inference_fps=14.256))
        sink.push(seen(1, [("start", "e-1")]))
        until("the event came", lambda: ids(watcher) == ["e-1"])
        sink.push(seen(2, [("update", "e-1")], state="degraded", message="too hot"))
        until("the state came", lambda: len(records(watcher, "edgecam/cam-1/state")) == 2)  # newest wins
        sink.push(seen(3, [("end", "e-1")]))
        until("the end came", lambda: len(ids(watcher)) == 3)
        until("the health came", lambda: records(watcher, "edgecam/cam-1/health"))
        until("counts came", lambda: records(watcher, "edgecam/cam-1/counts"))
    assert listener.reports == [f"mqtt: edgecam/cam-1/... at {broker.address}"]
    first, second, third = records(watcher, EVENTS)
    assert [first["phase"], second["phase"], third["phase"]] == ["start", "update", "end"]
    assert [first["n"], second["n"], third["n"]] == [1, 2, 3]
    assert first["rule"] == "visitor" and first["best"]["label"] == "person"
    (birth,) = records(watcher, "edgecam/cam-1/birth")
    assert birth["boot"] == identity.BOOT and birth["version"] and birth["host"]
    health = records(watcher, "edgecam/cam-1/health")[0]
    assert health["temperature"] == 51.5 and health["inference_fps"] == 14.26
    assert health["queue"]["dropped"] == 0
    states = [(r["state"], r["reason"]) for r in records(watcher, "edgecam/cam-1/state")]
    assert states[:3] == [("running", ""), ("degraded", "too hot"), ("running", "")]
    assert states[-1][0] == "ended"
    counts = records(watcher, "edgecam/cam-1/counts")[0]
    assert counts["labels"] == {"person": 1} and counts["total"] == 1
    assert records(watcher, "edgecam/cam-1/label/person")[0]["count"] == 1
    assert watcher.bodies("edgecam/cam-1/online") == [b"online", b"offline"]
    picture = jpeg.decode(watcher.bodies("edgecam/cam-1/snapshot")[0])
    assert picture.shape == (48, 64, 3) and abs(int(picture.mean()) - 90) < 3
    assert watcher.bodies(f"{EVENTS}/snapshot")


def test_the_model_and_the_device_are_in_every_message(broker: Broker, watcher: Subscriber) -> None:
    with started(f"mqtt://{broker.address}/?every=1s") as (sink, _):
        sink.push(seen(0, [("start", "e-1")]))
        until("all came", lambda: ids(watcher) and records(watcher, "edgecam/cam-1/counts"))
        sink.push(seen(1, [("end", "e-1")], model="other", model_version="2"))
    told = [(topic, json.loads(body)) for topic, body, _ in watcher.heard if body.startswith(b"{")]
    assert {topic.split("/")[2] for topic, _ in told} == {
        *("birth", "config", "state", "event", "last", "counts", "health", "label", "rule")
    }
    for topic, record in told:
        assert record["device"] == "cam-1" and record["schema"] == 1 and record["boot"], topic
        assert record["model"] in (
            {"name": "detect", "version": "1.2.0", "sha256": MODEL["model_sha256"]},
            {"name": "other", "version": "2", "sha256": MODEL["model_sha256"]},
        ), topic
    births = [record["model"]["name"] for record in records(watcher, "edgecam/cam-1/birth")]
    assert births == ["detect", "other"]


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Broker]:
    """A broker that remembers who has subscribed, and hands on at once, so that a kill costs nobody a message
    that it has acknowledged: what is missing then, edgecam has lost."""
    lines = ["persistence true", f"persistence_location {tmp_path}/", "autosave_on_changes true"]
    lines += ["autosave_interval 1", "max_inflight_messages 0", "max_queued_messages 0"]
    with running(tmp_path, lines) as broker:
        yield broker


@pytest.fixture
def patient(careful: Broker) -> Iterator[Subscriber]:
    with listening(careful.port) as watcher:
        yield watcher


def test_nothing_is_lost_over_restarts_of_the_broker_and_of_edgecam(
    careful: Broker, patient: Subscriber
) -> None:
    """The broker is killed while events flow, edgecam restarted while it is away."""
    broker, watcher = careful, patient
    uri = f"mqtt://{broker.address}/"
    sent: list[str] = []

    def some(sink: object, count: int) -> None:
        for _ in range(count):
            name = f"e-{len(sent)}"
            sent.append(name)
            sink.push(seen(len(sent), [("start", name)]))  # type: ignore[attr-defined]

    with started(uri) as (sink, listener):
        some(sink, 30)
        until("some came", lambda: len(set(ids(watcher))) >= 10)
        broker.kill()
        some(sink, 30)
        until("the loss is noticed", lambda: "went away" in sink.trouble or "cannot be" in sink.trouble)
    # The sink is closed, the broker away: what is left waits on the disk.
    with started(uri) as (sink, listener):
        some(sink, 30)
        until("it is a state", lambda: "cannot be reached (Connection refused)" in sink.trouble)
        assert sink.queue.waiting >= 30 and not sink.failed
        broker.start()
        some(sink, 30)
        until("all came", lambda: set(sent) <= set(ids(watcher)))
        until("nothing waits", lambda: sink.queue.waiting == 0)
        assert sink.queue.dropped == 0 and sink.dropped == 0 and not sink.trouble
        assert f"mqtt: broker {broker.address} is there again" in listener.reports
    came = ids(watcher)
    firsts = sorted(range(len(sent)), key=lambda i: came.index(sent[i]))
    assert firsts == list(range(len(sent))), "in order"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_quality_of_service(broker: Broker, watcher: Subscriber, version: str, qos: int) -> None:
    with started(f"mqtt://{broker.address}/?queue=memory&version={version}&qos={qos}") as (sink, _):
        for number in range(30):
            sink.push(seen(number, [("start", f"e-{number}")]))
        until("all came", lambda: ids(watcher) == [f"e-{number}" for number in range(30)])
        until("the queue is empty", lambda: sink.queue.waiting == 0)


def test_a_broker_that_is_away_at_the_start(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with started(f"mqtt://{broker.address}/") as (sink, listener):
        for number in range(5):
            sink.push(seen(number, [("start", f"e-{number}")]))
        until("it is a state", lambda: sink.trouble)
        assert sink.trouble == f"mqtt: broker {broker.address} cannot be reached (Connection refused)"
        time.sleep(0.5)  # several tries
        assert len([line for line in listener.reports if "cannot be reached" in line]) == 1
        broker.start()
        until("delivered", lambda: sink.queue.waiting == 0 and sink.queue.delivered == 5)
        assert not sink.trouble
    broker.kill()


def test_over_the_bound_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with started(f"mqtt://{broker.address}/?queue_count=10&queue=memory") as (sink, listener):
        for number in range(40):
            sink.push(seen(number, [("start", f"e-{number}")]))
            until("taken", lambda number=number: sink.queue.waiting + sink.queue.dropped == number + 1)
        assert (sink.queue.waiting, sink.queue.dropped) == (10, 30)
        assert any("the queue is full (10 entries" in line for line in listener.reports)
        broker.start()
        with listening(broker.port) as watcher:
            until("the newest came", lambda: ids(watcher)[-1:] == ["e-39"] or sink.queue.waiting == 0)
    broker.kill()


def test_a_frozen_broker_makes_nobody_wait(broker: Broker, watcher: Subscriber) -> None:
    with started(f"mqtt://{broker.address}/") as (sink, _):
        sink.push(seen(0, [("start", "e-0")]))
        until("it came", lambda: ids(watcher) == ["e-0"])
        broker.freeze()
        try:
            for number in range(1, 200):
                sink.push(seen(number, [("start", f"e-{number}")]))
                until("room", lambda: len(sink._queue) < 32)
            until("all are in the queue", lambda: sink.queue.waiting >= 199)
        finally:
            broker.thaw()
        until("all came", lambda: len(set(ids(watcher))) == 200)
        assert sink.dropped == 0


def with_password(folder: Path) -> list[str]:
    return users(folder, "me", "right secret")


def test_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / "secret").write_text("right secret\n")
    monkeypatch.setenv("BROKER_PASSWORD", "right secret")
    with running(tmp_path, with_password(tmp_path), anonymous=False) as broker:
        for name, way in enumerate(
            (
                f"mqtt://me@{broker.address}/?password=file:{tmp_path / 'secret'}",
                f"mqtt://{broker.address}/?user=me&password=env:BROKER_PASSWORD",
                f"mqtt://me:right%20secret@{broker.address}/",
            )
        ):
            with started(way + ("&" if "?" in way else "?") + "queue=memory") as (sink, listener):
                sink.push(seen(0, [("start", f"e-{name}")]))
                until("delivered", lambda sink=sink: sink.queue.delivered == 1)
                assert "secret" not in sink.name.replace("/secret", "") and not sink.trouble
                assert not [line for line in listener.reports if "right" in line]
    assert "right secret" not in caplog.text


def test_a_wrong_password_is_one_line_and_tried_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    with running(tmp_path, with_password(tmp_path), anonymous=False) as broker:
        for version in ("5", "3.1.1"):
            uri = f"mqtt://me:wrong-secret@{broker.address}/?queue=memory&version={version}"
            with started(uri) as (sink, listener):
                sink.push(seen(0, [("start", "e-1")]))
                until("it is said", lambda sink=sink: sink.trouble)
                assert (
                    sink.trouble.startswith(f"mqtt: broker {broker.address} ") and "password" in sink.trouble
                )
                time.sleep(1.0)
                assert len([line for line in listener.reports if "password" in line]) == 1
                assert sink.queue.waiting == 1
                assert "wrong-secret" not in " ".join(listener.reports) + sink.name + sink.trouble
        tries = broker.log().count("not authori")
        assert 2 <= tries <= 9, broker.log()
    assert "wrong-secret" not in caplog.text


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and a broker's and a client's certificate of it."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed: apt install openssl")
    folder = tmp_path_factory.mktemp("papers")

    def make(line: str) -> None:
        subprocess.run([openssl, *line.split()], cwd=folder, check=True, capture_output=True)

    key = "-newkey rsa:2048 -nodes"
    make(f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for who, more in (("server", "-extfile san"), ("client", "")):
        make(f"req {key} -keyout {who}.key -out {who}.csr -subj /CN={who}")
        make(
            f"x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {who}.pem -days 2 {more}"
        )
    return folder


def tls(papers: Path, *more: str) -> list[str]:
    names = {"cafile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
    return [*(f"{key} {papers / name}" for key, name in names.items()), *more]


def test_tls(tmp_path: Path, papers: Path) -> None:
    with running(tmp_path, tls(papers)) as broker:
        base = f"mqtts://{broker.address}/?queue=memory"
        with started(f"{base}&ca={papers / 'ca.pem'}") as (sink, _):
            sink.push(seen(0, [("start", "e-1")]))
            until("delivered", lambda: sink.queue.delivered == 1)
        with started(base) as (sink, _):
            until("it is refused", lambda: sink.trouble)
            assert "certificate that is not trusted" in sink.trouble and "ca=FILE" in sink.trouble
        with started(f"{base}&tls_verify=no") as (sink, _):
            sink.push(seen(0, [("start", "e-1")]))
            until("delivered", lambda: sink.queue.delivered == 1)
        with started(base.replace("mqtts:", "mqtt:")) as (sink, _):
            until("it is said", lambda: sink.trouble)
            assert "if it wants TLS, write mqtts://" in sink.trouble


def test_tls_with_a_certificate_of_the_client(tmp_path: Path, papers: Path) -> None:
    with running(tmp_path, tls(papers, "require_certificate true")) as broker:
        base = f"mqtts://{broker.address}/?queue=memory&ca={papers / 'ca.pem'}"
        with started(base) as (sink, _):
            until("it is refused", lambda: sink.trouble)
        own = f"&cert={papers / 'client.pem'}&key={papers / 'client.key'}"
        with started(base + own) as (sink, _):
            sink.push(seen(0, [("start", "e-1")]))
            until("delivered", lambda: sink.queue.delivered == 1)


def test_mqtts_to_a_port_in_the_clear(broker: Broker) -> None:
    with started(f"mqtts://{broker.address}/?queue=memory&tls_verify=no") as (sink, _):
        until("it is said", lambda: sink.trouble)
        assert "mqtts?" in sink.trouble


def test_a_user_who_may_not_publish_keeps_the_events(tmp_path: Path) -> None:
    """MQTT 5 says so; the events wait until the broker's access list lets them in."""
    (tmp_path / "acl").write_text("topic read #\ntopic write edgecam/+/online\n")
    with (
        running(tmp_path, [f"acl_file {tmp_path / 'acl'}"]) as broker,
        started(f"mqtt://{broker.address}/?queue=memory") as (sink, _),
    ):
        sink.push(seen(0, [("start", "e-1")]))
        until("it is said", lambda: "takes no events from this user (Not authorized)" in sink.trouble)
        assert sink.queue.waiting == 1
        (tmp_path / "acl").write_text("topic readwrite #\n")
        broker.kill()
        broker.start()
        until("delivered", lambda: sink.queue.waiting == 0)


def test_a_last_will_is_kept_by_the_broker(broker: Broker, watcher: Subscriber, tmp_path: Path) -> None:
    """edgecam is killed: its broker says so."""
    program = f"""
        import time
        from tests.sinks.mqtt.support import seen, started
        with started("mqtt://{broker.address}/?queue=memory") as (sink, _):
            sink.push(seen())
            time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    try:
        until("it is there", lambda: watcher.bodies("edgecam/cam-1/online") == [b"online"])
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    until("it is gone", lambda: watcher.bodies("edgecam/cam-1/online")[-1] == b"offline")
    with started(f"mqtt://{broker.address}/?queue=memory"):
        until("it is back", lambda: watcher.bodies("edgecam/cam-1/online")[-1] == b"online")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_two_devices_with_one_id(broker: Broker, watcher: Subscriber, version: str) -> None:
    """Each pushes the other out; both say so, take turns, and lose nothing."""
    uri = f"mqtt://{broker.address}/?queue=memory&version={version}"
    program = f"""
        import sys, time
        from edgecam.sinks.mqtt import link
        from tests.helpers.waiting import until
        from tests.sinks.mqtt.support import seen, started
        link.FIRST_PAUSE, link.LONGEST_PAUSE, link.SLOW_PAUSE = 0.05, 0.2, 0.4
        with started("{uri}") as (sink, listener):
            for number in range(1000):
                if number < 50:
                    sink.push(seen(number, [("start", f"theirs-{{number}}")]))
                elif not sink.queue.waiting and any("another device" in line for line in listener.reports):
                    break
                time.sleep(0.02)
            print(sink.queue.waiting, *listener.reports, sep="\\n")
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    with started(uri) as (sink, listener):
        for number in range(50):
            sink.push(seen(number, [("start", f"ours-{number}")]))
            time.sleep(0.02)
        until("it is noticed", lambda: any("another device calls itself" in x for x in listener.reports))
        assert child.stdout is not None
        said = child.communicate(timeout=30)[0].splitlines()
        until("ours came", lambda: sink.queue.waiting == 0)
    assert any("another device calls itself edgecam/cam-1 (on" in line for line in said), said
    assert any("give each its own device_id" in line for line in listener.reports)
    assert said[0] == "0"
    assert {f"{who}-{n}" for who in ("ours", "theirs") for n in range(50)} <= set(ids(watcher))


def test_the_run_before_is_no_twin(
    broker: Broker, watcher: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    for boot in ("one", "two"):
        monkeypatch.setattr(identity, "BOOT", boot)
        with started(f"mqtt://{broker.address}/") as (sink, listener):
            sink.push(seen())
            until(
                "it is born",
                lambda boot=boot: (
                    records(watcher, "edgecam/cam-1/birth")[-1:]
                    and records(watcher, "edgecam/cam-1/birth")[-1]["boot"] == boot
                ),
            )
            assert not sink.trouble and len(listener.reports) == 1


def test_a_second_edgecam_with_the_same_queue(broker: Broker) -> None:
    with started(f"mqtt://{broker.address}/"):
        says = "in use by another edgecam: give each its own device_id"
        with pytest.raises(SinkError, match=says), started(f"mqtt://{broker.address}/"):
            pass
        with started(f"mqtt://{broker.address}/", device="cam-2") as (sink, _):
            sink.push(seen(0, [("start", "e-1")]))
            until("delivered", lambda: sink.queue.delivered == 1)


def test_a_message_that_the_broker_finds_too_large(tmp_path: Path) -> None:
    with (
        running(tmp_path, ["max_packet_size 2000"]) as broker,
        started(f"mqtt://{broker.address}/?queue=memory&snapshot=1s") as (sink, _),
    ):
        big = seen(0, [("start", "e-1")])
        noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
        big.frame = Frame(0, noise)
        sink.push(big)
        until("the event is delivered", lambda: sink.queue.delivered == 1)
        assert not sink.trouble and sink._talk is not None and sink._talk.link.connected == 1


def test_labels_cannot_leave_their_level(broker: Broker, watcher: Subscriber) -> None:
    evil = ["a/b", "+", "#", "$SYS/x", "\x00", "{{ states() }}", "../../up", "", "x\ny"]
    with started(f"mqtt://{broker.address}/?homeassistant=yes") as (sink, _):
        for number, label in enumerate(evil):
            shot = seen(number, [("start", f"e-{number}")], rule=f"rule {label}")
            shot.labels = [label, "dog"]
            sink.push(shot)
        until("all came", lambda: sink.queue.delivered == len(evil))
        until("counts came", lambda: records(watcher, "edgecam/cam-1/counts"))
    for topic, _, _ in watcher.heard:
        assert topic.startswith(("edgecam/cam-1/", "homeassistant/device/edgecam-cam-1/config"))
        assert topic.count("/") <= 4 and not any(c in topic for c in "+#$\x00\n{")


def test_a_clock_that_jumps(broker: Broker, watcher: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    real, jumps = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumps[0])
    with started(f"mqtt://{broker.address}/?every=1s") as (sink, _):
        for number, jump in enumerate((0.0, -1e8, 1e9, -3e9 + 1e9, 0.0)):
            jumps[0] = jump
            sink.push(seen(number, [("start", f"e-{number}")]))
        until("all came", lambda: len(ids(watcher)) == 5)
        assert [record["n"] for record in records(watcher, EVENTS)] == [1, 2, 3, 4, 5]
        until("health", lambda: records(watcher, "edgecam/cam-1/health"))
        assert records(watcher, "edgecam/cam-1/health")[0]["uptime"] < 60
        assert not sink.trouble


def test_a_file_delivers_all_before_it_ends(broker: Broker, watcher: Subscriber) -> None:
    with started(f"mqtt://{broker.address}/", live=False) as (sink, _):
        for number in range(100):
            sink.push(seen(number, [("start", f"e-{number}")]))
    until("all came", lambda: ids(watcher) == [f"e-{n}" for n in range(100)])


def test_the_link_serves_others_too(broker: Broker, watcher: Subscriber, tmp_path: Path) -> None:
    """As a fleet's tool would use it: publish, subscribe, a queue of its own."""
    heard: list[tuple[str, bytes, bool]] = []
    outbox = Outbox(tmp_path / "q", Bounds(), print)
    link = Link(
        Server("127.0.0.1", broker.port), print, outbox=outbox, heard=lambda *what: heard.append(what)
    )
    link.subscribe("fleet/+/reply")
    link.start()
    assert link.wait_up(20)
    until("subscribed", lambda: (watcher.say("fleet/a/reply", "yes"), heard)[1])
    assert heard[0] == ("fleet/a/reply", b"yes", False)
    outbox.put([("fleet/a/cmd", b"go")])
    link.ring()
    link.publish(Message("fleet/want", b"v2", retain=True))
    until("both came", lambda: watcher.bodies("fleet/a/cmd") and watcher.bodies("fleet/want"))
    link.close()
    assert outbox.waiting == 0
    outbox.close()
