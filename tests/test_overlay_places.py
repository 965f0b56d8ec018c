"""Zones, lines and ids over the picture."""

from __future__ import annotations

import numpy as np
import pytest

from edgecam.overlay import Overlay, class_color
from edgecam.scene import Line, Rule, Scene, Zone
from edgecam.types import Array, Detections, Frame, Image, Packet, Status

GRAY = 128


def packet(width: int = 640, height: int = 480, counts: dict[str, dict[str, int]] | None = None) -> Packet:
    image = np.full((height, width, 3), GRAY, np.uint8)
    return Packet(Frame(0, image), Detections.empty(), ("person",), Status("running"), counts=counts)


def drawn(scene: Scene, **options: object) -> Image:
    return Overlay(status=False, scene=scene).draw(packet(**options))  # type: ignore[arg-type]


def where(image: Image, color: tuple[int, int, int]) -> Array:
    """Rows (x, y) of the pixels of a colour."""
    return np.argwhere((image == color).all(axis=2))[:, ::-1]


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1920, 1080), (720, 1280)])
def test_a_zone_s_outline_is_where_its_points_are(width: int, height: int) -> None:
    zone = Zone("z", ((0.2, 0.25), (0.9, 0.25), (0.9, 0.75), (0.2, 0.75)))
    found = where(drawn(Scene((zone,)), width=width, height=height), class_color(3))
    line = max(2, height / 100)
    assert found[:, 0].max() == pytest.approx(0.9 * (width - 1), abs=line)
    assert found[:, 1].max() == pytest.approx(0.75 * (height - 1), abs=line)
    middle = drawn(Scene((zone,)), width=width, height=height)[int(height * 0.6), int(width * 0.5)]
    assert (middle == GRAY).all()


@pytest.mark.parametrize(
    ("points", "way"),
    [
        (((0.5, 0.2), (0.5, 0.8)), (-1, 0)),
        (((0.5, 0.8), (0.5, 0.2)), (1, 0)),
        (((0.2, 0.5), (0.8, 0.5)), (0, 1)),
        (((0.8, 0.5), (0.2, 0.5)), (0, -1)),
    ],
)
def test_the_arrow_points_to_where_in_is(
    points: tuple[tuple[float, float], tuple[float, float]], way: tuple[int, int]
) -> None:
    """The same side as what the rules count as ``in``."""
    from edgecam.rules.geometry import Gate

    image = drawn(Scene(lines=(Line("g", points),)))
    found = where(image, class_color(5)) - (320, 240)
    near = found[(np.abs(found) < 60).all(axis=1)]
    along = near @ np.array(way)
    assert along.max() >= 12 and along.min() >= -4
    gate, ahead = Gate(points), 0.2 * np.array(way)
    assert gate.cross([1], np.array([0.5 - ahead]), np.array([0.1]), 1.0) == [0]
    assert gate.cross([1], np.array([0.5 + ahead]), np.array([0.1]), 1.0) == [1]


def test_counts_stand_beside_the_names() -> None:
    zone = Zone("z", ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)))
    line = Line("g", ((0.1, 0.9), (0.9, 0.9)))
    scene = Scene((zone,), (line,), (Rule("a", zone="z"), Rule("b", line="g")))
    none = drawn(scene)
    few = drawn(scene, counts={"a": {"events": 1, "now": 2}, "b": {"events": 1, "in": 3, "out": 4}})
    more = drawn(scene, counts={"a": {"events": 1, "now": 2}, "b": {"events": 1, "in": 3, "out": 5}})
    assert (none != few).any() and (few != more).any()
    changed = np.argwhere((few != more).any(axis=2))
    assert changed[:, 0].min() > 0.8 * 480  # at the line alone


def test_an_id_stands_beside_the_label() -> None:
    found = Detections(
        np.array([[100, 100, 300, 400]], np.float32), np.array([0.9], np.float32), np.array([0], np.int32)
    )

    def picture(track_id: int | None) -> Image:
        ids = None if track_id is None else np.array([track_id], np.int32)
        result = Detections(found.xyxy, found.score, found.class_id, track_id=ids)
        image = np.full((480, 640, 3), GRAY, np.uint8)
        return Overlay(status=False).draw(Packet(Frame(0, image), result, ("person",), Status("running")))

    plain = picture(None)
    assert (picture(0) == plain).all()  # not known yet
    assert (picture(7) != plain).any() and (picture(7) != picture(8)).any()
    reference = Overlay(status=False).draw(
        Packet(Frame(0, np.full((480, 640, 3), GRAY, np.uint8)), found, ("person 7",), Status("running"))
    )
    assert (picture(7) == reference).all()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1920, 1080), (16, 9)])
def test_a_thin_line_goes_around_what_the_model_looks_at(width: int, height: int) -> None:
    image = Overlay(status=False, region=(0.25, 0.5, 0.75, 1.0)).draw(packet(width, height))
    changed = (image != GRAY).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    edge = max(3, min(width, height) // 100)
    assert abs(rows[0] - height * 0.5) <= edge and rows[-1] == height - 1
    assert abs(columns[0] - width * 0.25) <= edge and abs(columns[-1] - width * 0.75) <= edge
    if width > 100:
        assert not changed[int(height * 0.7), int(width * 0.4) : int(width * 0.6)].any()


def test_a_scene_without_places_draws_nothing() -> None:
    assert (drawn(Scene(rules=(Rule("a"),))) == GRAY).all()
