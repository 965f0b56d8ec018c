"""When the model may rest, and what stands meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.motiongate import LINGER, SIDE, Motion, MotionGate, shrink, sign
from edgecam.types import Classification, Detections, Frame, Image, Result

FPS = 10
EMPTY = np.full((90, 160, 3), 100, np.uint8)


def found(*class_ids: int, score: float = 0.9) -> Detections:
    n = len(class_ids)
    return Detections(
        np.tile(np.array([[0, 0, 9, 9]], np.float32), (n, 1)),
        np.full(n, score, np.float32),
        np.array(class_ids, np.int32),
    )


PERSON, NOBODY = found(0), found()


def with_person(x: int) -> Image:
    image = EMPTY.copy()
    image[20:70, x : x + 20] = 200
    return image


class Run:
    """A gate in front of a model whose answers are known."""

    def __init__(self, motion: Motion | None = None) -> None:
        self.gate = MotionGate(motion or Motion())
        self.seq = 0
        self.looked: list[bool] = []
        self.results: list[Result] = []

    def show(self, image: Image, answers: Sequence[Result], at: float | None = None) -> None:
        """One frame for each answer, which the model would give."""
        for answer in answers:
            frame = Frame(self.seq, image, media_time=self.seq / FPS if at is None else at)
            self.seq += 1
            kept = self.gate.rests(frame, image)
            if kept is None:
                self.gate.look(answer, 0.5)
            self.looked.append(kept is None)
            self.results.append(answer if kept is None else kept)

    def looks(self, last: int) -> int:
        return sum(self.looked[-last:])


def test_the_model_looks_for_a_second_and_then_every_few() -> None:
    run = Run(Motion(every=2.0))
    run.show(EMPTY, [NOBODY] * 100)
    assert run.looked[:10] == [True] * 10
    assert [n for n, looked in enumerate(run.looked[10:], 10) if looked] == [29, 49, 69, 89]


def test_what_moves_is_looked_at_in_the_very_frame() -> None:
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 30)
    assert run.looks(15) == 0
    run.show(with_person(40), [PERSON])
    assert run.looked[-1]
    assert run.results[-1] is PERSON


def test_while_it_moves_every_frame_is_looked_at() -> None:
    run = Run(Motion(every=1000))
    for x in range(0, 140, 2):
        run.show(with_person(x), [PERSON])
    assert all(run.looked)


def test_who_stands_still_stays_found() -> None:
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    run.show(with_person(40), [PERSON] * 600)
    assert run.results[20:] == [PERSON] * 600
    assert run.looks(580) == 0
    run.show(EMPTY, [NOBODY] * 20)
    assert run.results[-20:] == [NOBODY] * 20


def test_one_look_that_missed_somebody_does_not_stand() -> None:
    """A detector that overlooks a person in two frames of five, also in the last one before it rests."""
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    run.show(with_person(40), [PERSON, NOBODY, PERSON, PERSON, NOBODY] * 2)
    assert run.looks(10) == 10
    run.show(with_person(40), [NOBODY] * 50)  # it is not asked
    assert run.results[-50:] == [PERSON] * 50


def test_a_look_that_says_something_else_wakes_it_for_a_second() -> None:
    run = Run(Motion(every=2.0))
    run.show(with_person(40), [PERSON] * 29)
    run.show(with_person(40), [NOBODY])  # the look after two seconds
    assert run.looked[-1]
    run.show(with_person(40), [PERSON] * 30)
    woken = round(LINGER * FPS) - 1
    assert run.looked[-30:][:woken] == [True] * woken
    assert run.results[-20:] == [PERSON] * 20  # the nine outvote the one


def test_light_that_changes_slowly_is_no_motion_if_it_is_looked_at_meanwhile() -> None:
    run = Run(Motion(every=1.0))
    run.show(EMPTY, [NOBODY] * 20)
    for step in range(60):  # 60 grey levels over 60 seconds
        run.show(EMPTY + np.uint8(step), [NOBODY] * FPS)
    assert run.looks(600) <= 61


def test_a_change_of_light_at_once_is_motion() -> None:
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    run.show(EMPTY + np.uint8(30), [NOBODY])
    assert run.looked[-1]


def test_the_noise_of_a_camera_is_no_motion() -> None:
    random = np.random.default_rng(0)
    run = Run(Motion(every=1000))
    for _ in range(40):
        noise = random.normal(0, 12, (720, 1280, 3))
        run.show(np.clip(100 + noise, 0, 255).astype(np.uint8), [NOBODY])
    assert run.looks(25) == 0


@pytest.mark.parametrize("side", [6, 12])
def test_a_small_thing_is_motion_from_the_part_on_that_was_asked_for(side: int) -> None:
    part = 100 / EMPTY[..., 0].size
    run = Run(Motion(part, every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    image = EMPTY.copy()
    image[:side, :side] = 255
    run.show(image, [NOBODY])
    assert run.looked[-1] is (side * side > 100)


def test_pictures_of_another_size_and_a_film_that_begins_again_are_motion() -> None:
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    run.show(np.full((100, 100, 3), 100, np.uint8), [NOBODY])
    assert run.looked[-1]
    run.show(np.full((100, 100, 3), 100, np.uint8), [NOBODY] * 20)
    assert not run.looked[-1]
    run.show(np.full((100, 100, 3), 100, np.uint8), [NOBODY], at=0.0)
    assert run.looked[-1]


def test_another_model_begins_anew() -> None:
    run = Run(Motion(every=1000))
    run.show(EMPTY, [NOBODY] * 20)
    run.gate.forget()
    run.show(EMPTY, [NOBODY] * 9)
    assert run.looks(9) == 9


def test_one_frame_a_second_is_looked_at_three_times_at_least() -> None:
    run = Run(Motion(every=1000))
    for at in range(8):
        run.show(EMPTY, [NOBODY], at=float(at))
    assert run.looked == [True] * 3 + [False] * 5


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=120), st.floats(0.1, 3))
def test_between_two_looks_there_is_never_more_than_was_asked_for(
    steps: list[tuple[int, int]], every: float
) -> None:
    """Whatever moves and whatever the model says: a look in time, and only results that it gave."""
    run = Run(Motion(every=every))
    for place, answer in steps:
        run.show(with_person(place * 40), [found(*range(answer))])
    last = 0.0
    for number, looked in enumerate(run.looked):
        if looked:
            last = number / FPS
        else:
            assert number / FPS - last < every
            assert any(run.results[number] is earlier for earlier in run.results[:number])


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 480), (100, 100), (1, 1), (3000, 2)])
def test_the_small_picture_is_grey_and_no_larger_than_needed(size: tuple[int, int]) -> None:
    small = shrink(np.full((size[1], size[0], 3), 77, np.uint8))
    assert small.ndim == 2 and max(small.shape) == min(SIDE, max(size)) and (small == 77).all()


def test_a_result_is_told_by_what_it_is_sure_of() -> None:
    assert sign(found(3, 1, 1), 0.5) == (1, 1, 3)
    assert sign(found(3, 1, score=0.4), 0.5) == ()
    scores, ids = np.array([0.7, 0.2], np.float32), np.array([5, 6], np.int32)
    assert sign(Classification(scores, ids), 0.1) == (5,)
    assert sign(Classification(scores, ids), 0.9) == ()
