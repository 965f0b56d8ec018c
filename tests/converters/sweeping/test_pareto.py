"""What none beats, and the page that shows it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from converters.sweeping import page, pareto
from converters.sweeping.pareto import Point

POINTS = st.lists(
    st.builds(
        Point,
        variant=st.sampled_from("abc"),
        model=st.sampled_from(["float", "int8"]),
        accuracy=st.sampled_from([0.1, 0.5, 0.9]),
        ms=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
        bytes=st.sampled_from([100, 2000, 30000]),
        compressed=st.just(50),
        macs=st.just(10**6),
        parameters=st.just(1000),
    ),
    min_size=1,
    max_size=12,
)


@given(POINTS)
def test_none_on_the_front_is_beaten_and_all_others_are(points: list[Point]) -> None:
    best = pareto.front(points)
    assert best
    assert not any(other.beats(point) for point in best for other in points)
    assert all(any(other.beats(point) for other in best) for point in points if point not in best)


@given(POINTS)
def test_the_page_has_every_point_and_a_plot_that_is_drawn(points: list[Point]) -> None:
    story = page.Story("a & b", tuple(points), tuple(pareto.front(points)), {"c": {"error": "<gone>"}}, {})
    assert len(list(ET.fromstring(page.plot(story)).iter("circle"))) == len(points)
    html = page.render(story)
    assert "a &amp; b" in html
    assert "&lt;gone&gt;" in html
    assert page.markdown(story).count("\n| ") == 4 + len(points) + len(story.front)


def test_a_sweep_in_which_all_failed_has_a_page() -> None:
    story = page.Story("none", (), (), {"c": {"error": "no disk"}}, {})
    assert "no disk" in page.render(story)
    assert "no disk" in page.markdown(story)
