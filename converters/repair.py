"""Win back what int8 has lost: the layers that lose most stay in float.

One, two, four, ... of the worst layers (:mod:`converters.layers`) are kept in float32 until the gate is met
on the validation pictures; the test pictures have no part in the choice. Every layer kept costs size (four
times its weights) and time, which the report shows.

Where it is the range of a layer's output that costs, the layers that read it stay in float with it: otherwise
the tensor between them would be rounded all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from converters import calibrate, codebook, recipes
from converters.embed import embed_file
from converters.files import write_whole
from converters.layers import LayerError, LayerReport
from converters.making import Maker
from converters.quantize import Converter
from converters.recipes import Quantization
from converters.steps.base import Report
from converters.variants import FLOAT
from converters.work import Work
from edgecam import contract
from edgecam.contract import ModelSpec
from edgecam.errors import ModelError, UsageError
from edgecam.types import Array

MOST = 0.5  # of all layers; beyond that, float16 is the better choice

#: of a file in the work folder: whether it meets the gate, and its headline figure
Judge = Callable[[str], tuple[bool, float]]


@dataclass(frozen=True)
class Try:
    """
    Attributes:
        layers: how many of the worst were mended.
        kept: how many are in float for it.
        size: bytes of the file.
        headline: top-1 on the validation pictures.
        passed: whether it meets the gate on them.
    """

    layers: int
    kept: int
    size: int
    headline: float
    passed: bool


@dataclass(frozen=True)
class Repair:
    """
    Attributes:
        file: name in the work folder.
        mended: names of the layers, worst first.
        tried: in order; the file is the last that passed, else the best.
    """

    file: str
    mended: tuple[str, ...]
    tried: tuple[Try, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def counts(layers: int) -> list[int]:
    """How many layers to try in turn."""
    most = max(int(layers * MOST), 1)
    return [2**n for n in range(most.bit_length()) if 2**n <= most]


def kept(worst: Sequence[LayerError]) -> tuple[str, ...]:
    """Which tensors must be computed in float to mend these layers, by their names in the float twin."""
    names = (name for layer in worst for name in (layer.tensor, *(layer.readers if layer.of_range else ())))
    return tuple(dict.fromkeys(names))


def search(work: Work, variant: str, file: str, found: LayerReport, good: Judge, report: Report) -> Repair:
    """Make the repaired file.

    Args:
        work: with the float twin; its job names the model.
        variant: what to repair; an int8 recipe.
        file: name of the result.
        found: the errors of the variant's layers.
        good: judges a candidate.
        report: hears what is tried.

    Raises:
        UsageError: the variant is not of this kind.
        ModelError: it cannot be converted so.
    """
    recipe = recipes.of_variant(
        variant, (work.figures("quantize") or {}).get("options", {}).get("recipes", ())
    )
    if recipe.activations != "int8":
        raise UsageError(
            f"{variant} cannot be repaired: layers are kept in float only where activations are int8",
            "repair an int8 recipe: --ship int8",
        )
    worst = found.worst(len(found.layers))
    if not worst:
        raise ModelError(f"no layer of {variant} has an error that could be repaired", "calibrate it anew")
    with Converter() as converter:
        maker = _Maker(work, converter, recipe, report)
        tried, best = [], (-1.0, b"", 0)
        for count in counts(len(worst)):
            content = maker.make(file, worst[:count])
            passed, headline = good(file)
            in_float = len(kept(worst[:count]))
            tried.append(Try(count, in_float, len(content), headline, passed))
            report.line(f"{in_float} layers in float: {100 * headline:.1f}%, {len(content) / 1e6:.2f} MB")
            if passed or headline > best[0]:
                best = (headline, content, count)
            if passed:
                break
    write_whole(work.path(file), best[1])
    mended = worst[: best[2]]
    return Repair(file, tuple(layer.name for layer in mended), tuple(tried))


class _Maker:
    """The loaded model and its calibration pictures, as the step ``quantize`` had them."""

    def __init__(self, work: Work, converter: Converter, recipe: Quantization, report: Report) -> None:
        figures = work.figures("quantize")
        if figures is None:
            raise UsageError(f"{work.root} holds no quantised model", "run the step quantize first")
        self._work, self._converter, self._recipe, self._report = work, converter, recipe, report
        self._spec: ModelSpec = contract.resolve(work.path(FLOAT))
        self._maker = Maker(work, figures["options"], figures["mark"], report, converter)
        _, pictures = self._maker.calibration(self._spec)
        self._pictures: Array = calibrate.normalised(pictures, self._spec)

    def make(self, file: str, layers: Sequence[LayerError]) -> bytes:
        """A file with these layers in float; its content."""
        recipe = replace(self._recipe, keep=kept(layers))
        bare = self._work.path(f".{file}.bare")
        try:
            with self._report.progress(f"converting with {len(layers)} layers in float") as advance:
                self._converter.convert(
                    recipe,
                    bare,
                    calibration=self._pictures,
                    task=self._maker.data.task,
                    float_model=self._work.path(FLOAT),
                    progress=advance,
                )
            if recipe.codebook:
                write_whole(bare, codebook.apply(bare.read_bytes(), recipe.codebook))
            embed_file(bare, self._work.path(file), self._spec, self._maker.info.roles)
        finally:
            bare.unlink(missing_ok=True)
        return self._work.path(file).read_bytes()
