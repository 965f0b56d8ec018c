"""Golden samples for a finished model; :mod:`edgecam.verify` is what they are for, and says their format.

A sample's picture is already of the size of the model's input, so that no resampling comes between; it is
a JPEG (quality 90, full chroma), a tenth of the raw pixels. What counts are its *decoded* pixels, which
baseline decoders built on libjpeg give alike; a checksum tells where one does not.

Processors round differently, and what lies between two answers may then fall to either side. So a picture is
chosen only if its answer is clear and steady: TensorFlow Lite's own kernels, which round otherwise than
XNNPACK, say the same, and so it is with noise of two grey levels on the pixels. Where no picture is steady,
the tolerance is twice what their answers differ.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecam import contract, registry, verify
from edgecam.contract import ModelSpec
from edgecam.engines import runtimes
from edgecam.engines.runtimes import Runtime
from edgecam.engines.session import Session
from edgecam.errors import UsageError
from edgecam.preprocess import Preprocessor
from edgecam.types import HeadOptions, Image, TensorInfo
from edgecam.verify import Expected, Golden

FOLDER = "golden/"
COUNT = 8
FLOOR = 0.3  # least score that counts; a model's own threshold if that is higher
#: Least tolerances: of a score, and of a corner in shares of the input's sides. For a network that computes
#: with 8 bits one step of a detector's logits is 0.05 of a score in the middle.
QUANTISED = (0.1, 0.05)
FLOAT = (0.03, 0.02)
STEPS = 4  # of a quantised output: the tolerance of a score is at least as large
QUALITY = 90
_ROOM = 2  # tolerances that results keep away from the floor and from each other, to be chosen
_LEAST = 0.01
_NOISES = 6
_NOISE = 2  # grey levels


class NothingClearError(UsageError):
    """The model is sure of no picture."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture that might do: its JPEG, its pixels, and what the model says of it."""

    jpeg: bytes
    image: Image
    said: Sequence[Expected]


