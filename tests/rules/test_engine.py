"""Rules against scenes whose events are known."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.events import Event
from edgecam.rules.objects import Objects
from edgecam.scene import Rule
from edgecam.types import Classification, Detections

from .support import Stage, at, objects, phases

IN: dict[str, Any] = {"x": 0.25}
OUT: dict[str, Any] = {"x": 0.75}
STAY = Rule("stay", zone="left")
CROSS = Rule("cross", line="gate")


# -- an object in a zone


def test_an_object_in_a_zone_is_one_event_from_its_first_to_its_last_moment_there() -> None:
    stage = Stage(STAY)
    assert stage(0.0, OUT) == []
    assert stage(1.0, IN) == ["start"]
    assert stage.stays(1.1, 4.1, IN) == []
    assert stage.stays(4.1, 6.0, OUT) == []
    assert stage.stays(6.0, 6.3, OUT) == ["end"]
    start, end = stage.events
    assert start.id == end.id and re.fullmatch("[0-9a-z-]+", start.id)
    assert (end.rule, end.kind, end.place, end.label) == ("stay", "zone", "left", "person")
    assert end.tracks == (1,) and end.number == 1 and end.direction == ""
    assert (end.start.at, end.last.at, end.seconds) == (1.0, pytest.approx(4.0), pytest.approx(3.0))


def test_each_object_has_its_own_event() -> None:
    stage = Stage(STAY)
    assert stage(0.0, IN, {"x": 0.4}, OUT) == ["start", "start"]
    assert {event.tracks for event in stage.events} == {(1,), (2,)}
    assert len({event.id for event in stage.events}) == 2
    assert phases(stage.rules.finish()) == ["end", "end"]
    assert stage.rules.finish() == []


def test_dwell_asks_for_a_stay_and_forgives_a_moment_away() -> None:
    stage = Stage(replace(STAY, dwell=3.0, end_after=1.0))
    assert stage.stays(0.0, 2.9, IN) == []
    assert stage.stays(2.9, 4.5, OUT) == []  # away for more than end_after: from the beginning
    assert stage.stays(4.5, 6.0, IN) == []
    assert stage.stays(6.0, 6.5, OUT) == []  # away for less
    assert stage.stays(6.5, 7.4, IN) == []
    assert stage.stays(7.4, 7.8, IN) == ["start"]


def test_who_comes_back_soon_makes_no_second_event() -> None:
    stage = Stage(replace(STAY, end_after=2.0))
    for n in range(10):
        stage.stays(2 * n, 2 * n + 1, IN)
        stage.stays(2 * n + 1, 2 * n + 2)  # not found
    assert phases(stage.events) == ["start"]
    assert stage.stays(20.0, 22.5) == ["end"]
    assert stage.events[-1].last.at == pytest.approx(18.9)


def test_cooldown_lets_one_event_through_and_the_next_after_it() -> None:
    stage = Stage(replace(STAY, cooldown=10.0, end_after=1.0))
    assert stage.stays(0.0, 2.0, IN) == ["start"]
    assert stage.stays(2.0, 4.0) == ["end"]  # was last there at 1.9
    assert stage.stays(4.0, 8.0, IN | {"id": 2}) == []
    assert stage.stays(8.0, 10.0) == []
    assert stage.stays(10.0, 11.8, IN | {"id": 3}) == []
    assert stage.stays(11.8, 12.2, IN | {"id": 3}) == ["start"]  # still there when it is over


@pytest.mark.parametrize(
    ("rule", "row", "fits"),
    [
        (replace(STAY, labels=("dog", "car")), IN | {"label": "dog"}, True),
        (replace(STAY, labels=("dog", "car")), IN, False),
        (replace(STAY, labels=("#0",)), IN, True),
        (replace(STAY, min_score=0.8), IN | {"score": 0.8}, True),
        (replace(STAY, min_score=0.8), IN | {"score": 0.79}, False),
        (replace(STAY, min_size=0.0199), IN, True),
        (replace(STAY, min_size=0.021), IN, False),
        (replace(STAY, max_size=0.019), IN, False),
        (replace(STAY, max_size=0.5), IN, True),
        (Rule("anywhere"), OUT, True),
        (STAY, {"x": 0.499}, True),
        (STAY, {"x": 0.501}, False),
    ],
)
def test_filters(rule: Rule, row: dict[str, Any], fits: bool) -> None:
    assert Stage(rule)(0.0, row) == ["start"] * fits


def test_a_score_once_reached_is_enough() -> None:
    stage = Stage(replace(STAY, min_score=0.7))
    assert stage(0.0, IN | {"score": 0.5}) == []
    assert stage(0.1, IN | {"score": 0.75}) == ["start"]
    assert stage.stays(0.2, 6.0, IN | {"score": 0.3}) == []


@pytest.mark.parametrize(("anchor", "fits"), [("bottom", False), ("center", True), ("top", True)])
def test_the_anchor_is_what_must_be_inside(anchor: str, fits: bool) -> None:
    from edgecam.rules.engine import Rules
    from edgecam.scene import Scene, Zone

    upper = Zone("upper", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)))
    rules = Rules(Scene((upper,), (), (Rule("r", zone="upper", anchor=anchor),)), 2.0)
    assert len(rules.look(at(0), objects({"y": 0.55, "height": 0.2}), ("person",))) == fits


def test_the_best_sight_is_the_largest_of_score_times_size() -> None:
    stage = Stage(STAY)
    stage(0.0, IN | {"width": 0.1, "score": 0.5})
    assert stage(0.1, IN | {"width": 0.105, "score": 0.5}) == []  # 5 % better is not worth a picture
    assert stage(0.2, IN | {"width": 0.2, "score": 0.5}) == ["update"]
    assert stage(0.3, IN | {"width": 0.1, "score": 0.9}) == []
    assert stage(0.4, IN | {"width": 0.2, "score": 0.9}) == ["update"]
    best = stage.events[-1].best
    assert stage.events[-1].improved and best.moment == at(0.4) and best.track_id == 1
    assert best.box == pytest.approx((0.15, 0.3, 0.35, 0.5)) and best.score == pytest.approx(0.9)
    assert best.value == pytest.approx(0.9 * 0.2 * 0.2)
    (end,) = stage.rules.finish()
    assert end.best == best and not end.improved


def test_who_comes_nearer_for_an_hour_is_few_updates() -> None:
    stage = Stage(STAY)
    for n in range(3600):
        stage(n, IN | {"width": 0.01 + n * 0.0001, "height": 0.2 + n * 0.0002})
    assert 20 < len(stage.events) < 80


# -- several in a zone


def test_a_count_makes_one_event_while_so_many_are_there() -> None:
    stage = Stage(replace(STAY, count=2, end_after=1.0))
    assert stage(0.0, IN, OUT) == []
    assert stage(0.1, IN, {"x": 0.3}) == ["start"]
    assert stage.events[0].tracks == (1, 2) and stage.events[0].count == 2
    assert stage.stays(0.2, 3.0, IN, {"x": 0.3}, {"x": 0.35}) == ["update"]
    assert stage.events[1].tracks == (1, 2, 3) and stage.events[1].most == 3
    assert stage.stays(3.0, 4.5, IN) == ["end"]
    assert stage.events[-1].last.at == pytest.approx(2.9) and stage.events[-1].most == 3
    assert stage.rules.counts() == {"stay": {"events": 1, "now": 1}}


def test_a_number_that_changes_all_the_time_is_told_once_a_second() -> None:
    stage = Stage(replace(STAY, count=1))
    for n in range(100):
        stage(n / 10, *[IN] * (1 + n % 2))
    assert len(stage.events) < 13


def test_a_count_may_ask_for_a_while() -> None:
    stage = Stage(replace(STAY, count=2, dwell=5.0, end_after=0.5))
    pair = (IN, {"x": 0.3})
    assert stage.stays(0.0, 4.5, *pair) == []
    assert stage.stays(4.5, 6.0, IN) == []
    assert stage.stays(6.0, 10.9, *pair) == []
    assert stage.stays(10.9, 11.2, *pair) == ["start"]


# -- lines


def walk(stage: Stage, start: float, name: int, left_to_right: bool, **more: Any) -> list[str]:
    xs = np.linspace(0.3, 0.7, 9)
    found: list[str] = []
    for n, x in enumerate(xs if left_to_right else xs[::-1]):
        found += stage(start + n / 10, {"id": name, "x": float(x)} | more)
    return found


def test_crossings_are_counted_by_direction() -> None:
    stage = Stage(CROSS)
    for n in range(7):
        walk(stage, 3.0 * n, n + 1, left_to_right=n % 3 != 0)
    assert stage.rules.counts() == {"cross": {"events": 7, "in": 3, "out": 4}}
    starts = [event for event in stage.events if event.phase == "start"]
    assert [event.direction for event in starts] == ["in", "out", "out", "in", "out", "out", "in"]
    assert [event.tracks for event in starts] == [(n + 1,) for n in range(7)]
    assert [event.number for event in starts] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("direction", "found"), [("both", 2), ("in", 1), ("out", 1)])
def test_a_rule_may_ask_for_one_direction(direction: str, found: int) -> None:
    stage = Stage(replace(CROSS, direction=direction))
    walk(stage, 0.0, 1, left_to_right=True)
    walk(stage, 5.0, 2, left_to_right=False)
    assert [event.phase for event in stage.events].count("start") == found


def test_a_crossing_goes_on_for_its_best_sight_and_ends_at_the_crossing() -> None:
    stage = Stage(replace(CROSS, end_after=1.0))
    walk(stage, 0.0, 1, left_to_right=True)
    crossed = stage.events[0].start.at
    assert stage(0.9, {"id": 1, "x": 0.75, "width": 0.3}) == ["update"]
    assert stage(1.0) == [] and stage(3.0) == ["end"]
    assert stage.events[-1].last.at == crossed and stage.events[-1].best.moment == at(0.9)


def test_cooldown_does_not_keep_crossings_from_being_counted() -> None:
    stage = Stage(replace(CROSS, cooldown=60.0))
    for n in range(5):
        walk(stage, 2.0 * n, n + 1, left_to_right=True)
    assert stage.rules.counts() == {"cross": {"events": 1, "in": 0, "out": 5}}


def test_a_line_sees_only_what_the_filters_let_through() -> None:
    stage = Stage(replace(CROSS, labels=("person",)))
    walk(stage, 0.0, 1, left_to_right=True, label="dog")
    assert stage.rules.counts()["cross"]["out"] == 0
    walk(stage, 5.0, 2, left_to_right=True, label="person")
    assert stage.rules.counts()["cross"]["out"] == 1


# -- labels of a classification


def test_a_label_that_holds_is_an_event_for_the_whole_picture() -> None:
    stage = Stage(Rule("dog", labels=("dog",), dwell=1.0, end_after=0.5))

    def shows(seconds: float, dog: float) -> list[str]:
        found = Classification(np.array([dog, 1 - dog], np.float32), np.array([1, 0], np.int32))
        steps = stage.rules.look(at(seconds), Objects.of(found, (640, 480)), ("person", "dog", "car"))
        stage.events += steps
        return phases(steps)

    assert [shows(n / 10, 0.9) for n in range(11)][-1] == ["start"]
    assert shows(1.1, 0.45) == [] and shows(1.7, 0.45) == ["end"]  # a half is the least
    end = stage.events[-1]
    assert (end.kind, end.place, end.tracks, end.best.track_id) == ("picture", "", (), 0)
    assert end.best.box == (0, 0, 1, 1) and end.label == "dog"


# -- all together


def test_detections_without_an_id_are_not_looked_at() -> None:
    found = Detections(
        np.array([[0, 0, 64, 48], [64, 48, 128, 96]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([0, 1], np.int32),
        track_id=np.array([0, 7], np.int32),
    )
    seen = Objects.of(found, (640, 480))
    assert seen.names == [7] and seen.boxes.tolist() == [[0.1, 0.1, 0.2, 0.2]]
    untracked = Detections(found.xyxy, found.score, found.class_id)
    assert len(Objects.of(untracked, (640, 480))) == 0


def test_a_wall_clock_that_jumps_changes_stamps_and_nothing_else() -> None:
    steady, jumpy = Stage(STAY, CROSS), Stage(STAY, CROSS)
    for n in range(200):
        row = {"x": 0.5 + 0.4 * np.sin(n / 15)}
        steady(n / 10, row)
        jumpy(n / 10, row, wall=[1e9, 2e9, 0.0, -5.0][n // 7 % 4] + n)

    def told(stage: Stage) -> list[tuple[Any, ...]]:
        return [(e.phase, e.rule, e.start.at, e.last.at, e.number, e.direction) for e in stage.events]

    assert told(steady) == told(jumpy) and len(told(steady)) > 10
    stamps = {event.start.wall for event in jumpy.events}
    assert min(stamps) < 1e3 and max(stamps) > 2e9


def test_while_no_frame_comes_events_end_by_the_clock() -> None:
    stage = Stage(STAY, CROSS, replace(STAY, name="crowd", count=1))
    walk(stage, 0.0, 1, left_to_right=True)
    assert stage.rules.idle(1.0) == []
    assert {event.rule for event in stage.rules.idle(10.0)} == {"stay", "cross", "crowd"}
    assert stage.rules.idle(10.0) == []


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.dictionaries(st.integers(1, 4), st.floats(0, 1), max_size=4)),
        max_size=40,
    ),
    st.floats(0, 3),
    st.floats(0, 3),
    st.floats(0, 3),
)
def test_every_event_starts_once_and_ends_once_in_order(
    frames: list[tuple[float, dict[int, float]]], dwell: float, end_after: float, cooldown: float
) -> None:
    more = {"end_after": end_after, "cooldown": cooldown}
    stage = Stage(
        Rule("a", zone="left", dwell=dwell, **more),  # type: ignore[arg-type]
        Rule("b", line="gate", **more),  # type: ignore[arg-type]
        Rule("c", zone="left", count=2, dwell=dwell, **more),  # type: ignore[arg-type]
    )
    seconds = 0.0
    for step, xs in frames:
        seconds += step
        stage(seconds, *({"id": name, "x": x} for name, x in xs.items()))
    events = stage.events + stage.rules.finish()
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.id, []).append(event)
    for steps in by_id.values():
        assert phases(steps) == ["start", *["update"] * (len(steps) - 2), "end"]
        assert steps[0].improved and steps[0].best.moment == steps[0].start
        values = [event.best.value for event in steps]
        assert values == sorted(values)
        assert all(
            event.improved == (event.best != before.best) for before, event in itertools.pairwise(steps)
        )
        assert steps[-1].last.at >= steps[-1].start.at
    starts = [e for e in events if e.phase == "start"]
    for rule in "abc":
        mine = [e for e in starts if e.rule == rule]
        assert [e.number for e in mine] == list(range(1, len(mine) + 1))
        assert all(b.start.at - a.start.at >= cooldown - 1e-9 for a, b in itertools.pairwise(mine))
    assert stage.rules.finish() == []
