"""Boxes drawn by the browser, the filter, events, charts and the drawing of zones, in a real browser."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import config_load, jpeg
from edgecam.config_edit import Editor
from edgecam.privacy.filter import Privacy, Rules
from edgecam.privacy.mask import Mask
from edgecam.sinks.base import SinkContext
from edgecam.sinks.web import WebSink
from edgecam.types import Detections, Frame, Packet, Status
from tests.browser.driver import Browser
from tests.browser.test_page import browser as browser
from tests.browser.test_page import chromium as chromium
from tests.sinks.test_web_page_api import event
from tests.sinks.web_support import LABELS, Pusher, make

pytestmark = pytest.mark.browser

SIZE = (320, 180)
SETTINGS = """\
# Mine.
[[zone]]
name = "door"
points = [[0.2, 0.2], [0.6, 0.2], [0.6, 0.8], [0.2, 0.8]]  # the mat
"""


class Feed(Pusher):
    """A camera that gives JPEG: a bar that moves, and one box that belongs exactly around it."""

    def __init__(self, sink: WebSink) -> None:
        super().__init__(sink)
        self.masked = False
        self.seq = 0
        self._privacy = Privacy(Rules(masks=(Mask(((0, 0), (1, 0), (1, 1), (0, 1))),)))

    def packet(self) -> Packet:
        seq, self.seq = self.seq, self.seq + 1
        left = seq * 24 % 240
        image = np.full((SIZE[1], SIZE[0], 3), (20, 60, 120), np.uint8)
        image[60:140, left : left + 64] = 255
        frame: Frame = Frame(seq, jpeg=jpeg.encode(image, 95), size=SIZE, decode=jpeg.decode)
        boxes = np.array([[left, 60, left + 64, 140], [4, 4, 30, 30]], np.float32)
        result: Any = Detections(boxes, np.array([0.9, 0.4], np.float32), np.array([0, 1], np.int32))
        if self.masked:
            frame, result = self._privacy.protect(frame, result, LABELS)
        status = Status(state="running", source="camera:0", camera_fps=25, temperature=51.0)
        return Packet(frame, result, LABELS, status)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edgecam.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def sink(settings: Path, tmp_path: Path) -> Iterator[WebSink]:
    day = tmp_path / "kept" / "2026-11-25"
    day.mkdir(parents=True)
    (day / "snapshot-140000-visitor.jpg").write_bytes(jpeg.encode(np.zeros((90, 160, 3), np.uint8)))
    (day / "snapshot-140000-visitor.json").write_text(json.dumps({"event": event(1)}))
    loaded = config_load.load(file=str(settings), environ={})
    editor = Editor(loaded, lambda settings: None, lambda: None)
    sink = make("web:?port=0&edit=yes")
    sink.start(
        SinkContext(
            True,
            "camera:0",
            "detect",
            LABELS,
            lambda line: None,
            lambda reason: None,
            scene=loaded.settings.scene,
            region=(0.5, 0.1, 0.75, 0.95),
            folders=(tmp_path / "kept",),
            editing=editor,
        )
    )
    yield sink
    sink.close()


@pytest.fixture
def feed(sink: WebSink) -> Iterator[Feed]:
    with Feed(sink) as feed:
        yield feed


@pytest.fixture
def page(browser: Browser, sink: WebSink, feed: Feed) -> Browser:
    browser.open(sink.url)
    browser.wait("the browser draws", lambda: shown(browser) > 0)
    return browser


def shown(page: Browser) -> int:
    return int(page.run("return import('./picture.js').then(({ view }) => view.number)") or 0)


def drawn(page: Browser) -> int:
    """Pixels of the layer above the picture that are not clear."""
    script = (
        "const c = document.getElementById('overlay'); if (!c.width) return 0;"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n"
    )
    return int(page.run(script))


def test_boxes_lie_on_the_picture_that_they_belong_to(page: Browser) -> None:
    """At any moment the picture's own bar begins where the box of its record does."""
    script = (
        "return import('./picture.js').then(({ view }) => {"
        " const pen = document.getElementById('picture').getContext('2d');"
        " const row = pen.getImageData(0, 100, 320, 1).data; let left = 0;"
        " while (left < 320 && row[left * 4] < 140) left += 1;"
        " return [left, view.shown.detections[0].box[0], view.number]; })"
    )
    numbers = set()
    for _ in range(12):
        left, box, number = page.run(script)
        assert abs(left - box) <= 1
        numbers.add(number)
        time.sleep(0.07)
    assert len(numbers) > 3
    assert drawn(page) > 1000
    assert page.text("#drawn") == "in this browser"


