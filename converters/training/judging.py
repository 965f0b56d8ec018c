"""A network judged by validation pictures. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from converters.training.feed import JudgeFeed

Judge = Callable[[Any], Mapping[str, Any]]


def classifier_judge(feed: JudgeFeed, names: Sequence[str]) -> Judge:
    """Judges a classifier: ``accuracy``, ``recall`` (mean of the classes), ``loss``, ``worst`` (class),
    ``worst_recall``, ``recalls`` (of each class, None where no picture shows it); ``score`` is ``recall``."""

    def judge(model: Any) -> dict[str, Any]:
        right = np.zeros(len(names))
        counts = np.zeros(len(names))
        surprise = 0.0
        for x, truth in feed.batches():
            scores = np.asarray(model.predict_on_batch(x.astype(np.float32)), np.float64)
            surprise -= np.log(np.maximum(scores[np.arange(len(truth)), truth], 1e-7)).sum()
            np.add.at(counts, truth, 1)
            np.add.at(right, truth, scores.argmax(1) == truth)
        shown = counts > 0
        recalls = np.divide(right, counts, out=np.zeros_like(right), where=shown)
        worst = int(np.flatnonzero(shown)[recalls[shown].argmin()])
        recall = float(recalls[shown].mean())
        return {
            "score": recall,
            "accuracy": float(right.sum() / counts.sum()),
            "recall": recall,
            "loss": float(surprise / counts.sum()),
            "worst": names[worst],
            "worst_recall": float(recalls[worst]),
            "recalls": [float(r) if s else None for r, s in zip(recalls, shown, strict=True)],
        }

    return judge
