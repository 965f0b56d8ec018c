"""The page in a browser: nothing sticks out, wide or narrow, light or dark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.reporting import page, story
from tests.browser.driver import Browser
from tests.converters.reporting import support

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_sticks_out(tmp_path: Path, dark: bool) -> None:
    with Browser(tmp_path / "profile", dark=dark) as browser:
        for make in (support.classified, support.detected):
            told = story.gather("a model", json.loads(json.dumps({"evaluate": make(tmp_path)})))
            path = tmp_path / f"{make.__name__}.html"
            path.write_text(page.render(told), encoding="utf-8")
            browser.open(path.as_uri())
            browser.wait_text("footer", "edgecam-convert")
            for width in (1280, 390):
                browser.resize(width, 900)
                browser.wait(
                    f"no wider than {width}",
                    lambda width=width: browser.run("return document.documentElement.scrollWidth") <= width,
                )
            loaded = browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
            assert loaded or make is support.detected
        assert browser.complaints() == []
