"""What pruning and quantisation-aware training share: a trained classifier, its pictures, its fine-tuning.
Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from converters import conventions, layergraph
from converters.conventions import Convention
from converters.qat.places import takes_pixels
from converters.steps.base import Report
from converters.training import distil, files, jobs, mirror
from converters.training.feed import open_feeds
from converters.training.fit import Fitted, fit
from converters.training.judging import classifier_judge
from converters.work import Work
from edgecam.errors import UsageError
from edgecam.types import Array, Floats

ITSELF = "itself"  # the network as it was teaches the one that it becomes


class Shrinking:
    """A trained classifier and its pictures.

    Args:
        work: the work folder, which holds the split.
        options: of the step: those of the plan, ``model``, ``resize``, ``preprocess``, and ``teacher``, the
            path of a model or :data:`ITSELF`, with ``temperature`` and ``teacher_weight``.
        report: hears what happens.

    Attributes:
        model: the network as it was.
        note: what is known of it, see :func:`converters.training.files.save_model`.

    Raises:
        UsageError: no model; other classes than the pictures; an unknown way to normalise pictures.
        ModelError: it cannot be read, or is no graph of layers.
    """

    def __init__(self, work: Work, options: Mapping[str, Any], report: Report) -> None:
        if not options["model"]:
            raise UsageError("no model is named", "run the step train first, or add --model FILE")
        # No training at all between two cuts is a choice, too.
        self.plan = jobs.begin({**options, "epochs": max(1, options["epochs"])}, report)
        path, data = Path(options["model"]), jobs.dataset(work)
        jobs.refuse_boxes(data, "prune and qat")
        self.note = {**files.note(path), mirror.KEY: 1}
        self.model = mirror.to_change(path, report)
        self.graph = layergraph.read(self.model)
        jobs.check_classes(self.model, path, data.names, "the model")
        self._convention = None if takes_pixels(self.graph) else _convention(path, options["preprocess"])
        self._scaling = None if self._convention is None else _scaling(self._convention)
        height, width, channels = (int(side or 0) for side in self.model.inputs[0].shape[1:])
        if not height or not width:
            raise UsageError(f"{path} takes pictures of any size", "train it for one size")
        self.shape = (height, width, channels)
        self.report, self._options, self._names = report, options, data.names
        self._feeds = open_feeds(data, self.shape, self.plan, report, options["resize"])
        self._judge = classifier_judge(self._feeds.validation, data.names) if self._feeds.validation else None

    def batches(self, pictures: int, batch: int = 64) -> Iterator[Floats]:
        """The first training pictures in a fixed random order, as the network takes them."""
        feed = self._feeds.train
        order = np.random.default_rng([self.plan.seed, 5]).permutation(len(feed.pictures))[:pictures]
        for start in range(0, len(order), batch):
            yield self.normalised(feed.pictures.take(order[start : start + batch]))

    def normalised(self, pixels: Array) -> Floats:
        """uint8 pictures as the network takes them."""
        x = np.asarray(pixels, np.float32)
        return x if self._scaling is None else np.asarray(self._scaling(x), np.float32)

    def accuracy(self, network: Any) -> dict[str, Any]:
        """``accuracy`` and ``recall`` on validation pictures; {} where there are none."""
        if self._judge is None:
            return {}
        found = self._judge(self._from_pixels(network))
        return {key: found[key] for key in ("accuracy", "recall", "loss", "worst", "worst_recall")}

    def fine_tune(
        self, network: Any, epochs: int, folder: Path, mark: str, *, itself: bool = False
    ) -> Fitted:
        """Train a network; checkpoints are in the folder until it is removed.

        Args:
            network: it has the trained weights in the end.
            epochs: how many.
            folder: for checkpoints.
            mark: stands for all that the result depends on.
            itself: in float32, and not by a copy: what hangs on its variables must hold.
        """
        plan = replace(self.plan, epochs=epochs)
        if itself:
            plan = replace(plan, precision="float32")
        model = self._from_pixels(network)
        return fit(
            model,
            self._feeds.train,
            plan,
            folder,
            self.report,
            mark=mark,
            judge=self._judge,
            trainer=self._trainer(),
            itself=itself,
        )

    def _trainer(self) -> Any:
        """Learns from a teacher, too, where one is named; None for the usual one."""
        said = self._options["teacher"]
        if not said:
            return None
        if said == ITSELF:
            teacher = self._from_pixels(self.model)
        else:
            teacher = files.load_model(Path(said))
            jobs.check_classes(teacher, Path(said), self._names, "the teacher")
            scale = None if takes_pixels(layergraph.read(teacher)) else self._convention
            teacher = distil.laid_out(teacher, self.shape, scale)
        return distil.trainer(
            teacher, temperature=self._options["temperature"], weight=self._options["teacher_weight"]
        )

    def _from_pixels(self, network: Any) -> Any:
        """The network with pixels from 0 to 255 as input; the same weights."""
        if self._scaling is None:
            return network
        image = keras.Input(self.shape)
        return keras.Model(image, network(self._scaling(image)), name=network.name)


def _convention(path: Path, preprocess: str) -> Convention:
    """How a model that does not scale its pictures itself wants them."""
    if not preprocess:
        raise UsageError(
            f"{path} does not say how it wants its pictures", "add --preprocess, as for quantize"
        )
    found = conventions.parse(preprocess)
    if found.color == "bgr":
        raise UsageError(f"{path} takes BGR pictures", "only networks for RGB or gray are trained on")
    return found


def _scaling(convention: Convention) -> Any:
    """The layer that normalises pixels so."""
    mean, std = np.broadcast_arrays(np.asarray(convention.mean), np.asarray(convention.std))
    scale, offset = 1 / std, -mean / std
    if len(scale) == 1:
        return keras.layers.Rescaling(float(scale[0]), float(offset[0]))
    return keras.layers.Rescaling(scale.tolist(), offset.tolist())


def said_of(found: Fitted) -> dict[str, Any]:
    """A training in a line of a log."""
    return {
        "epochs": found.epochs,
        "seconds": found.seconds,
        "loss": found.history[-1]["loss"] if found.history else None,
        "stopped": found.stopped,
        "history": found.history,
    }
