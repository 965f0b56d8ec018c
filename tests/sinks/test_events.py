"""Events on their way out: lines, the page's feed, full queues."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.events import Best, Event, Moment, Phase
from edgecam.registry import SINKS, load, parse_uri, sink_uri
from edgecam.sinks.jsonl import JsonlSink
from edgecam.sinks.web import WebSink
from edgecam.sinks.web.feed import Feed
from edgecam.types import Packet, State

from .support import PATIENCE, Listener, packet
from .test_worker import Slow
from .web_support import Events, Reports


def step(number: int, phase: Phase = "start") -> Event:
    moment = Moment(number, float(number), 1e9 + number, None)
    return Event(
        id=f"abc-{number}",
        phase=phase,
        rule="自転車",
        place="door",
        kind="zone",
        label="person",
        number=number,
        tracks=(3, 4),
        count=2,
        direction="",
        start=moment,
        last=moment,
        best=Best(moment, 0.75, (0.1, 0.2, 0.3, 0.4), 3, "person"),
        improved=True,
    )


def carrying(seq: int, *events: Event, state: State = "running") -> Packet:
    plain = packet(seq, state=state)
    return Packet(plain.frame, plain.result, plain.labels, plain.status, events=events)


# -- lines of JSON


def test_a_step_is_a_line_after_its_frame_s(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(parse_uri(f"jsonl:{path}"))
    sink.start(Listener().context(live=False))
    for item in (
        carrying(0, step(1), step(2)),
        carrying(1),
        carrying(2, step(1, "end"), state="waiting"),
        carrying(3, step(2, "update"), state="waiting"),
        carrying(4, step(2, "end"), state="ended"),
    ):
        sink.push(item)
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("phase", line.get("state")) for line in lines] == [
        "running",
        "start",
        "start",
        "running",
        "waiting",
        "end",
        "update",
        "end",
    ]
    assert lines[1] == {"schema": 1, **step(1).record()}
    assert lines[1]["type"] == "event" and lines[1]["end"] is None and lines[5]["end"]["seq"] == 1
    assert "type" not in lines[0]


def test_every_key_of_a_step_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    example = json.loads(
        text.partition("(broken here to be read):")[2].partition("\n\n")[2].partition("\n\n")[0]
    )
    record = {"schema": 1, **step(1, "end").record()}
    assert example.keys() == record.keys()
    for part in ("start", "end", "best"):
        assert example[part].keys() == record[part].keys()
    table = set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
    assert record.keys() - {"schema", "type"} <= table


# -- a queue that is full


def test_a_full_queue_drops_packets_without_events_first() -> None:
    sink = Slow(depth=3)
    sink.start(Listener().context(live=True))
    sink.push(packet(0))
    assert sink.began.acquire(timeout=PATIENCE)
    for seq in range(1, 10):
        sink.push(carrying(seq, *[step(seq)] * (seq in (1, 4))))
    assert sink.dropped == 6
    sink.gate.release(100)
    sink.close()
    assert sink.seen == [0, 1, 4, 9]


def test_a_queue_full_of_events_drops_the_oldest() -> None:
    sink = Slow(depth=2)
    sink.start(Listener().context(live=True))
    sink.push(packet(0))
    assert sink.began.acquire(timeout=PATIENCE)
    for seq in range(1, 5):
        sink.push(carrying(seq, step(seq)))
    sink.gate.release(100)
    sink.close()
    assert sink.seen == [0, 3, 4] and sink.dropped == 2


# -- the feed


def numbers(feed: Feed, after: int) -> list[int]:
    return [found.number for found in feed.after(after)]


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 6), st.integers(0, 40))
def test_the_feed_gives_what_came_after(batches: list[int], kept: int, after: int) -> None:
    feed, total = Feed(kept), sum(batches)
    for size in batches:
        feed.add([step(1)] * size)
    assert feed.last == total
    assert numbers(feed, after) == [n for n in range(max(1, total - kept + 1), total + 1) if n > after]


def test_marks_of_another_run_are_none() -> None:
    feed = Feed()
    assert feed.place(feed.mark(7)) == 7
    other = Feed()
    assert other.mark(7) != feed.mark(7) and other.place(feed.mark(7)) is None
    assert [feed.place(mark) for mark in ("", "7", "-7", feed.mark(7) + "x", feed.mark(-7))] == [None] * 5


def test_a_reader_that_came_too_late_is_told_how_many_it_missed() -> None:
    feed = Feed(kept=5)
    feed.add(step(n) for n in range(1, 4))
    mark = feed.answer("", 100)["last"]
    feed.add(step(n) for n in range(4, 14))
    answer = feed.answer(mark, 3)
    assert [event["number"] for event in answer["events"]] == [11, 12, 13] and answer["missed"] == 7
    again = feed.answer(answer["last"], 3)
    assert again["events"] == [] and again["missed"] == 0 and again["last"] == answer["last"]
    assert feed.answer("", 2)["missed"] == 0


# -- the page


@pytest.fixture
def web() -> Iterator[WebSink]:
    sink: WebSink = load(SINKS, "sink", "web")(sink_uri("web:?port=0"))
    sink.start(Reports().context())
    yield sink
    sink.close()


def get(sink: WebSink, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(sink.url).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_listener_that_is_slow_gets_every_step_though_not_every_packet(web: WebSink) -> None:
    events = Events(web, "/events?fps=1")
    for seq in range(300):
        web.push(carrying(seq, step(seq + 1)))
    marks, got = zip(*(events.step() for _ in range(300)), strict=True)
    assert [found["number"] for found in got] == list(range(1, 301))
    assert got[0] == json.loads(json.dumps(step(1).record())) and len(set(marks)) == 300
    events.close()


def test_who_connects_again_goes_on_where_it_was(web: WebSink) -> None:
    web.push(carrying(0, step(1)))
    first = Events(web)  # a newcomer gets what comes from now on
    web.push(carrying(1, step(2)))
    mark, found = first.step()
    assert found["number"] == 2
    first.close()
    web.push(carrying(2, step(3), step(4)))
    again = Events(web, headers={"Last-Event-ID": mark})
    assert [again.step()[1]["number"] for _ in range(2)] == [3, 4]
    again.close()
    other_run = Events(web, headers={"Last-Event-ID": "ffffff-1"})
    web.push(carrying(3, step(5)))
    assert other_run.step()[1]["number"] == 5
    other_run.close()


def test_the_last_steps_reach_a_listener_before_the_end(web: WebSink) -> None:
    events = Events(web)
    web.push(carrying(0, step(1)))
    assert events.step()[1]["phase"] == "start"
    web.push(carrying(0, step(1, "end"), state="ended"))
    web.close()
    assert events.step()[1]["phase"] == "end"
    events.close()


def test_the_last_steps_can_be_asked_for(web: WebSink) -> None:
    assert get(web, "/api/events")[1]["events"] == []
    for seq in range(20):
        web.push(carrying(seq, step(seq + 1)))
    status, found = get(web, "/api/events?limit=5")
    assert status == 200 and [e["number"] for e in found["events"]] == [16, 17, 18, 19, 20]
    web.push(carrying(20, step(21)))
    assert [e["number"] for e in get(web, f"/api/events?after={found['last']}")[1]["events"]] == [21]
    assert get(web, "/api/events?limit=many")[0] == 400
