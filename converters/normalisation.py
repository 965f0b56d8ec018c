"""Finds out how a model wants its pictures, by what its float twin makes of pictures with known classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from converters import calibrate, conventions, dataset
from converters.conventions import Convention
from edgecam import registry
from edgecam.contract import ModelSpec, Resize
from edgecam.engines.base import EngineOptions
from edgecam.errors import UsageError
from edgecam.types import Array, Floats

if TYPE_CHECKING:
    from converters.dataset import Dataset
    from converters.quantize import ModelInfo
    from converters.steps.base import Report

_TRIED = 96  # pictures
_CLEAR = 0.1  # by how much of top-1 another convention must be better to doubt what is said
_AHEAD = 0.05  # by how much of top-1 the best must be better than another to rule it out


class Found(NamedTuple):
    """
    Attributes:
        convention: how pixels become the input.
        known_by: how that is known, for people.
    """

    convention: Convention
    known_by: str


def find(
    twin: Path, info: ModelInfo, data: Dataset, said: str, resize: Resize, seed: int, report: Report
) -> Found:
    """What is said, what the model's own layers tell, or what gets most pictures right; doubts are told.

    Args:
        twin: the float model, without contract.
        info: what it is.
        data: its training pictures are tried.
        said: ``--preprocess``, or "".
        resize: how a picture is laid into the input.
        seed: of the pictures.
        report: hears of doubts.

    Raises:
        UsageError: nothing stands out, or what is said is no convention.
    """
    channels = info.shape[2]
    told = _told(info, said, report)
    tried = _to_try(channels, told.convention if told else None)
    scores = _scores(twin, info, data, tried, resize, seed, report)
    ranked = sorted(scores, key=lambda name: -scores[name])
    listed = ", ".join(f"{name} {scores[name]:.0%}" for name in ranked)
    if told is not None:
        if scores[ranked[0]] - scores[told.convention.name] > _CLEAR:
            report.warn(
                f"the pictures seem wrongly scaled: with {told.convention.name} ({told.known_by})"
                f" fewer are right than otherwise ({listed})"
            )
        return told
    likely = contenders(scores, 1 / info.classes)
    guess = conventions.of_networks(info.names) if channels == 3 else None
    if guess is not None and (not likely or any(_same(guess, c) for c in tried if c.name in likely)):
        report.warn(f"preprocessing not said; {guess.name}'s is taken by the model's name (right: {listed})")
        return Found(guess, f"the name {guess.name}")
    if likely:
        doubt = "" if len(likely) == 1 else f" but {', '.join(likely[1:])} may be meant as well"
        report.warn(
            f"preprocessing not said; {likely[0]} gets most right ({listed}){doubt}: say --preprocess"
        )
        return Found(next(c for c in tried if c.name == likely[0]), "found by trying")
    raise UsageError(
        f"how the model wants its pictures cannot be told by its answers ({listed})",
        f"add --preprocess with one of {', '.join(conventions.NAMES)}, or MEAN,STD",
    )


def _told(info: ModelInfo, said: str, report: Report) -> Found | None:
    channels = info.shape[2]
    if said:
        return Found(conventions.parse(said).for_channels(channels), "said")
    if info.scaling:
        report.line(f"preprocessing: 0..255, the model has a layer {info.scaling} of its own")
        return Found(conventions.PIXELS.for_channels(channels), f"its layer {info.scaling}")
    return None


def _to_try(channels: int, said: Convention | None) -> list[Convention]:
    basic = [c.for_channels(channels) for c in conventions.BASIC if channels == 3 or len(c.mean) == 1]
    return basic if said is None else [said, *(c for c in basic if not _same(c, said))]


def _same(a: Convention, b: Convention) -> bool:
    return (a.color, a.mean, a.std) == (b.color, b.mean, b.std)


def contenders(scores: dict[str, float], chance: float) -> list[str]:
    """The conventions that may be right, most likely first; none if even the best one's answers are guesses.

    Args:
        scores: share of right answers by convention, the commonest convention first.
        chance: top-1 of a model that guesses.
    """
    best = max(scores.values())
    if best < max(2 * chance, chance + _CLEAR):
        return []
    # The confidence of the answers does not tell: larger inputs make a network surer, right or wrong.
    near = [name for name, score in scores.items() if best - score < _AHEAD]
    return sorted(near, key=lambda name: -scores[name])


def _scores(
    twin: Path,
    info: ModelInfo,
    data: Dataset,
    tried: list[Convention],
    resize: Resize,
    seed: int,
    report: Report,
) -> dict[str, float]:
    """Share of right answers by convention."""
    samples = dataset.calibration(data, _TRIED, seed)
    plain = ModelSpec(
        "", "classify", "classify", color="gray" if info.shape[2] == 1 else "rgb", resize=resize
    )
    pictures = calibrate.laid([sample.path for sample in samples], plain, info.shape[:2])
    truth = np.array([sample.class_id for sample in samples])
    scores = {}
    with _Engine(twin) as engine, report.progress("trying the preprocessing") as advance:
        for number, convention in enumerate(tried):
            advance(number, len(tried))
            ordered = pictures[..., ::-1] if convention.color == "bgr" else pictures
            spec = replace(plain, mean=convention.mean, std=convention.std)
            answers = engine.answers(calibrate.normalised(ordered, spec))
            scores[convention.name] = float((answers == truth).mean())
    return scores


class _Engine:
    """The float model on inputs that are ready."""

    def __init__(self, model: Path) -> None:
        self._engine = registry.load(registry.ENGINES, "engine", "litert")(EngineOptions(model, device="cpu"))

    def __enter__(self) -> _Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()

    def answers(self, inputs: Floats) -> Array:
        """The best class of each."""
        return np.array([int(np.argmax(self._engine.infer(one[None])[0])) for one in inputs])
