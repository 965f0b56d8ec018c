"""The demo: it moves, it loops without a seam, and the bundled detector finds what is on the wall."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from edgecam import contract, resources
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import UsageError
from edgecam.preprocess import Preprocessor
from edgecam.registry import HEADS, SOURCES, load, parse_uri
from edgecam.sources.demo import SECONDS_A_STOP, STOPS, WALL, DemoSource, view_at
from edgecam.types import Frame, HeadOptions

TURN_S = SECONDS_A_STOP * len(STOPS)


def read_all(query: str) -> list[Frame]:
    source = DemoSource(parse_uri(f"demo:{query}"))
    source.open()
    frames = list(iter(source.read, None))
    source.close()
    return frames


def test_small_in_bytes() -> None:
    assert WALL.stat().st_size < 1_000_000


def test_a_number_of_frames_is_a_file() -> None:
    frames = read_all("?frames=3")
    assert [f.seq for f in frames] == [0, 1, 2]
    assert [f.media_time for f in frames] == pytest.approx([0, 0.04, 0.08])
    assert frames[0].size == (1280, 720)


def test_live_without_end_by_default() -> None:
    source = DemoSource(parse_uri("demo:"))
    assert (source.live, source.total, source.fps) == (True, None, 25)
    frames = read_all("?live=yes&frames=4&fps=50&size=320x180")
    assert frames[3].times.captured - frames[0].times.captured >= 3 / 50 - 1e-3


def test_every_picture_differs_from_the_last() -> None:
    frames = read_all(f"?frames={round(TURN_S * 5)}&fps=5&size=160x90")
    changes = [np.abs(a.image.astype(int) - b.image).mean() for a, b in itertools.pairwise(frames)]
    assert min(changes) > 1


def test_the_loop_has_no_seam() -> None:
    assert np.allclose(view_at(TURN_S), view_at(0))
    before, after = (view_at(0) - view_at(-0.04)), (view_at(TURN_S + 0.04) - view_at(TURN_S))
    assert np.abs(before - after).max() < 1


def test_the_view_stays_on_the_wall() -> None:
    for seconds in np.arange(0, TURN_S, 0.1):
        x, y, width = view_at(float(seconds))
        assert width / 2 <= x <= 2240 - width / 2
        assert width * 9 / 32 <= y <= 1260 - width * 9 / 32


def test_colour_order_is_rgb() -> None:
    """The astronaut's suit is orange, the sky behind the commodore blue."""
    first = read_all("?frames=1")[0].image.astype(int)
    suit, sky = first[430, 110], first[350, 1170]
    assert suit[0] > suit[2] + 60
    assert sky[2] > sky[0] + 60


@pytest.mark.parametrize("size", [(640, 480), (320, 640), (1920, 1080)])
def test_any_shape_shows_the_whole_wall(size: tuple[int, int]) -> None:
    frame = read_all(f"?frames=1&size={size[0]}x{size[1]}")[0]
    assert frame.size == size
    # The wall's margin is gray on all sides: no photograph is cut.
    for edge in (frame.image[0], frame.image[-1], frame.image[:, 0], frame.image[:, -1]):
        spread = edge.astype(int).max(axis=1) - edge.astype(int).min(axis=1)
        assert spread.max() < 45


def test_the_bundled_detector_finds_them() -> None:
    """In one turn: persons, the cat, the cup and its table, and hardly anything else."""
    path = resources.bundled_model("detect-coco")
    spec = contract.resolve(path)
    engine = LiteRTEngine(EngineOptions(path))
    prepare = Preprocessor(spec, engine.input)
    head = load(HEADS, "head", spec.decoder)(spec, engine.input, engine.outputs, HeadOptions(threshold=0.5))
    seen: Counter[str] = Counter()
    frames = read_all(f"?frames={round(TURN_S)}&fps=1")
    for frame in frames:
        tensor, geometry = prepare(frame)
        found = head.decode(engine.infer(tensor), geometry)
        labels = {spec.labels[c] for c in found.class_id}
        assert labels & {"person", "cat", "cup"}, f"nothing known at second {frame.seq}: {labels}"
        seen.update(labels)
    engine.close()
    assert min(seen["person"], seen["cat"], seen["cup"]) > len(frames) / 3
    strange = sum(n for label, n in seen.items() if label not in {"person", "cat", "cup", "dining table"})
    assert strange < len(frames) / 5, seen


@pytest.mark.parametrize(
    ("text", "says"),
    [("demo:?size=1", "WIDTHxHEIGHT"), ("demo:?speed=2", "unknown option"), ("demo:street", "takes no path")],
)
def test_wrong_options_are_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        DemoSource(parse_uri(text))


def test_registered() -> None:
    assert load(SOURCES, "source", "demo") is DemoSource
