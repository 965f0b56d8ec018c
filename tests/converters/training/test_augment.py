"""Pictures changed at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.training.feed import TrainFeed
from converters.training.plan import Plan
from tests.converters.training.pictures import Memory

pytestmark = pytest.mark.convert

NOTHING = {"flip": False, "shift": 0.0}
X = Memory(16).x.astype(np.float32)


def changed(plan: Plan, x: np.ndarray = X) -> np.ndarray:
    from converters.training.augment import Augment

    return np.asarray(Augment(plan)(x, training=True))


def test_nothing_said_changes_nothing_and_judging_never_does() -> None:
    from converters.training.augment import Augment

    assert (changed(Plan(**NOTHING)) == X).all()  # type: ignore[arg-type]
    plan = Plan(rotate=20, zoom=0.3, brightness=0.5, contrast=0.5, saturation=0.5, cutout=0.5)
    assert (np.asarray(Augment(plan)(X, training=False)) == X).all()


@pytest.mark.parametrize(
    "name", ["shift", "rotate", "zoom", "brightness", "contrast", "saturation", "cutout"]
)
def test_each_changes_pictures_repeatably_and_keeps_them_pictures(name: str) -> None:
    plan = Plan(**{**NOTHING, name: 0.3 if name != "rotate" else 30})  # type: ignore[arg-type]
    made = changed(plan)
    assert (made == changed(plan)).all()
    assert sum((a != b).any() for a, b in zip(made, X, strict=True)) >= 12
    assert made.min() >= -0.01
    assert made.max() <= 255.01


def test_a_shift_is_by_whole_pixels() -> None:
    made = changed(Plan(flip=False, shift=0.1))
    values = set(np.unique(X))
    assert set(np.unique(made)) <= values


def test_cutout_blanks_a_square() -> None:
    made = changed(Plan(**NOTHING, cutout=0.25))  # type: ignore[arg-type]
    holes = (made == 127.5).all(-1)
    sizes = {(int(hole.any(1).sum()), int(hole.any(0).sum())) for hole in holes}
    assert max(sizes) == (8, 8) or max(sizes) == (7, 7)
    assert all(
        hole.sum() == rows * columns
        for hole in holes
        for rows, columns in [(hole.any(1).sum(), hole.any(0).sum())]
    )
    assert len({tuple(np.argwhere(hole)[0]) for hole in holes}) > 4


def test_mixup_blends_labels_as_it_blends_pictures() -> None:
    from converters.training.augment import Mixup

    x = np.array([0.0, 100.0, 200.0, 50.0], np.float32).reshape(4, 1, 1, 1)
    y = np.eye(4, dtype=np.float32)
    mixed, labels = (np.asarray(part) for part in Mixup(0.4, 3)(x, y))
    assert labels.sum(1) == pytest.approx(1)
    assert mixed.reshape(4) == pytest.approx(labels @ x.reshape(4), rel=1e-5)
    assert (labels.max(1) < 1).any()


def test_the_contact_sheet_shows_pictures_and_what_became_of_them(tmp_path: Path) -> None:
    import cv2

    from converters.training import sheet

    feed = TrainFeed(Memory(), Plan(cutout=0.3), 3)  # type: ignore[arg-type]
    name = sheet.write(tmp_path / sheet.FILE, feed, Plan(cutout=0.3), 3)
    drawn = cv2.imread(str(tmp_path / name))
    assert drawn.shape == (404, 808, 3)
    first = cv2.resize(feed.pictures.take(np.array([0]))[0], (96, 96), interpolation=cv2.INTER_NEAREST)
    assert (drawn[4:100, 4:100, ::-1] == first).all()
    assert (drawn[4:100, 108:204, ::-1] == 128).all(-1).any()
