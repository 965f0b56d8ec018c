"""The page and its Markdown: well formed, self-contained, and saying what the figures say."""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest

from converters.reporting import charts, markdown, page, story
from converters.reporting.svg import Scale
from edgecam.errors import UsageError
from tests.converters.reporting import support

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(html.parser.HTMLParser):
    """Tags that open and close in order, what is loaded, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def told(evaluated: dict[str, Any], **others: Any) -> story.Story:
    """Through JSON, as it comes out of the work folder."""
    return story.gather("m<1>", json.loads(json.dumps({"evaluate": evaluated, **others}, allow_nan=False)))


def read(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open
    return checker


@pytest.mark.parametrize("make", [support.classified, support.detected])
def test_a_page_that_needs_nothing_else(make: Any, tmp_path: Path) -> None:
    text = page.render(told(make(tmp_path)))
    found = read(text)
    assert found.loaded
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in found.loaded)
    assert not re.search(r"@import|url\(|https?://", text)
    assert "nan" not in re.sub(r"base64,[^'\"]*", "", text).lower()
    words = " ".join(found.words)
    assert "m<1>" in words
    assert "cow & <calf>" in words


def test_what_the_page_says_of_a_bad_variant(tmp_path: Path) -> None:
    words = " ".join(read(page.render(told(support.classified(tmp_path)))).words)
    assert "not good enough" in words
    assert "int8 is 4.0× smaller and 2.0× faster than the float model" in words
    assert "gets 3 more of 60 test pictures wrong (100.0% → 95.0% top-1)" in words
    assert "int8 loses 5.0 points of top-1 (100.0 to 95.0 on 60 pictures, 1 allowed)" in words
    assert words.count("float is right") == 3
    assert "block_2" in words


def test_a_variant_that_passes(tmp_path: Path) -> None:
    words = " ".join(read(page.render(told(support.classified(tmp_path, wrong=0)))).words)
    assert "good enough to ship" in words
    assert "gets as many of 60 test pictures right" in words
    assert "Worst mistakes" not in words


def test_pictures_that_are_gone(tmp_path: Path) -> None:
    evaluated = support.classified(tmp_path)
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    found = read(page.render(told(evaluated)))
    assert "picture gone" in found.words
    assert not found.loaded


def test_boxes_on_pictures(tmp_path: Path) -> None:
    text = page.render(told(support.detected(tmp_path)))
    assert text.count('class="box missed"') == text.count('class="box false"') == 2
    assert "<b>1 missed</b>, 1 false" in text


def test_markdown(tmp_path: Path) -> None:
    text = markdown.render(told(support.classified(tmp_path)))
    assert text.startswith("# m\\<1\\>\n")
    assert "| **int8** | 95.0% | −5.0 |" in text
    assert "| cow & \\<calf\\> | 20 | 100.0% | 95.0% | −5.0 |" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") - line.count("\\|") for line in table.splitlines()}) == 1
    assert "AP50" in markdown.render(told(support.detected(tmp_path)))


def test_how_it_was_made(tmp_path: Path) -> None:
    others = {
        "data": {"pictures": {"train": 7, "test": 3}, "fingerprint": "f" * 64},
        "quantize": {
            "input": [96, 128, 3],
            "preprocess": {"name": "-1..1", "color": "rgb", "mean": [127.5], "std": [127.5]},
            "calibration": {"pictures": 50, "histogram": list(range(16))},
            "variants": [{"recipe": "int8", "converter": "tensorflow 2.21.0", "seconds": 12.3}],
        },
    }
    found = told(support.classified(tmp_path), **others)
    about = dict(found.about)
    assert about["Pictures"] == "7 train, 3 test"
    assert about["Input"] == "128 x 96 x 3"
    assert about["Converter of int8"] == "tensorflow 2.21.0, 12 s"
    assert about["Measured on"] == "a processor, CPU x2, ai-edge-litert 2.3.0"
    assert "Calibration pictures" in page.render(found)


def test_nothing_judged() -> None:
    with pytest.raises(UsageError, match="evaluate"):
        story.gather("m", {"evaluate": None})


def test_many_classes_are_listed_instead_of_drawn(tmp_path: Path) -> None:
    evaluated = support.classified(tmp_path)
    names = [f"class {n}" for n in range(40)]
    evaluated["names"] = names
    for entry in evaluated["models"].values():
        accuracy = entry["accuracy"]
        accuracy["classes"] = [
            {"name": name, "shown": 10, "found": n % 10, "named": 10, "ap50": None}
            for n, name in enumerate(names)
        ]
        accuracy["confusion"] = [
            [2 if row == 3 and column == 4 else 0 for column in range(41)] for row in range(40)
        ]
    for entry in evaluated["comparisons"].values():
        entry["classes"] = [{"name": name, "shown": 10, "lost": n == 7} for n, name in enumerate(names)]
    found = told(evaluated)
    assert charts.confusion(found) == ""
    assert found.confusions() == [("class 3", "class 4", 2)]
    bars = charts.class_bars(found)
    assert bars.count("<rect") == 2 * charts.MOST_CLASSES
    assert "class 7" in bars


def test_scales() -> None:
    plain = Scale(0, 100, 10, 110)
    assert (plain(0), plain(50), plain(100)) == (10, 60, 110)
    assert plain.ticks(5) == [0, 20, 40, 60, 80, 100]
    assert Scale(84.7, 88.1, 0, 1).ticks(5) == [85, 86, 87, 88]
    wide = Scale(1, 100, 0, 2, logarithmic=True)
    assert wide(10) == pytest.approx(1)
    assert wide.ticks() == pytest.approx([1, 2, 5, 10, 20, 50, 100])
    assert Scale(3, 3, 5, 9)(3) == 5
    assert Scale(3, 3, 5, 9).ticks() == [3]


@pytest.mark.parametrize(
    ("points", "words"), [(0.3, "+0.3"), (-1.06, "−1.1"), (0.01, "±0"), (-0.04, "±0"), (12, "+12.0")]
)
def test_signed(points: float, words: str) -> None:
    assert story.signed(points) == words


def test_units() -> None:
    assert (story.megabytes(2_735_133), story.megabytes(45_678)) == ("2.74 MB", "45.7 kB")
    assert (story.milliseconds(1.234), story.milliseconds(104.72)) == ("1.23 ms", "104.7 ms")
    assert (story.percent(0.8681), story.percent(None)) == ("86.8%", "–")
    assert (story.times(10, 4), story.times(10, 9.9), story.times(0, 1)) == ("2.5×", "", "")
