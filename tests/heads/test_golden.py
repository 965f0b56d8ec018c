"""The bundled models keep their promises, also under the other interpreter, which rounds differently."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecam import build, verify
from edgecam.config import Settings
from edgecam.types import Frame

MODELS = Path(__file__).resolve().parent.parent.parent / "models"


@pytest.mark.parametrize("name", ["detect-coco", "classify-person", "face"])
def test_golden_samples(name: str) -> None:
    path = MODELS / f"{name}.tflite"
    spec, samples = verify.load(path)
    model = build.load_model(Settings(model=str(path), threshold=verify.lowest(samples), top_k=1000))
    for number, sample in enumerate(samples):
        outcome = verify.check(sample, model.run(Frame(number, sample.image)), spec.labels)
        assert outcome.problems == ()
    model.engine.close()
