"""Finds out how a model wants its pictures, by what its float twin makes of pictures with known classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from converters import calibrate, conventions, dataset
from converters.conventions import Convention
from converters.embed import named
from converters.judging import figures
from edgecam import registry
from edgecam.contract import ModelSpec
from edgecam.engines.base import EngineOptions
from edgecam.errors import UsageError
from edgecam.preprocess import Preprocessor
from edgecam.sources.images import load_picture
from edgecam.types import Array, Detections, Floats, HeadOptions, Image

if TYPE_CHECKING:
    from converters.dataset import Dataset, Sample
    from converters.quantize import ModelInfo
    from converters.steps.base import Report

_TRIED = 96  # pictures
_DETECTED = 32  # pictures for a detector
_LEAST = 0.05  # score of its detections
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
    twin: Path, info: ModelInfo, data: Dataset, plain: ModelSpec, said: str, seed: int, report: Report
) -> Found:
    """What is said, what the model's own layers tell, or what gets most pictures right; doubts are told.

    Args:
        twin: the float model, without contract.
        info: what it is.
        data: its training pictures are tried.
        plain: the contract so far; colour, mean and std are what is looked for.
        said: ``--preprocess``, or "".
        seed: of the pictures.
        report: hears of doubts.

    Raises:
        UsageError: nothing stands out, or what is said is no convention.
    """
    channels = info.shape[2]
    told = _told(info, said, report)
    tried = _to_try(channels, told.convention if told else None)
    scores = _scores(twin, data, named(twin.read_bytes(), plain, info.roles), tried, seed, report)
    if not scores:
        return told or _unknown("the pictures show nothing to try it with")
    ranked = sorted(scores, key=lambda name: -scores[name])
    listed = ", ".join(f"{name} {scores[name]:.0%}" for name in ranked)
    if told is not None:
        if scores[ranked[0]] - scores[told.convention.name] > _CLEAR:
            report.warn(
                f"the pictures seem wrongly scaled: with {told.convention.name} ({told.known_by})"
                f" fewer are right than otherwise ({listed})"
            )
        return told
    likely = contenders(scores, 1 / info.classes if plain.task == "classify" else 0.0)
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
    return _unknown(f"its answers are guesses: {listed}")


def _unknown(why: str) -> NoReturn:
    raise UsageError(
        f"how the model wants its pictures cannot be told ({why})",
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
    twin: Path, data: Dataset, plain: ModelSpec, tried: list[Convention], seed: int, report: Report
) -> dict[str, float]:
    """Share of right answers by convention; of a detector the AP50. Empty where no picture shows anything."""
    detects = plain.task == "detect"
    samples = [s for s in dataset.calibration(data, _DETECTED if detects else _TRIED, seed) if s.classes()]
    if not samples:
        return {}
    scores = {}
    with _Engine(twin) as engine, report.progress("trying the preprocessing") as advance:
        right = _boxes_right if detects else _classes_right
        judge = right(engine, plain, samples, data.names)
        for number, convention in enumerate(tried):
            advance(number, len(tried))
            color = "bgr" if convention.color == "bgr" else plain.color
            spec = replace(plain, mean=convention.mean, std=convention.std, color=color)
            scores[convention.name] = judge(spec)
    return scores


def _classes_right(
    engine: _Engine, plain: ModelSpec, samples: Sequence[Sample], names: Sequence[str]
) -> Callable[[ModelSpec], float]:
    pictures = calibrate.laid([sample.path for sample in samples], plain, engine.size)
    truth = np.array([sample.class_id for sample in samples])

    def judge(spec: ModelSpec) -> float:
        ordered = pictures[..., ::-1] if spec.color == "bgr" else pictures
        return float((engine.answers(calibrate.normalised(ordered, spec)) == truth).mean())

    return judge


def _boxes_right(
    engine: _Engine, plain: ModelSpec, samples: Sequence[Sample], names: Sequence[str]
) -> Callable[[ModelSpec], float]:
    pictures = [load_picture(sample.path) for sample in samples]
    truth = [sample.truth for sample in samples if sample.truth is not None]

    def judge(spec: ModelSpec) -> float:
        found = engine.detections(spec, pictures)
        return figures.of_detections(found, found, truth, names).ap50 or 0.0

    return judge


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

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""
        height, width = self._engine.input.shape[1:3]
        return height, width

    def detections(self, spec: ModelSpec, pictures: Sequence[Image]) -> list[Detections]:
        """What a detector says of pictures under a contract."""
        preprocess = Preprocessor(spec, self._engine.input)
        head = registry.load(registry.HEADS, "decoder", spec.decoder)
        decode = head(spec, self._engine.input, self._engine.outputs, HeadOptions(threshold=_LEAST)).decode
        inputs = (preprocess.from_image(picture) for picture in pictures)
        return [decode(self._engine.infer(tensor), geometry) for tensor, geometry in inputs]

    def answers(self, inputs: Floats) -> Array:
        """The best class of each."""
        return np.array([int(np.argmax(self._engine.infer(one[None])[0])) for one in inputs])
