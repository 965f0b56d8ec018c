"""Lines of text as bitmaps."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.text import arabic, render
from edgecam.types import Image


@pytest.fixture(params=["shaped", "unshaped"])
def shaping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of Pillow: with the system's FriBiDi and without."""
    if request.param == "shaped" and not render.can_shape():
        pytest.skip("Pillow cannot shape text: apt install libfribidi0")
    monkeypatch.setattr(render, "can_shape", lambda: request.param == "shaped")
    render._layout.cache_clear()
    return str(request.param)


def trim(mask: Image) -> Image:
    """The columns that hold ink."""
    columns = np.flatnonzero(mask.max(axis=0) > 64)
    return mask[:, columns[0] : columns[-1] + 1]


def test_mask_holds_ink_and_follows_the_size() -> None:
    small, large = render.line("dog", 20).ink, render.line("dog", 40).ink
    assert small.dtype == np.uint8 and small.max() == 255 and small.min() == 0
    assert large.shape[0] == pytest.approx(2 * small.shape[0], abs=2)
    # Without a shaper Pillow rounds each letter's advance to whole pixels.
    assert large.shape[1] == pytest.approx(2 * small.shape[1], abs=2 * len("dog") + 1)


def test_lines_are_equally_high_unless_a_script_needs_more() -> None:
    lines = [render.line(text, 24) for text in ("ace", "gpqy", "собака", "87%")]
    assert len({line.above for line in lines}) == 1
    assert len({line.ink.shape[0] for line in lines}) == 1
    tall = render.line("Ẫ", 24)
    assert tall.above > lines[0].above
    deep = render.line("ឆ្កែ", 24)
    # Only a shaper puts the subscript letter below the others.
    below = lines[0].ink.shape[0] - lines[0].above
    assert deep.ink.shape[0] - deep.above > below - (not render.can_shape())


def test_the_baseline_is_where_letters_stand() -> None:
    line = render.line("HHH", 40)
    assert line.ink[line.above - 1].max() == 255
    assert line.ink[line.above :].max() == 0


def test_hebrew_runs_from_right_to_left(shaping: str) -> None:
    pair = trim(render.line("אל", 48).ink)
    first, second = trim(render.line("א", 48).ink), trim(render.line("ל", 48).ink)
    assert np.abs(pair[:, : second.shape[1]].astype(int) - second).mean() < 12
    assert np.abs(pair[:, -first.shape[1] :].astype(int) - first).mean() < 12


def test_arabic_letters_are_joined(shaping: str) -> None:
    """Joined letters leave no empty column between them; the same letters kept apart do."""
    joined = trim(render.line("بيت", 48).ink)
    apart = trim(render.line("ب ي ت", 48).ink)
    assert joined.max(axis=0).min() > 64
    assert apart.max(axis=0).min() == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("كلب", "\ufe90\ufee0\ufedb"),
        ("باب", "\ufe8f\ufe8e\ufe91"),  # alef does not join forward
        ("سلام", "\ufee1\ufefc\ufeb3"),  # lam and alef become one
        ("دنیا", "\ufe8e\ufbff\ufee7\ufea9"),  # Persian yeh
        ("(אב)", "(בא)"),
        ("ـبـ", "ـ\ufe92ـ"),
    ],
)
def test_presentation_forms(text: str, expected: str) -> None:
    assert arabic.visual(text) == expected


def test_devanagari_without_shaping_names_the_remedy_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(render, "can_shape", lambda: False)
    render._layout.cache_clear()
    render._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        render.line("कुत्ता", 20)
        render.line("बिल्ली", 20)
        render.line("person ქართული", 20)
    render._layout.cache_clear()
    assert [r.message for r in caplog.records if "libfribidi0" in r.message] != []
    assert len(caplog.records) == 1


def test_missing_glyphs_are_a_box_not_a_crash() -> None:
    assert render.line("\U000f1234", 20).ink.max() == 255


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\nc", "a b c"),
        ("  dog \x00\x1b[31m ", "dog [31m"),
        ("e\u0301", "é"),
        ("\u202eabc\u202c", "abc"),
        ("क्\u200dष", "क्\u200dष"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert render.clean(text) == expected


def test_long_lines_end_in_an_ellipsis() -> None:
    text = "a label that goes on and on"
    whole = render.line(text, 20).ink
    cut = render.line(text, 20, 100).ink
    assert whole.shape[1] > 200 and 60 < cut.shape[1] <= 102
    assert render.line(text, 20, whole.shape[1]).ink.shape == whole.shape
    assert render._fit(text, 20, 100).endswith("…")
    assert render.line(text, 20, 0).ink.max() == 0


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30), st.integers(8, 40), st.integers(0, 300))
def test_any_text_draws_within_its_room(text: str, size: int, room: int) -> None:
    mask = render.line(text, size, room).ink
    assert mask.ndim == 2 and mask.shape[0] >= size
    assert mask.shape[1] <= room + 2 * size  # ink may hang over the advance