def test_a_thin_line_goes_around_what_the_model_looks_at(page: Browser) -> None:
    """Under the boxes, in the middle of the picture, and nowhere beside."""
    script = (
        "return import('./overlay.js').then(({ placeOf }) => {"
        " const layer = document.getElementById('overlay'), picture = document.getElementById('picture');"
        " const place = placeOf(picture), ratio = layer.width / layer.clientWidth;"
        " const row = Math.round((place.y + place.height * 0.9) * ratio);"
        " const data = layer.getContext('2d').getImageData(0, row, layer.width, 1).data, found = [];"
        " for (let i = 0; i < data.length; i += 4)"
        "  if (data[i + 3] > 200 && data[i] > 150 && data[i] === data[i + 2])"
        "   found.push((i / 4 / ratio - place.x) / place.width);"
        " return found; })"
    )
    page.wait("a line", lambda: page.run(script))
    found = page.run(script)
    assert min(found) == pytest.approx(0.5, abs=0.01) and max(found) == pytest.approx(0.75, abs=0.01)
    assert len(found) <= 8


def test_a_privacy_rule_has_the_server_draw(page: Browser, feed: Feed) -> None:
    feed.masked = True
    page.wait_text("#drawn", "by the camera")
    assert not page.run("return document.getElementById('way').checkVisibility()")
    page.wait("the layer is empty", lambda: drawn(page) == 0)
    script = (
        "const p = document.getElementById('picture').getContext('2d');"
        "return Math.max(...p.getImageData(0, 60, 320, 80).data.filter((v, i) => i % 4 < 3))"
    )
    page.wait("the white bar is covered", lambda: page.run(script) < 200)
    feed.masked = False
    page.wait_text("#drawn", "in this browser")


def test_the_viewer_may_choose_the_servers_picture(page: Browser) -> None:
    page.click("#way")
    page.wait_text("#drawn", "by the camera")
    page.wait("nothing is drawn here", lambda: drawn(page) == 0)
    page.run("location.reload()")
    page.wait_text("#drawn", "by the camera")  # it is kept
    page.wait_text("#way", "Boxes")
    page.click("#way")
    page.wait_text("#drawn", "in this browser")


def test_the_filter_bounds_list_and_boxes(page: Browser) -> None:
    page.wait_text("#results", "cat")
    page.click("#filter summary")
    assert "stay as they are" in page.text("#filter-note")
    page.run("const s = document.getElementById('least'); s.value = 50; s.dispatchEvent(new Event('input'))")
    page.wait("the weak one is gone", lambda: "cat" not in page.text("#results"))
    assert "person" in page.text("#results")
    page.click("#labels button[data-label=person]")
    page.wait_text("#empty", "Nothing that passes the filter")
    page.click("#all")
    page.wait_text("#results", "cat")
    assert page.run("return [...document.querySelectorAll('#labels button')].map(b => b.ariaPressed)") == [
        "true",
        "true",
    ]


def test_events_and_charts(page: Browser) -> None:
    page.wait_text("#events", "visitor: person")
    assert page.run("return document.querySelector('#events img').naturalWidth") in (0, 160)
    page.run("document.querySelector('#events img').scrollIntoView()")
    width = "return document.querySelector('#events img').naturalWidth"
    page.wait("the thumbnail is there", lambda: page.run(width) == 160)
    label = "return document.querySelector('#chart-heat svg').ariaLabel"
    page.wait("a sample", lambda: "51 °C now" in str(page.run(label)))
    assert page.complaints() == []


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_a_zone_is_moved_and_saved(page: Browser, settings: Path, way: str) -> None:
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")
    corner = '#layer button[data-corner="0"]'
    if way == "mouse":
        x, y, w, h = page.run(
            "const r = document.getElementById('layer').getBoundingClientRect();"
            "return [r.x, r.y, r.width, r.height]"
        )
        for kind, px, py in (
            ("mousePressed", 0.2, 0.2),
            ("mouseMoved", 0.15, 0.15),
            ("mouseMoved", 0.1, 0.3),
            ("mouseReleased", 0.1, 0.3),
        ):
            page.cdp(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x + px * w,
                y=y + py * h,
                button="left",
                buttons=1,
                clickCount=1,
            )
    else:
        page.run("document.querySelector(arguments[0]).focus()", corner)
        for _ in range(10):
            page.key("ArrowLeft")
            page.key("ArrowDown")
        label = page.run("return document.activeElement.ariaLabel")
        assert label == "Corner 1 of door, 10% across, 30% down"
    page.click("#editor .primary")
    page.wait_text("#said", "Saved")
    text = settings.read_text()
    assert text.startswith("# Mine.")
    points = tomllib.loads(text)["zone"][0]["points"]
    assert np.allclose(points, [[0.1, 0.3], [0.6, 0.2], [0.6, 0.8], [0.2, 0.8]], atol=0.006)
    assert page.complaints() == []


def test_a_mask_is_added_and_what_is_wrong_is_told(page: Browser, settings: Path) -> None:
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")
    page.click("#editor .row button:nth-child(3)")  # Add mask
    name = "#editor ul:not(.rules) li:last-child input[type=text]"
    page.run("document.querySelector(arguments[0]).value = ''", name)
    page.type(name, "street")
    page.run(
        "const i = document.querySelector('#editor li:first-child input');"
        "i.value = ' '; i.dispatchEvent(new Event('input'))"
    )
    page.click("#editor .primary")
    page.wait_text("#editor .trouble", "expected a name of 1 to 60 characters")
    assert settings.read_text() == SETTINGS
    page.run(
        "const i = document.querySelector('#editor li:first-child input');"
        "i.value = 'door'; i.dispatchEvent(new Event('input'))"
    )
    page.click("#editor .primary")
    page.wait_text("#said", "Saved")
    found = tomllib.loads(settings.read_text())
    assert [mask["name"] for mask in found["mask"]] == ["street"]
    assert len(found["mask"][0]["points"]) == 4


