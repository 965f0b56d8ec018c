"""Batches that the seed and the epoch alone decide."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import dataset
from converters.training import feed
from converters.training.feed import JudgeFeed, TrainFeed
from converters.training.plan import Plan
from edgecam.errors import FrameError
from tests.converters.training import pictures
from tests.converters.training.pictures import Memory, Remembering

SHAPE = (32, 32, 3)


def columns(made: TrainFeed, number: int) -> list[np.ndarray]:
    return [np.concatenate(part) for part in zip(*made.epoch(number), strict=True)]


@given(count=st.integers(2, 40), batch=st.integers(1, 50), seed=st.integers(0, 5), number=st.integers(0, 9))
def test_an_epoch_shows_no_picture_twice_and_is_repeatable(
    count: int, batch: int, seed: int, number: int
) -> None:
    plan = Plan(batch=batch, seed=seed, flip=False)
    memory = Memory(count)
    memory.x = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1).repeat(3, 3)
    made = TrainFeed(memory, plan, 3)  # type: ignore[arg-type]
    x, y, _ = columns(made, number)
    shown = x[:, 0, 0, 0].tolist()
    size = min(batch, count)
    assert len(shown) == made.steps * size > count - size
    assert len(set(shown)) == len(shown)
    assert (y.argmax(1) == memory.classes[shown]).all()
    again = columns(TrainFeed(memory, plan, 3), number)  # type: ignore[arg-type]
    assert (again[0] == x).all()
    if count > 8:
        assert (made.order(number) != made.order(number + 1)).any()


def test_half_is_mirrored_and_the_other_half_in_the_next_epoch() -> None:
    made = TrainFeed(Memory(400), Plan(), 3)  # type: ignore[arg-type]
    first, second = made.mirrored(4), made.mirrored(5)
    assert 120 < first.sum() < 280
    assert (first == ~second).all()
    row = int(np.flatnonzero(first)[0])
    x, _, _ = columns(TrainFeed(Memory(400), Plan(batch=400), 3), 4)  # type: ignore[arg-type]
    place = made.order(4).tolist().index(row)
    assert (x[place] == Memory(400).x[row][:, ::-1]).all()
    assert not TrainFeed(Memory(), Plan(flip=False), 3).mirrored(1).any()  # type: ignore[arg-type]


def test_balance_shows_every_class_equally_often_or_weighs_it() -> None:
    memory = Memory(300)
    memory.classes = np.array([0] * 250 + [1] * 40 + [2] * 10)
    sampled = columns(TrainFeed(memory, Plan(balance="sample", batch=30), 3), 0)  # type: ignore[arg-type]
    assert sampled[1].sum(0).tolist() == [100, 100, 100]
    _, y, weight = columns(TrainFeed(memory, Plan(balance="weights", batch=300), 3), 0)  # type: ignore[arg-type]
    assert (y * weight[:, None]).sum(0) == pytest.approx([100, 100, 100], rel=1e-4)
    # A class without pictures takes no part.
    memory.classes[memory.classes == 2] = 0
    sampled = columns(TrainFeed(memory, Plan(balance="sample", batch=300), 3), 0)  # type: ignore[arg-type]
    assert sampled[1].sum(0).tolist() == [150, 150, 0]


def test_streamed_pictures_are_those_in_memory(tmp_path: Path) -> None:
    data = dataset.load(pictures.write(tmp_path))
    report = Remembering()
    kept = feed.open_feeds(data, SHAPE, Plan(batch=10), report)
    streamed = feed.open_feeds(data, SHAPE, Plan(batch=10, cache_mb=0), report)
    assert (kept.train.pictures.cached, streamed.train.pictures.cached) == (True, False)
    assert len(report.lines) == 1
    assert "more than cache_mb = 0" in report.lines[0]
    for a, b in zip(columns(kept.train, 3), columns(streamed.train, 3), strict=True):
        assert (a == b).all()
    assert kept.validation is not None
    assert streamed.validation is not None
    for a, b in zip(kept.validation.batches(), streamed.validation.batches(), strict=True):
        assert (a[0] == b[0]).all()
        assert (a[1] == b[1]).all()


def test_validation_sees_every_picture_once_in_order() -> None:
    memory = Memory(23)
    batches = list(JudgeFeed(memory, batch=10).batches())  # type: ignore[arg-type]
    assert [len(truth) for _, truth in batches] == [10, 10, 3]
    assert np.concatenate([truth for _, truth in batches]).tolist() == memory.classes.tolist()


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_a_picture_that_has_gone_is_named(tmp_path: Path, cache_mb: int) -> None:
    data = dataset.load(pictures.write(tmp_path))
    data.train[0].path.unlink()
    with pytest.raises(FrameError, match=data.train[0].path.name):
        feeds = feed.open_feeds(data, SHAPE, Plan(batch=10, cache_mb=cache_mb), Remembering())
        list(feeds.train.epoch(0))


def test_a_feed_that_is_left_ends_its_threads() -> None:
    batches = TrainFeed(Memory(), Plan(batch=2), 3).epoch(0)  # type: ignore[arg-type]
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]
