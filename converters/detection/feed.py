"""Pictures with boxes for training: see :mod:`converters.training.feed`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from converters.detection import matching, patches
from converters.training import feed
from converters.training.ahead import ahead
from converters.training.plan import Plan
from edgecam.errors import UsageError
from edgecam.types import Array, Floats

if TYPE_CHECKING:
    from converters.dataset import Dataset, Sample
    from converters.steps.base import Report


class Shown(NamedTuple):
    """One picture as training sees it.

    Attributes:
        picture: uint8 (H, W, C).
        boxes: xyxy relative to it, float32 (M, 4).
        class_id: int (M,).
    """

    picture: Array
    boxes: Floats
    class_id: Array


class BoxPictures:
    """The pictures of a part with their boxes.

    Attributes:
        pictures: laid into the input.
        boxes: of each picture xyxy relative to the input, float32 (M, 4), clipped to it.
        class_id: of each picture, int (M,).
    """

    def __init__(self, pictures: feed.Pictures, samples: Sequence[Sample]) -> None:
        self.pictures = pictures
        self.samples = tuple(samples)
        height, width, _ = pictures.shape
        whole = np.array([width, height, width, height], np.float32)
        self.boxes: list[Floats] = []
        self.class_id: list[Array] = []
        for index, sample in enumerate(samples):
            assert sample.truth is not None
            xyxy = pictures.geometry(index).to_input(sample.truth.xyxy.reshape(-1, 4)) / whole
            clipped = np.clip(xyxy, 0, 1).astype(np.float32)
            seen = (clipped[:, 2:] > clipped[:, :2]).all(1)
            self.boxes.append(clipped[seen])
            self.class_id.append(sample.truth.class_id[seen])

    def __len__(self) -> int:
        return len(self.samples)

    def every(self) -> Floats:
        """All boxes, (M, 4)."""
        return np.concatenate([*self.boxes, np.zeros((0, 4), np.float32)])


class BoxFeed:
    """Training batches. A rest that does not fill a batch is left out; the next epoch's is another.

    Args:
        pictures: to learn from.
        plan: gives batch, flip, zoom, shift and seed.
        crop: share of the pictures that are cropped; see :func:`converters.detection.patches.draw`.
        anchors: of the network.
        classes: of the data.
        threads: that prepare batches.
    """

    def __init__(
        self, pictures: BoxPictures, plan: Plan, crop: float, anchors: Floats, classes: int, threads: int = 2
    ) -> None:
        self.data = pictures
        self._plan, self._crop = plan, crop
        self._anchors, self._classes = anchors, classes
        self.batch = min(plan.batch, len(pictures))
        self._threads = threads

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self.data) // self.batch

    def shown(self, index: int, epoch: int) -> Shown:
        """A picture as an epoch shows it; the seed, its index and the epoch's number alone decide."""
        picture = self.data.pictures.take(np.array([index]))[0]
        rng = np.random.default_rng([self._plan.seed, 3, epoch, index])
        boxes = self.data.boxes[index]
        found = patches.cut(picture, boxes, patches.draw(rng, self._plan, self._crop, boxes))
        turned = found.picture, found.boxes
        if self._plan.flip and rng.random() < 0.5:
            turned = patches.mirror(*turned)
        return Shown(*turned, self.data.class_id[index][found.kept])

    def epoch(self, number: int) -> Iterator[tuple[Array, Floats]]:
        """The batches of an epoch, prepared ahead in threads: pictures, uint8 (N, H, W, C), and what the
        anchors shall say, see :func:`converters.detection.matching.targets`."""
        order = np.random.default_rng([self._plan.seed, number, 1]).permutation(len(self.data))

        def make(step: int) -> tuple[Array, Floats]:
            rows = order[step * self.batch : (step + 1) * self.batch]
            shown = [self.shown(int(index), number) for index in rows]
            truth = [matching.targets(self._anchors, one.boxes, one.class_id, self._classes) for one in shown]
            return np.stack([one.picture for one in shown]), np.stack(truth)

        yield from ahead(make, self.steps, self._threads)


def open_pictures(
    data: Dataset, shape: tuple[int, int, int], plan: Plan, report: Report, resize: str
) -> tuple[BoxPictures, BoxPictures]:
    """Pictures to learn from and to choose by, decoded.

    Raises:
        UsageError: fewer than two pictures, or none that shows an object.
        FrameError: a picture cannot be read any more.
    """
    if len(data.train) < 2 or not any(data.counts()["train"]):
        raise UsageError(
            f"{len(data.train)} pictures to learn from show {sum(data.counts()['train'])} objects",
            "add pictures with boxes",
        )
    threads = plan.threads or os.cpu_count() or 1
    both = feed.decoded(data, shape, plan, report, resize, threads)
    return BoxPictures(both[0], data.train), BoxPictures(both[1], data.validation)
