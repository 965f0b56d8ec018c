"""What the page asks for: the camera's own picture, what is kept, figures, other cameras."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edgecam import jpeg
from edgecam.privacy.filter import Privacy, Rules
from edgecam.privacy.mask import Mask
from edgecam.sinks.base import SinkContext
from edgecam.sinks.web import WebSink, streams
from edgecam.sinks.web.history import FIELDS, History
from edgecam.sinks.web.hub import Arrival
from edgecam.sinks.web.neighbours import parse
from edgecam.types import Frame, Packet, Status
from tests.sinks.web_support import LABELS, Events, Stream, detections, make, noise, running

OWN = jpeg.encode(noise(1, (64, 48)), 70)


def packet(seq: int = 0, *, masked: bool = False, own: bytes | None = OWN) -> Packet:
    """A camera's packet; behind a mask as the pipeline makes it."""
    if own is None:
        frame = Frame(seq, noise(2, (64, 48)))
    else:
        frame = Frame(seq, jpeg=own, size=(64, 48), decode=jpeg.decode)
    result: Any = detections()
    if masked:
        privacy = Privacy(Rules(masks=(Mask(((0, 0), (1, 0), (1, 1), (0, 1))),)))
        frame, result = privacy.protect(frame, result, LABELS)
    return Packet(frame, result, LABELS, Status(state="running"))


def placard() -> Packet:
    return Packet(Frame(0, noise(3, (64, 48))), None, LABELS, Status(state="waiting"))


class Live(Stream):
    """A viewer of /live."""

    def __init__(self, sink: WebSink) -> None:
        super().__init__(sink, "/live")
        assert self.response.status == 200
        assert self.response.readline() == b"--edgecam-frame\r\n"

    def part(self) -> tuple[dict[str, str], bytes]:
        headers = {}
        while (line := self.response.readline()) != b"\r\n":
            assert line, "the stream ended"
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.response.read(int(headers["content-length"]))
        assert self.response.readline() == b"\r\n"
        assert self.response.readline() == b"--edgecam-frame\r\n"
        return headers, body


def test_the_cameras_own_bytes_come_with_their_results_and_one_number() -> None:
    with running() as sink, Events(sink) as events:
        sink.push(packet())
        assert events.event()["relay"] is True
        with Live(sink) as live:
            for seq in range(1, 4):
                head, body = live.part()
                record = json.loads(body)
                picture_head, picture = live.part()
                assert head["content-type"] == "application/json"
                assert picture_head["content-type"] == "image/jpeg"
                assert picture == OWN  # to the byte
                assert head["x-number"] == picture_head["x-number"] == str(record["number"]) == str(seq)
                assert record["seq"] == seq - 1
                assert [row["label"] for row in record["detections"]] == ["person", "自転車", "person"]
                sink.push(packet(seq))
        status = httpx.get(f"{sink.url}api/status").json()
        assert (status["encoded"], status["relayed"]) == (0, 3)  # nothing was drawn


def test_what_viewers_get_is_made_once_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    pair = streams._pair

    def counted(arrival: Arrival) -> bytes:
        made.append(arrival.version)
        return pair(arrival)

    monkeypatch.setattr(streams, "_pair", counted)
    with running() as sink, contextlib.ExitStack() as stack:
        sink.push(packet())
        viewers = [stack.enter_context(Live(sink)) for _ in range(4)]
        for seq in range(1, 4):
            for live in viewers:
                assert json.loads(live.part()[1])["number"] == seq
                assert live.part()[1] == OWN
            sink.push(packet(seq))
        assert [version for version in made if version < 4] == [1, 2, 3]


@pytest.mark.parametrize("masked", [True, False])
def test_under_a_privacy_rule_and_where_there_is_no_jpeg_nothing_is_passed_on(masked: bool) -> None:
    with running() as sink, Events(sink) as events:
        sink.push(packet(masked=masked, own=OWN if masked else None))
        assert events.event()["relay"] is False
        answer = httpx.get(f"{sink.url}live")
        assert answer.status_code == 409
        assert "/stream.mjpg" in answer.json()["error"]


def test_under_a_mask_no_address_gives_the_cameras_picture() -> None:
    with running() as sink:
        sink.push(packet(masked=True))
        for path in ("snapshot.jpg", "snapshot.jpg?raw=1"):
            data = httpx.get(sink.url + path).content
            assert data != OWN
            assert np.ptp(jpeg.decode(data), axis=(0, 1)).max() < 6  # all of it is covered in one colour


def test_a_rule_that_comes_meanwhile_ends_the_cameras_stream() -> None:
    with running() as sink:
        sink.push(packet())
        with Live(sink) as live:
            live.part()
            assert live.part()[1] == OWN
            sink.push(packet(1, masked=True))
            assert live.response.read() == b""


def test_a_placard_is_told_without_a_picture_and_ends_nothing() -> None:
    with running() as sink:
        sink.push(placard())
        with Live(sink) as live:
            assert json.loads(live.part()[1])["state"] == "waiting"
            sink.push(packet(1))
            assert json.loads(live.part()[1])["state"] == "running"
            assert live.part()[1] == OWN


# -- what is kept


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "event",
        "id": f"run-{number}",
        "phase": "end",
        "rule": "visitor",
        "kind": "zone",
        "label": "person",
        "seconds": 1.5,
        "start": {"time": 1000.0 + number},
    } | more


