"""MediaPipe Tasks loads the files with their contract, and agrees with them.

MediaPipe wants opencv-contrib-python, which cannot lie beside the OpenCV of this project, so it runs in an
environment of its own: ``make mediapipe-env``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from edgecam import build, verify
from edgecam.config import Settings
from edgecam.sources.images import load_picture
from edgecam.types import Frame
from tests.conftest import ROOT
from tests.helpers.ask_mediapipe import as_result, ask

pytestmark = pytest.mark.mediapipe

MODELS = ROOT / "models"


@pytest.mark.parametrize("model", ["detect-coco", "classify-person"])
def test_it_keeps_the_promises_of_the_golden_samples(model: str, tmp_path: Path) -> None:
    """These are of the size of the input, so that nothing is resampled: the same pixels, the same answers.

    MediaPipe gives corners in whole pixels, hence one pixel more.
    """
    spec, samples = verify.load(MODELS / f"{model}.tflite")
    paths = [tmp_path / f"{number}.png" for number in range(len(samples))]
    for path, sample in zip(paths, samples, strict=True):
        pil.fromarray(sample.image).save(path)
    answers = ask(MODELS / f"{model}.tflite", spec.task, paths, verify.lowest(samples))
    for sample, rows in zip(samples, answers, strict=True):
        allowed = replace(sample, box=sample.box + 1 / min(sample.image.shape[:2]))
        outcome = verify.check(allowed, as_result(rows, spec.labels, spec.task), spec.labels)
        assert outcome.problems == ()


@pytest.mark.real
@pytest.mark.parametrize("model", ["detect-coco", "classify-person"])
def test_it_finds_the_same_on_photographs(model: str, real: Path) -> None:
    """MediaPipe resizes otherwise, so scores may differ; what is clear is named alike, in the same place."""
    paths = [real / name for name in ("bus.jpg", "cat_720p.jpg", "face.jpg")]
    runner = build.load_model(Settings(model=model, threshold=0.7))
    spec = runner.spec
    answers = ask(MODELS / f"{model}.tflite", spec.task, paths, 0.3)
    for number, (path, rows) in enumerate(zip(paths, answers, strict=True)):
        theirs = verify.results(as_result(rows, spec.labels, spec.task))
        picture = load_picture(path)
        for mine in verify.results(runner.run(Frame(number, picture))):
            like = [other for other in theirs if other.class_id == mine.class_id]
            if mine.box is not None:
                reach = 0.06 * np.array([picture.shape[1], picture.shape[0]] * 2)
                like = [o for o in like if (np.abs(np.subtract(o.box or (), mine.box)) <= reach).all()]
            assert like, f"{path.name}: {spec.labels[mine.class_id]} {mine.score:.2f}"
            assert min(abs(other.score - mine.score) for other in like) < 0.25
    runner.engine.close()
