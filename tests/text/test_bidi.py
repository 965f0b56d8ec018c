"""The order of mixed left-to-right and right-to-left text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.text.bidi import visual_runs

MIRROR = str.maketrans("()[]", ")(][")


def shown(text: str) -> str:
    """What stands on the screen from left to right."""
    return "".join(run[::-1].translate(MIRROR) if rtl else run for run, rtl in visual_runs(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person 87%", "person 87%"),
        ("כלב", "בלכ"),
        ("כלב 87%", "87% בלכ"),
        ("dog כלב 12", "dog 12 בלכ"),
        ("abc שלום 123 (עולם) def", "abc (םלוע) 123 םולש def"),
        ("כלב (dog) גדול", "לודג (dog) בלכ"),
        ("كلب 12.5", "12.5 بلك"),
        ("سعر 3-4", "4-3 رعس"),
        ("a - ב", "a - ב"),
        ("", ""),
    ],
)
def test_order(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(alphabet="ab 1.,%(-)[]/+שלוםכلبقط٥٪\u064e\u05b8", max_size=20))
def test_no_character_is_lost_and_runs_have_one_direction(text: str) -> None:
    runs = visual_runs(text)
    assert sorted("".join(run for run, _ in runs)) == sorted(text)
    for run, rtl in runs:
        strong = {unicodedata.bidirectional(c) for c in run} & {"L", "R", "AL"}
        assert not (strong & {"R", "AL"}) or rtl
        assert "L" not in strong or not rtl


@given(st.text(alphabet="abcXYZ 12.%()", max_size=20))
def test_plain_text_is_one_run(text: str) -> None:
    assert visual_runs(text) == ([(text, False)] if text else [])
