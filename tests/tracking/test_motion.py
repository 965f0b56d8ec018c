"""The Kalman filter of columns is that of matrices."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgecam.tracking.motion import Motion
from edgecam.types import Array

RATE = 30.0


class Textbook:
    """One object, eight states, matrices as they are printed; speeds a frame, 30 of them a second."""

    def __init__(self, seen: Array) -> None:
        self.mean = np.concatenate((seen, np.zeros(4)))
        self.cov = np.diag(np.concatenate((2 / 20 * self.size, 10 / 160 * self.size)) ** 2)
        self.step = np.eye(8) + np.eye(8, k=4)
        self.look = np.eye(4, 8)

    @property
    def size(self) -> Array:
        return np.asarray(self.mean[[2, 3, 2, 3]])

    def predict(self) -> None:
        noise = np.diag(np.concatenate((self.size / 20, self.size / 160)) ** 2)
        self.mean = self.step @ self.mean
        self.cov = self.step @ self.cov @ self.step.T + noise

    def correct(self, seen: Array) -> None:
        cov = self.look @ self.cov @ self.look.T + np.diag((self.size / 20) ** 2)
        gain = self.cov @ self.look.T @ np.linalg.inv(cov)
        self.mean = self.mean + gain @ (seen - self.look @ self.mean)
        self.cov = self.cov - gain @ cov @ gain.T


@given(st.integers(0, 2**32 - 1))
def test_it_gives_what_the_textbook_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 3
    path = rng.uniform(0.2, 0.8, (n, 4)) + np.cumsum(rng.normal(0, 0.01, (12, n, 4)), axis=0)
    ours, books = Motion.begin(path[0].copy()), [Textbook(row) for row in path[0]]
    for frame in path[1:]:
        seen = np.flatnonzero(rng.random(n) < 0.8)
        ours.predict(1 / RATE, np.zeros(n, bool))
        for book in books:
            book.predict()
        distances = ours.distance(np.arange(n), frame)
        for i, book in enumerate(books):
            noise = np.diag(book.cov[:4, :4] + np.diag((book.size / 20) ** 2))[:2]
            assert np.allclose(distances[i], ((frame[:, :2] - book.mean[:2]) ** 2 / noise).sum(1))
        ours.correct(seen, frame[seen])
        for i in seen:
            books[i].correct(frame[i])
    for i, book in enumerate(books):
        assert np.allclose(ours.place[i], book.mean[:4])
        assert np.allclose(ours.speed[i] / RATE, book.mean[4:])
        assert np.allclose(ours.p00[i], np.diag(book.cov)[:4])
        assert np.allclose(ours.p01[i] / RATE, np.diag(book.cov, 4))
        assert np.allclose(ours.p11[i] / RATE**2, np.diag(book.cov)[4:])


@given(st.lists(st.floats(0.01, 0.5), min_size=1, max_size=8))
def test_time_counts_and_not_the_number_of_frames(steps: list[float]) -> None:
    start = np.array([[0.2, 0.5, 0.1, 0.3]])
    one, many = Motion.begin(start.copy()), Motion.begin(start.copy())
    for motion in (one, many):
        motion.speed[:] = [[0.3, -0.1, 0.0, 0.0]]
    one.predict(sum(steps), np.zeros(1, bool))
    for step in steps:
        many.predict(step, np.zeros(1, bool))
    assert np.allclose(one.place, many.place)
    # Noise that comes in pieces also spreads the place; it never makes it surer.
    assert np.allclose(one.p11, many.p11) and (many.p00 >= one.p00 - 1e-12).all()


def test_the_unseen_keep_their_size() -> None:
    motion = Motion.begin(np.array([[0.5, 0.5, 0.1, 0.3], [0.5, 0.5, 0.1, 0.3]]))
    motion.speed[:] = [0.0, 0.0, 0.5, 0.5]
    motion.predict(1.0, np.array([True, False]))
    assert motion.place[:, 2:].tolist() == [[0.1, 0.3], [0.6, 0.8]]
