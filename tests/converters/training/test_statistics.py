"""Statistics of batch normalisation that fit averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.training import networks
from converters.training.feed import Batch
from converters.training.plan import Plan
from tests.converters.training.pictures import Remembering

pytestmark = pytest.mark.convert
RNG = np.random.default_rng(7)


def test_they_are_the_mean_of_those_of_the_batches() -> None:
    import keras

    from converters.training import statistics

    image = keras.Input((4, 4, 16))
    norm = keras.layers.BatchNormalization(momentum=0.7)
    frozen = keras.layers.BatchNormalization(trainable=False)
    net = keras.Model(image, [norm(image), frozen(image)])
    batches = [(RNG.integers(0, 256, (700, 4, 4, 16), np.uint8), None) for _ in range(4)]
    statistics.settle(net, iter(batches))
    seen = [x.astype(np.float32) for x, _ in batches[:3]]  # 2,000 pictures are enough
    means = np.mean([x.mean((0, 1, 2)) for x in seen], axis=0)
    variances = np.mean([x.var((0, 1, 2)) for x in seen], axis=0)
    np.testing.assert_allclose(norm.moving_mean, means, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, variances, rtol=1e-3)
    assert norm.momentum == 0.7
    assert not np.any(np.asarray(frozen.moving_mean))


def test_a_network_without_such_layers_reads_no_picture() -> None:
    from converters.training import statistics

    statistics.settle(networks.build("cnn", 3), iter(()))


def test_a_network_that_learns_fast_is_judged_by_what_it_has_learnt(tmp_path: Path) -> None:
    """Averaged weights with the statistics of others knew nothing until the end of a training."""
    import keras

    from converters.training.fit import fit

    colours = np.eye(3, dtype=np.float32)

    class Coloured:
        steps = 12

        def epoch(self, number: int) -> Iterator[Batch]:
            rng = np.random.default_rng(number)
            for _ in range(self.steps):
                truth = rng.integers(0, 3, 32)
                noise = rng.uniform(0, 90, (32, 16, 16, 3))
                x = (noise + 120 * colours[truth][:, None, None]).astype(np.uint8)
                yield Batch(x, colours[truth], np.ones(32, np.float32))

    def judge(model: Any) -> dict[str, float]:
        batch = next(Coloured().epoch(99))
        scores = model.predict_on_batch(batch.x.astype(np.float32))
        return {"score": float((scores.argmax(1) == batch.y.argmax(1)).mean()), "loss": 0.0}

    keras.utils.set_random_seed(1)
    model = networks.build("resnet", 3, (16, 16), depth=8)
    fast = {"optimizer": "sgd", "rate": 0.3, "schedule": "constant", "warmup": 0.0, "ema": 0.95}
    plan = Plan(epochs=1, batch=32, shift=0.0, flip=False, **fast)  # type: ignore[arg-type]
    report = Remembering()
    found = fit(model, Coloured(), plan, tmp_path, report, mark="x", judge=judge)
    assert found.history[-1]["validation"]["score"] > 0.9, report.lines