class Maker:
    """Makes golden samples of one model.

    Args:
        data: the ``.tflite``.
        spec: its contract, outputs named.

    Raises:
        ContractError: the contract contradicts the tensors.
        EngineError: the model cannot be run.
    """

    def __init__(self, data: bytes, spec: ModelSpec) -> None:
        self._spec = spec
        litert = runtimes.load("litert")
        self._sessions = [Session(runtime, data, 1) for runtime in (litert, _plain(litert))]
        info = self._sessions[0].input
        outputs = self._sessions[0].outputs
        contract.check(spec, info, outputs)
        self._preprocess = Preprocessor(spec, info)
        # The same picture before colour order, normalisation and quantisation.
        pixels = TensorInfo("pixels", (*info.shape[:3], 3), np.dtype(np.uint8))
        self._lay = Preprocessor(replace(spec, color="rgb", mean=(0.0,), std=(1.0,)), pixels)
        head = registry.load(registry.HEADS, "decoder", spec.decoder)
        self._head = head(spec, info, outputs, HeadOptions(threshold=_LEAST, top_k=1000))
        self.floor = max(FLOOR, float(spec.options.get("threshold", FLOOR)))
        steps = [STEPS * output.scale for output in outputs if output.scale and spec.task == "classify"]
        score, self.box = FLOAT if info.dtype.kind == "f" else QUANTISED
        self.tolerance = max([score, *steps])

    def candidate(self, rgb: Image) -> Candidate:
        """A picture of any size, run."""
        tensor, _ = self._lay.from_image(rgb)
        data, image = _as_jpeg(tensor[0])
        return Candidate(data, image, self._answer(0, image))

    def _answer(self, session: int, image: Image) -> list[Expected]:
        tensor, geometry = self._preprocess.from_image(image)
        return verify.results(self._head.decode(self._sessions[session].run(tensor), geometry))

    def others(self, image: Image) -> list[list[Expected]]:
        """What the other kernels say, and what these say of nearly the same picture."""
        rng = np.random.default_rng(0)
        noises = (rng.integers(-_NOISE, _NOISE + 1, image.shape) for _ in range(_NOISES))
        noisy = (np.clip(image + noise, 0, 255).astype(np.uint8) for noise in noises)
        return [self._answer(1, image), *(self._answer(0, picture) for picture in noisy)]

    def make(
        self, pictures: Iterable[Image], count: int = COUNT
    ) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
        """Choose the clearest pictures, of as many classes as there are.

        Args:
            pictures: candidates, RGB of any size; more than ``count`` are good.
            count: how many samples at most.

        Returns:
            ``golden`` for the contract, and the files it names.

        Raises:
            NothingClearError: no picture gets a clear answer.
        """
        candidates = [self.candidate(picture) for picture in pictures]
        clear = [c for c in candidates if self.room(c.said) >= _ROOM * self.tolerance]
        spreads = {id(c): self.spread(c, self.others(c.image)) for c in clear}
        steady = [c for c in clear if 2 * spreads[id(c)] <= self.tolerance]
        chosen = _of_many_classes(sorted(steady or clear, key=lambda c: -self.room(c.said)), count)
        if not chosen:
            raise NothingClearError(
                f"none of {len(candidates)} pictures gets a clear answer, so there is no golden sample",
                "give pictures of what the model knows",
            )
        tolerance = max([self.tolerance, *(2 * spreads[id(c)] for c in chosen)])
        entries, files = [], {}
        for number, candidate in enumerate(chosen):
            name = f"{FOLDER}{number}.jpg"
            files[name] = candidate.jpeg
            entries.append(
                {
                    "picture": name,
                    "crc32": verify.fingerprint(candidate.image),
                    "floor": round(self.floor, 4),
                    "score": round(min(tolerance, 1.0), 4),
                    "box": self.box,
                    "expect": [_row(result) for result in candidate.said if result.score >= self.floor],
                }
            )
        return entries, files

    def room(self, said: Sequence[Expected]) -> float:
        """How clear an answer is: how far the scores are from the floor, and the best from the second.

        0 for a picture of nothing.
        """
        if not said or said[0].score < self.floor:
            return 0.0
        distances = [abs(result.score - self.floor) for result in said]
        rivals = [result for result in said[1:] if result.class_id != said[0].class_id]
        if rivals:
            distances.append(said[0].score - rivals[0].score)
        return min(distances)

    def spread(self, candidate: Candidate, others: Iterable[Sequence[Expected]]) -> float:
        """Largest difference of a score from other answers; 1 where a result has no counterpart."""
        sample = Golden("", candidate.image, (), self.floor, 1.0, self.box / 2)
        largest = 0.0
        for other in others:
            for these, those in ((candidate.said, other), (other, candidate.said)):
                for wanted in these:
                    if wanted.score >= self.floor:
                        found = verify.partner(wanted, those, sample)
                        largest = max(largest, 1.0 if found is None else abs(wanted.score - found.score))
        return largest


def _plain(runtime: Runtime) -> Runtime:
    """The same interpreter without XNNPACK."""
    from ai_edge_litert.interpreter import OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    make = functools.partial(runtime.Interpreter, experimental_op_resolver_type=resolver)
    return replace(runtime, Interpreter=make)


def _as_jpeg(image: Image) -> tuple[bytes, Image]:
    from PIL import Image as pil

    from edgecam import jpeg

    out = io.BytesIO()
    pil.fromarray(image).save(out, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return out.getvalue(), jpeg.decode(out.getvalue())


def _of_many_classes(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Classes take turns, each with its clearest picture."""
    queues: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        queues.setdefault(candidate.said[0].class_id, []).append(candidate)
    turns = max(map(len, queues.values()), default=0)
    in_turn = [queue[turn] for turn in range(turns) for queue in queues.values() if turn < len(queue)]
    return in_turn[:count]


def _row(result: Expected) -> list[float]:
    box = () if result.box is None else result.box
    return [result.class_id, round(result.score, 4), *(round(value, 1) for value in box)]
