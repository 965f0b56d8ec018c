"""Choosing golden samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters import flatmodel, golden
from converters.golden import Candidate, Maker
from edgecam import contract, verify
from edgecam.contract import ModelSpec
from edgecam.errors import UsageError
from edgecam.sources.images import load_picture
from edgecam.types import Image
from edgecam.verify import Expected
from tests.helpers.pictures import scene

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


def model(name: str) -> tuple[bytes, ModelSpec]:
    data = (MODELS / f"{name}.tflite").read_bytes()
    spec = contract.read(MODELS / f"{name}.tflite")
    assert spec is not None
    return flatmodel.bare(data), spec


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker(*model("detect-coco"))


def candidate(*said: Expected) -> Candidate:
    return Candidate(b"", np.zeros((300, 300, 3), np.uint8), said)


def test_how_clear_an_answer_is(maker: Maker) -> None:
    """The detector's floor is its threshold of 0.5."""
    assert maker.floor == 0.5
    assert maker.room([]) == 0
    assert maker.room([Expected(0, 0.45)]) == 0
    assert maker.room([Expected(0, 0.8)]) == pytest.approx(0.3)
    assert maker.room([Expected(0, 0.9), Expected(0, 0.55)]) == pytest.approx(0.05)
    assert maker.room([Expected(0, 0.9), Expected(1, 0.7)]) == pytest.approx(0.2)
    assert maker.room([Expected(0, 0.9), Expected(0, 0.85)]) == pytest.approx(0.35)
    assert maker.room([Expected(0, 0.9), Expected(1, 0.48)]) == pytest.approx(0.02)


BOX = (10.0, 10.0, 90.0, 90.0)


@pytest.mark.parametrize(
    ("said", "other", "spread"),
    [
        ([(0, 0.9)], [(0, 0.86)], 0.04),
        ([(0, 0.9)], [], 1.0),
        ([], [(0, 0.6)], 1.0),
        ([(0, 0.9), (1, 0.4)], [(0, 0.9)], 0.0),
        ([(0, 0.9)], [(1, 0.9)], 1.0),
    ],
)
def test_how_far_answers_lie_apart(
    maker: Maker, said: list[tuple[int, float]], other: list[tuple[int, float]], spread: float
) -> None:
    first, second = (tuple(Expected(c, s, BOX) for c, s in some) for some in (said, other))
    assert maker.spread(candidate(*first), [first, second]) == pytest.approx(spread)


def test_a_box_elsewhere_is_another_thing(maker: Maker) -> None:
    moved = Expected(0, 0.9, (30.0, 10.0, 110.0, 90.0))
    assert maker.spread(candidate(Expected(0, 0.9, BOX)), [[moved]]) == 1.0


def views(real: Path) -> list[Image]:
    """The public photographs and their halves."""
    pictures = [load_picture(real / name) for name in ("bus.jpg", "cat_720p.jpg", "face.jpg", "parrot.jpg")]
    halves = [half for p in pictures for half in (p[:, : p.shape[1] // 2], p[:, p.shape[1] // 2 :])]
    return pictures + [np.ascontiguousarray(half) for half in halves]


@pytest.mark.real
@pytest.mark.parametrize("name", ["detect-coco", "classify-person", "classify-things10", "face"])
def test_samples_hold_what_the_model_says(real: Path, name: str) -> None:
    maker = Maker(*model(name))
    entries, files = maker.make(views(real), 5)
    assert 1 <= len(entries) <= 5
    assert [entry["picture"] for entry in entries] == sorted(files)
    for entry in entries:
        again = maker.candidate(verify._decode("x", files[entry["picture"]], entry["crc32"]))
        # One more pass through JPEG changes a pixel here and there, an answer hardly.
        assert again.said[0].class_id == entry["expect"][0][0]
        assert again.said[0].score == pytest.approx(entry["expect"][0][1], abs=0.1)
        assert entry["expect"][0][1] >= maker.floor + 2 * entry["score"] - 1e-4
        assert len(entry["expect"][0]) == (2 if name.startswith("classify") else 6)


def test_classes_take_turns() -> None:
    dogs = [candidate(Expected(1, score)) for score in (0.99, 0.98, 0.97)]
    cats = [candidate(Expected(0, score)) for score in (0.8, 0.7)]
    chosen = golden._of_many_classes([*dogs, *cats], 4)
    assert [c.said[0] for c in chosen] == [
        Expected(1, 0.99),
        Expected(0, 0.8),
        Expected(1, 0.98),
        Expected(0, 0.7),
    ]


def test_unsteady_pictures_widen_the_tolerance_only_where_there_are_no_others(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild, calm = candidate(Expected(0, 0.95, BOX)), candidate(Expected(1, 0.8, BOX))
    others = {id(wild.image): [[Expected(0, 0.75, BOX)]], id(calm.image): [[Expected(1, 0.81, BOX)]]}
    monkeypatch.setattr(maker, "candidate", lambda picture: picture)
    monkeypatch.setattr(maker, "others", lambda image: others[id(image)])
    (entry,), _ = maker.make([wild, calm])  # type: ignore[list-item]
    assert (entry["expect"][0][0], entry["score"]) == (1, 0.1)
    (entry,), _ = maker.make([wild])  # type: ignore[list-item]
    assert (entry["expect"][0][0], entry["score"]) == (0, 0.4)


def test_other_answers_are_of_other_kernels_and_of_noisy_pictures(maker: Maker) -> None:
    _, samples = verify.load(MODELS / "detect-coco.tflite")
    image = samples[0].image
    others = maker.others(image)
    assert len(others) == 7
    assert others == maker.others(image), "the same each time"
    mine = samples[0].expect[0]
    for other in others:
        assert other[0].class_id == mine.class_id
        assert other[0].score == pytest.approx(mine.score, abs=0.05)


def test_pictures_of_nothing(maker: Maker) -> None:
    gray = np.full((40, 40, 3), 128, np.uint8)
    with pytest.raises(UsageError, match="none of 2 pictures gets a clear answer"):
        maker.make([gray, gray])


def test_the_picture_is_laid_in_as_the_contract_says() -> None:
    """The face detector letterboxes on black; its samples show the border."""
    data, spec = model("face")
    wide = np.full((50, 100, 3), 200, np.uint8)
    image = Maker(data, spec).candidate(wide).image
    assert image.shape == (128, 128, 3)
    assert image[:30].max() < 10
    assert image[50:78].min() > 190
    stretched = Maker(data, replace(spec, resize="stretch")).candidate(wide).image
    assert stretched.min() > 190


def test_pixels_go_in_before_colour_order_and_scale() -> None:
    data, spec = model("face")
    picture = scene(3, 128, 128)
    plain = Maker(data, spec).candidate(picture).image
    swapped = Maker(data, replace(spec, color="bgr", mean=(0.0,), std=(255.0,))).candidate(picture).image
    np.testing.assert_array_equal(plain, swapped)
