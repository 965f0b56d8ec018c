"""Made-up scenes with known truth, what a detector might see of them, and the usual figures of a tracker.

``benchmarks/tracking.py`` runs other trackers over the same scenes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgecam.tracking.assignment import assign
from edgecam.types import Array, Detections

SIZE = (1280, 720)
THRESHOLD = 0.5


@dataclass(frozen=True)
class Look:
    """One frame: who is where (truth) and what a detector says.

    Attributes:
        at: seconds.
        ids: int (N,), the truth's ids of those at least a third visible.
        boxes: float (N, 4), theirs.
        found: detections, weak ones included.
    """

    at: float
    ids: Array
    boxes: Array
    found: Detections


@dataclass(frozen=True)
class Scene:
    """Walkers that turn, pass behind each other, come in and leave.

    Attributes:
        fps: frames a second.
        walkers: how many.
        speed: pixels a second.
        seconds: how long.
        jitter: part of the frame interval by which a frame may be early or late.
        missing: part of the frames that never arrive.
        blind: part of the objects that the detector misses in a frame.
        ghosts: false detections a frame.
        classes: how many classes the walkers are of.
        seed: of all chance.
    """

    fps: float = 30.0
    walkers: int = 10
    speed: float = 90.0
    seconds: float = 20.0
    jitter: float = 0.0
    missing: float = 0.0
    blind: float = 0.05
    ghosts: float = 0.1
    classes: int = 1
    seed: int = 1

    def looks(self) -> Iterator[Look]:
        rng = np.random.default_rng(self.seed)
        n = self.walkers
        start = rng.uniform((0, 250), (SIZE[0], 650), (n, 2))
        angle, turn = rng.uniform(0, 2 * np.pi, n), rng.uniform(-0.3, 0.3, n)
        pace, height = rng.uniform(0.5, 1.5, n) * self.speed, rng.uniform(110, 220, n)
        class_id = np.arange(n) % self.classes
        place = start.copy()
        last = 0.0
        for k in range(int(self.seconds * self.fps)):
            at = (k + rng.uniform(-0.5, 0.5) * self.jitter) / self.fps
            step, last = max(0.0, at - last), max(at, last)
            angle = angle + turn * step
            place = place + (pace * step)[:, None] * np.stack((np.cos(angle), 0.4 * np.sin(angle)), 1)
            if rng.random() >= self.missing:
                yield self._look(max(at, 0.0), place, height, class_id, rng)

    def _look(self, at: float, feet: Array, height: Array, class_id: Array, rng: np.random.Generator) -> Look:
        width = height * 0.4
        boxes = np.stack((feet[:, 0] - width / 2, feet[:, 1] - height, feet[:, 0] + width / 2, feet[:, 1]), 1)
        seen = _visible(boxes)
        there = np.flatnonzero(seen > 1 / 3)
        score = np.clip(0.95 * seen - np.abs(rng.normal(0, 0.06, len(seen))), 0, 1)
        caught = np.flatnonzero((score > 0.15) & (rng.random(len(score)) >= self.blind))
        noise = rng.normal(0, 0.015, (len(caught), 4)) * np.tile(np.stack((width, height), 1)[caught], (1, 2))
        rows, ghosts = boxes[caught] + noise, rng.poisson(self.ghosts)
        corner = rng.uniform((0, 0), (SIZE[0] - 120, SIZE[1] - 200), (ghosts, 2))
        rows = np.concatenate((rows, np.concatenate((corner, corner + rng.uniform(50, 200, (ghosts, 2))), 1)))
        scores = np.concatenate((score[caught], rng.uniform(0.2, 0.62, ghosts)))
        classes = np.concatenate((class_id[caught], np.zeros(ghosts, int)))
        order = np.argsort(-scores, kind="stable")
        rows = np.clip(rows[order], 0, np.tile(SIZE, 2))
        found = Detections(
            rows.astype(np.float32), scores[order].astype(np.float32), classes[order].astype(np.int32)
        )
        full = (rows[:, 2] - rows[:, 0] > 4) & (rows[:, 3] - rows[:, 1] > 4)
        return Look(at, there, np.clip(boxes[there], 0, np.tile(SIZE, 2)), found.take(full))


def _visible(boxes: Array) -> Array:
    """The part of each box inside the picture that no nearer one (its feet lower) hides, float (N,)."""
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    low, high = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], SIZE)
    inside = np.maximum(high - low, 0).prod(1) / size
    both = np.maximum(
        np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        - np.maximum(boxes[:, None, :2], boxes[None, :, :2]),
        0,
    )
    hidden = both.prod(2) / size[:, None] * (boxes[None, :, 3] > boxes[:, None, 3])
    out: Array = inside * np.clip(1 - hidden.sum(1), 0, 1)
    return out


SCENES = {
    "30 fps": Scene(),
    "30 fps, 20 walkers": Scene(walkers=20, seed=2),
    "10 fps": Scene(fps=10, seed=3),
    "5 fps": Scene(fps=5, seed=4),
    "3 fps": Scene(fps=3, seed=5, walkers=6),
    "5 fps, fast": Scene(fps=5, speed=250, seed=6, walkers=6),
    "uneven, with gaps": Scene(fps=15, jitter=0.9, missing=0.3, seed=7),
    "a blind detector": Scene(blind=0.3, seed=8),
    "three classes": Scene(classes=3, seed=9, walkers=15),
}


# -- the figures


@dataclass(frozen=True)
class Figures:
    """MOTA (Bernardin and Stiefelhagen, 2008) and IDF1 (Ristani et al., 2016), at an overlap of a half."""

    mota: float
    idf1: float
    switches: int


Answer = tuple[Array, Array]  # boxes (N, 4), ids (N,)


def judge(looks: Sequence[Look], answers: Sequence[Answer]) -> Figures:
    """What a tracker's answers are worth; rows without an id (0 or less) count as not given."""
    truths = misses = ghosts = switches = given = 0
    together: dict[tuple[int, int], int] = defaultdict(int)
    owner: dict[int, int] = {}
    for look, (boxes, ids) in zip(looks, answers, strict=True):
        boxes, ids = boxes[ids > 0], ids[ids > 0]
        truths, given = truths + len(look.ids), given + len(ids)
        cost = 1 - overlap(look.boxes, boxes)
        for row, column in np.argwhere(cost <= 0.5):
            together[int(look.ids[row]), int(ids[column])] += 1
        stays = np.array([[owner.get(int(t)) == int(i) for i in ids] for t in look.ids]).reshape(cost.shape)
        rows, columns = assign(np.where(cost <= 0.5, cost - 10 * stays, np.inf), 1.0)
        misses, ghosts = misses + len(look.ids) - len(rows), ghosts + len(ids) - len(rows)
        for truth, name in zip(look.ids[rows], ids[columns], strict=True):
            switches += owner.get(int(truth), int(name)) != int(name)
            owner[int(truth)] = int(name)
    names = sorted({name for _, name in together})
    table = np.zeros((1 + max(t for t, _ in together), len(names)))
    for (truth, name), count in together.items():
        table[truth, names.index(name)] = count
    rows, columns = assign(-table, 0.0)
    same = table[rows, columns].sum()
    return Figures(1 - (misses + ghosts + switches) / truths, 2 * same / (truths + given), switches)


def overlap(a: Array, b: Array) -> Array:
    both = np.maximum(
        np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0
    ).prod(2)
    out: Array = both / (
        (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None] - both + 1e-9
    )
    return out


def run(scene: Scene, step: Callable[[Look], Answer]) -> Figures:
    looks = list(scene.looks())
    return judge(looks, [step(look) for look in looks])
