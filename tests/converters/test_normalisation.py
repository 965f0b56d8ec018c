"""Which preprocessing is likely, by how the float model answers."""

from __future__ import annotations

from converters.normalisation import contenders


def test_the_one_that_gets_clearly_most_right() -> None:
    assert contenders({"-1..1": 0.90, "0..1": 0.97, "0..255": 0.3}, 0.2) == ["0..1"]


def test_what_is_nearly_as_good_may_be_meant_as_well() -> None:
    assert contenders({"-1..1": 0.98, "0..1": 0.99, "0..255": 0.3}, 0.2) == ["0..1", "-1..1"]
    assert contenders({"-1..1": 1.0, "0..1": 1.0, "torch": 1.0}, 0.2) == ["-1..1", "0..1", "torch"]


def test_guesses_tell_nothing() -> None:
    assert contenders({"-1..1": 0.55, "0..1": 0.45}, 0.5) == []
    assert contenders({"-1..1": 0.15, "0..1": 0.01}, 0.1) == []