def rule_field(key: str, number: int = 1) -> str:
    return f'#editor .rules li:nth-child({number}) [data-key="{key}"]'


def enter(page: Browser, selector: str, text: str) -> None:
    page.run("const e = document.querySelector(arguments[0]); e.focus(); e.select()", selector)
    if text:
        page.cdp("Input.insertText", text=text)
    else:
        page.key("Delete")


def choose(page: Browser, selector: str, value: str) -> None:
    page.run(
        "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('change'))",
        selector,
        value,
    )


def test_a_rule_is_added_changed_and_taken_away(page: Browser, settings: Path) -> None:
    settings.write_text(SETTINGS + '\n[[rule]]\nname = "old"  # mine\nmax_size = 0.5  # not in the page\n')
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")
    enter(page, rule_field("labels"), "cat, person")
    page.click("#editor section > p button")  # Add rule
    enter(page, rule_field("name", 2), "visitor")
    choose(page, rule_field("where", 2), "zone:door")
    assert page.run("return document.activeElement.dataset.key") == "where"
    for key, value in (("min_score", "0.6"), ("dwell", "1.5"), ("cooldown", "30")):
        enter(page, rule_field(key, 2), value)
    # The zone gets another name, and the rule goes along.
    enter(page, "#editor ul:not(.rules) li:first-child input", "gate")
    page.click("#editor .primary")
    page.wait_text("#said", "Saved")
    text = settings.read_text()
    assert "# mine" in text and "# not in the page" in text and "# the mat" in text
    found = tomllib.loads(text)
    assert found["zone"][0]["name"] == "gate"
    assert found["rule"] == [
        {"name": "old", "max_size": 0.5, "labels": ["cat", "person"]},
        {"name": "visitor", "zone": "gate", "min_score": 0.6, "dwell": 1.5, "cooldown": 30},
    ]
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")  # before, the panel of the last time is still there, hidden
    assert page.run("return document.querySelectorAll('.rules li').length") == 2
    assert (
        page.run("return document.querySelector(arguments[0]).value", rule_field("labels")) == "cat, person"
    )
    page.click("#editor .rules li:first-child > button")
    page.click("#editor .primary")
    page.wait("it is gone", lambda: len(tomllib.loads(settings.read_text())["rule"]) == 1)
    assert [line for line in page.complaints() if "422" not in line] == []


def test_what_cannot_be_saved_now_is_kept_and_said(page: Browser, sink: WebSink, settings: Path) -> None:
    before = settings.read_text()
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")
    enter(page, "#editor ul:not(.rules) li:first-child input", "gate")
    sink.close()
    page.click("#editor .primary")
    page.wait_text("#editor .trouble", "edgecam does not answer. Nothing was saved: try again in a moment.")
    name = "return document.querySelector('#editor ul:not(.rules) li:first-child input').value"
    assert page.run(name) == "gate"
    assert settings.read_text() == before


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("min_score", "2", "expected a number from 0 to 1"),
        ("dwell", "-1", "expected a number"),
        ("name", "", "a name of 1 to 60 characters"),
        ("labels", "catt", "did you mean 'cat'?"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    page: Browser, settings: Path, key: str, value: str, words: str
) -> None:
    page.click("#edit")
    page.wait_text("#editor", "Save writes to")
    page.click("#editor section > p button")
    enter(page, rule_field(key), value)
    page.click("#editor .primary")
    page.wait_text(f"#editor .field.{key} .trouble", words)
    assert page.run("return [document.activeElement.dataset.key, document.activeElement.ariaInvalid]") == [
        key,
        "true",
    ]
    assert settings.read_text() == SETTINGS
    enter(page, rule_field(key), "")  # begins anew: the words go
    enter(page, rule_field(key), {"name": "x", "labels": "cat"}.get(key, "1"))
    assert page.text("#editor .field .trouble") == ""
    page.click("#editor .primary")
    page.wait_text("#said", "Saved")


def test_a_rule_is_made_with_the_keyboard_alone(page: Browser, settings: Path) -> None:
    page.run("document.getElementById('edit').focus()")
    page.key("Enter")
    page.wait_text("#editor", "Save writes to")
    add = "document.querySelector('#editor section > p button')"
    for _ in range(40):
        if page.run(f"return document.activeElement === {add}"):
            break
        page.key("Tab")
    page.key("Enter")
    assert page.run("return document.activeElement.dataset.key") == "name"
    page.run("document.activeElement.select()")
    page.cdp("Input.insertText", text="keys")
    for _ in range(40):
        if page.run("return document.activeElement.innerText") == "Save":
            break
        page.key("Tab")
    page.key("Enter")
    page.wait_text("#said", "Saved")
    assert tomllib.loads(settings.read_text())["rule"] == [{"name": "keys"}]
