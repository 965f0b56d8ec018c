"""Durations and sizes as people write them."""

import pytest

from edgecam.quantities import parse_bytes, parse_duration, show_bytes, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30s", 30), ("1.5m", 90), ("5 min", 300), ("2h", 7200), ("7D", 604800), ("1w", 604800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("512", 512), ("500M", 500 << 20), ("1.5G", 3 << 29), ("2GB", 2 << 30), ("1GiB", 1 << 30)],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "m", "-5m", "5 parsecs", "nan", "inf", "1e9h", "5mm", "0x5"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)
    with pytest.raises(ValueError, match="expected a size"):
        parse_bytes(text)


def test_what_people_read() -> None:
    assert [show_duration(s) for s in (90, 300, 7200, 604800, 2.5)] == [
        "90 s",
        "5 min",
        "2 h",
        "7 d",
        "2.5 s",
    ]
    assert [show_bytes(b) for b in (5, 1 << 20, 3 << 29, 5 << 40)] == ["5 B", "1 MB", "1.5 GB", "5 TB"]
