"""``detect-coco``: SSDLite MobileNetV2, 80 things, by the recipe ``detect-coco`` of ``edgecam-convert``.

``edgecam-convert run detect-coco --data PICTURES`` makes the file with its figures and the report. What is
built here is the same by the same steps, but the report card is that of the run that was judged
(``detect_coco.json``), since the pictures to judge by are nothing that could be shipped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from converters import coco, conventions, recipes, ssd
from converters.average_precision import Truth
from converters.bundled.coco_ssd import DETECTOR
from converters.bundled.recipe import Recipe
from converters.data import entries
from converters.dataset import Dataset, Sample
from converters.job import Job, from_mapping
from converters.steps.base import Advance
from converters.steps.fetch import FOLDER
from converters.variants import FLOAT
from converters.work import Work
from edgecam.contract import ModelSpec

log = logging.getLogger(__name__)

NAME = "detect-coco"
CARD = Path(__file__).with_name("detect_coco.json")
_RECIPE = recipes.load(NAME)
_JOB: Job = from_mapping(_RECIPE.job)
_CONVENTION = conventions.parse(_JOB.preprocess)

SPEC = ModelSpec(
    name=NAME,
    version=_JOB.version,
    description=_JOB.description,
    licence=_JOB.licence,
    origin=_JOB.origin,
    task="detect",
    decoder="ssd-postprocess",
    labels=coco.slots(),
    color=_CONVENTION.color,
    resize="stretch",
    mean=_CONVENTION.mean,
    std=_CONVENTION.std,
    options=DETECTOR.options,
    report=json.loads(CARD.read_text(encoding="utf-8")),
)


class _Log:
    """See :class:`converters.steps.base.Report`."""

    def line(self, text: str) -> None:
        log.info(text)

    def warn(self, text: str) -> None:
        log.warning(text)

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        log.info(what)
        yield lambda done, total: None


def made(cache: Path) -> Work:
    """A work folder with the float twin and the int8 variant.

    Raises:
        EdgecamError: a package cannot be fetched, or the conversion fails.
    """
    from converters import runner

    work = Work(cache / NAME)
    steps = {plan.step: plan for plan in _RECIPE.steps}
    fetch = recipes.Planned("fetch", {**steps["fetch"].options, "downloads": str(cache)})
    runner.run(work, _JOB, [fetch], _Log())
    views = entries.pictures(work.path(f"{FOLDER}/calibration"))
    nothing = Truth(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    unlabelled = Dataset("detect", SPEC.labels, tuple(Sample(path, -1, nothing) for path in views), (), ())
    work.write("data.json", unlabelled.to_json().encode())
    runner.run(work, _JOB, [steps["quantize"]], _Log())
    return work


def build(cache: Path) -> bytes:
    """The int8 model."""
    return made(cache).path("int8.tflite").read_bytes()


def make_float(cache: Path) -> bytes:
    """The float twin, by which the int8 model is judged; it is not shipped."""
    return made(cache).path(FLOAT).read_bytes()


RECIPE = Recipe(SPEC, ssd.OUTPUTS, build)