def context(**more: Any) -> SinkContext:
    return SinkContext(True, "camera:0", "detect", LABELS, lambda line: None, lambda reason: None, **more)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[WebSink, Path]]:
    day = tmp_path / "kept" / "2026-11-25"
    day.mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (day / "snapshot-140000-visitor.jpg").write_bytes(OWN)
    (day / "snapshot-140000-visitor.json").write_text(json.dumps({"event": event(1)}))
    (day / "clip-135958-visitor.mp4").write_bytes(bytes(range(200)))
    (day / "clip-135958-visitor.json").write_text(json.dumps({"events": [event(1), event(2)]}))
    (day / "snapshot-150000-x.json").write_text("no json")
    (day / "snapshot-150001-x.json").write_text(json.dumps({"event": {"id": 5}}))
    (day / "snapshot-150002-link.json").write_text(json.dumps({"event": event(9)}))
    (day / "snapshot-150002-link.jpg").symlink_to(tmp_path / "secret.jpg")
    (day / "notes.jpg").write_bytes(b"mine")
    sink = make("web:?port=0")
    sink.start(context(folders=(tmp_path / "kept", tmp_path / "absent")))
    yield sink, day
    sink.close()


def test_events_are_listed_with_what_is_kept_of_them(kept: tuple[WebSink, Path]) -> None:
    sink, _ = kept
    found = httpx.get(f"{sink.url}api/recordings").json()
    assert found["kept"] is True
    clip = "kept/0/2026-11-25/clip-135958-visitor.mp4"
    assert [(e["event"]["id"], e["snapshot"], e["clip"]) for e in found["events"]] == [
        ("run-2", None, clip),
        ("run-1", "kept/0/2026-11-25/snapshot-140000-visitor.jpg", clip),
    ]
    picture = httpx.get(sink.url + found["events"][1]["snapshot"])
    assert (picture.content, picture.headers["content-type"]) == (OWN, "image/jpeg")
    part = httpx.get(sink.url + clip, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))


@pytest.mark.parametrize(
    "key",
    [
        "0/2026-11-25/snapshot-150002-link.jpg",
        "0/2026-11-25/notes.jpg",
        "0/2026-11-25/snapshot-140000-visitor.json",
        "1/2026-11-25/snapshot-140000-visitor.jpg",
        "0/2026-11-25/../../secret.jpg",
        "0/2026-11-25/%2e%2e/%2e%2e/secret.jpg",
        "..%2f..%2fsecret.jpg",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "0/2026-11-25/snapshot-140000-visitor.jpg%00",
        "",
    ],
)
def test_nothing_else_is_given_out(key: str, kept: tuple[WebSink, Path]) -> None:
    with Stream(kept[0], f"/kept/{key}") as stream:  # as it is: httpx would tidy the path up
        assert stream.response.status == 404
        assert b"secret" not in stream.response.read()


def test_what_was_deleted_is_gone(kept: tuple[WebSink, Path]) -> None:
    sink, day = kept
    address = f"{sink.url}kept/0/2026-11-25/snapshot-140000-visitor.jpg"
    assert httpx.get(address).status_code == 200
    (day / "snapshot-140000-visitor.jpg").unlink()
    assert httpx.get(address).status_code == 404


# -- the rest


def test_ten_minutes_of_figures() -> None:
    now = [0.0]
    history = History(lambda: 1000.0 + now[0], lambda: now[0])
    for _ in range(1400):
        history.observe(Status(state="running", camera_fps=30.0, temperature=now[0]))
        now[0] += 0.5
    found = history.answer()
    assert found["fields"] == ["time", *FIELDS]
    assert len(found["rows"]) == 300
    assert found["rows"][-1] == [1698.0, 30.0, 0.0, 0.0, 0.0, 698.0]
    now[0] += 5
    history.observe(Status(state="waiting", camera_fps=30.0))
    assert history.answer()["rows"][-1][1:] == [None] * 5


def test_other_cameras_are_shown_from_their_own_address_only() -> None:
    with running("web:?port=0&cameras=Door=http://door:8080?token=a%252Fb,https://[fd00::1]/x/") as sink:
        assert httpx.get(f"{sink.url}api/cameras").json()["cameras"] == [
            {
                "name": "Door",
                "page": "http://door:8080/?token=a%2Fb",
                "picture": "http://door:8080/snapshot.jpg?token=a%2Fb",
            },
            {
                "name": "fd00::1",
                "page": "https://[fd00::1]/x/",
                "picture": "https://[fd00::1]/x/snapshot.jpg",
            },
        ]
        policy = httpx.get(sink.url).headers["content-security-policy"]
        assert "img-src 'self' http://door:8080 https://[fd00::1];" in policy


@pytest.mark.parametrize(
    "text", ["door", "ftp://door", "http://a;script-src *", "http://u:p@door", "http://", "http://x:y"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=http"):
        parse(text)


AT_THE_GATE = {"/login": {"get", "post"}, "/logout": {"post"}}


def test_the_api_is_documented_and_nothing_else_is() -> None:
    with running("web:?port=0&edit=yes") as sink:
        paths = httpx.get(f"{sink.url}openapi.json").json()["paths"]
        assert sink._running is not None
        routes: dict[str, set[str]] = {}
        for route in sink._running.site.app.routes:
            path = re.sub(r":path}", "}", route.path)  # type: ignore[attr-defined]
            if os.path.splitext(path)[1] not in (".js", ".css", ".svg"):  # noqa: PTH122 - no file's path
                methods = {m.lower() for m in route.methods or ()} - {"head"}  # type: ignore[attr-defined]
                routes.setdefault(path, set()).update(methods)
        assert {path: set(methods) for path, methods in paths.items()} == routes | AT_THE_GATE


def test_answers_have_what_the_document_says() -> None:
    with running() as sink:
        sink.push(packet())
        document = httpx.get(f"{sink.url}openapi.json").json()
        asked = 0
        for path, methods in document["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            schema = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            answer = httpx.get(sink.url + path[1:]) if schema else None
            if answer is not None and answer.status_code == 200:
                asked += 1
                assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"]), path
        assert asked == 10
