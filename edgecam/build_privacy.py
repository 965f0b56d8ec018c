"""From settings to the parts that keep what must not be seen out of every picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from edgecam.config import Settings
from edgecam.contract import ModelSpec
from edgecam.errors import EdgecamError, UnknownNameError, UsageError
from edgecam.model import Model
from edgecam.privacy.faces import Faces
from edgecam.privacy.filter import PERSON, Privacy, Rules, Shown
from edgecam.privacy.mask import Mask, Style
from edgecam.types import Detections, Frame, HeadOptions

log = logging.getLogger(__name__)

FACES = "faces"
#: Least scores for covering: rather a spot too many than a face too few.
OBJECT_SCORE, FACE_SCORE = 0.3, 0.4


def check(settings: Settings, spec: ModelSpec) -> None:
    """Raise what is wrong with the rules of privacy for a model.

    Raises:
        UsageError: it finds no boxes, does not know a label, or is not to look at all of the picture.
    """
    if settings.blur and settings.region is not None:
        raise _unseen("region")
    names = [name for name in settings.blur if name != FACES]
    if names and spec.task != "detect":
        raise UsageError(
            f"{spec.name} finds no boxes to cover", "blur = faces, or choose a model that detects"
        )
    for name in names:
        if name not in spec.labels:
            raise UnknownNameError("label to blur", name, [FACES, *filter(None, spec.labels)])


def check_motion(settings: Settings) -> None:
    """Raise where a run is to cover what its model is not to look at in every frame.

    Raises:
        UsageError: motion and blur are both asked for.
    """
    if settings.blur and settings.motion:
        raise _unseen("motion")


def _unseen(name: str) -> UsageError:
    return UsageError(
        f"{name} does not go with blur: what the model does not look at would not be covered",
        "take one of the two, or cover a part of the picture with mask",
    )


def head_options(settings: Settings, spec: ModelSpec, weak: float = 1.0) -> HeadOptions:
    """What to ask of the model's head: all that must be covered, even where the user wants to see less.

    Args:
        weak: see :class:`HeadOptions`.

    Raises:
        UsageError: see :func:`check`.
    """
    check(settings, spec)
    asked = HeadOptions(settings.threshold, settings.top_k, settings.iou, settings.classes, weak)
    if not settings.blur or spec.task != "detect":
        return asked
    own = threshold_of(settings, spec)
    threshold = None if own is None else min(own * weak, OBJECT_SCORE)
    more = [name for name in (*settings.blur, PERSON) if name in spec.labels]
    classes = (*settings.classes, *more) if settings.classes else ()
    weak = weak if threshold is None else 1.0
    return replace(asked, threshold=threshold, top_k=None, classes=classes, weak=weak)


def make(
    settings: Settings,
    spec: ModelSpec,
    load: Callable[[Settings], Model],
    report: Callable[[str], None],
    weak: float = 1.0,
) -> tuple[Privacy | None, Model | None]:
    """The maker of private pictures, None where no rule asks for it; and the face model, to be closed later.

    A face model that cannot be loaded ends nothing: the run goes on without pictures.
    """
    if not settings.mask and not settings.blur:
        return None, None
    rules = Rules(
        masks=tuple(Mask.parse(text) for text in settings.mask),
        classes=tuple(name for name in settings.blur if name != FACES),
        style=cast(Style, settings.blur_style),
        margin=settings.blur_margin,
        hold=settings.blur_hold,
    )
    shown = None
    if settings.blur and spec.task == "detect":
        shown = Shown(
            (threshold_of(settings, spec) or 0.0) * weak, settings.classes, settings.top_k or 1_000_000
        )
    if FACES not in settings.blur:
        return Privacy(rules, shown=shown), None
    try:
        model = _face_model(settings, load)
    except EdgecamError as error:
        report(f"no picture will be shown: faces are to be covered, but {error}")
        return Privacy(rules, shown=shown, broken=f"the face model cannot be used ({error.message})"), None
    return Privacy(rules, faces=Faces(_finder(model)), shown=shown), model


def threshold_of(settings: Settings, spec: ModelSpec) -> float | None:
    """The least score to be shown, None where only the head knows."""
    own = spec.options.get("threshold")
    value = settings.threshold if settings.threshold is not None else own
    return float(value) if isinstance(value, int | float) else None


def _face_model(settings: Settings, load: Callable[[Settings], Model]) -> Model:
    defaults = Settings()
    model = load(
        replace(
            defaults,
            model=settings.face_model,
            runtime=settings.runtime,
            device="cpu",
            threads=1,
            threshold=FACE_SCORE,
        )
    )
    if model.spec.task != "detect":
        model.engine.close()
        raise UsageError(f"{model.name} finds no boxes", "name a model that detects with --face-model")
    return model


def _finder(model: Model) -> Callable[[Frame], Detections]:
    def find(frame: Frame) -> Detections:
        found = model.run(frame)
        assert isinstance(found, Detections)
        return found

    return find
