"""``quantize``: the float twin and a file for each quantisation recipe, each with its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import detector, recipes, variants
from converters.steps.base import Option, Report
from converters.variants import FLOAT
from converters.work import Work

if TYPE_CHECKING:
    from converters.dataset import Sample


class QuantizeStep:
    """Writes ``float.tflite``, ``VARIANT.tflite`` and ``variants.json``.

    A detector, a model whose data has boxes, tells what its outputs are by a file beside it; see
    :mod:`converters.detector`, which is the one way for Keras models, SavedModels and tfjs graphs.

    Figures: ``input`` (height, width, channels), ``classes``, ``parameters``, ``kind``, ``preprocess`` (name,
    color, mean, std, how it is known), ``calibration`` (pictures, per class, histogram of pixels),
    ``variants``.
    """

    name = "quantize"
    options = (
        Option("recipes", str, ("int8",), "Ways to quantise; see edgecam-convert recipes.", many=True),
        Option("calibration", int, 100, "Pictures to find the range of activations with."),
        Option(
            "calibrate_on", Path, "", "Folder of other pictures to do that with, instead of training ones."
        ),
        Option("model", str, "", "The model."),
        Option("detector", str, "", "What a detector's outputs are; STEM.detector.json beside it."),
        Option("preprocess", str, "", "How it wants its pictures."),
        Option("resize", str, "stretch", "How a picture is laid into the input."),
        Option("input_size", int, (), "Height and width, for a free size.", many=True),
        Option("custom", str, "", "Python file with the model's own layers."),
        Option("allow_lambda", bool, False, "Run Python code that the file holds."),
        Option("seed", int, 0, "Of the calibration pictures."),
        Option("name", str, "", "Of the final file."),
        Option("version", str, "1.0.0", "Of the model."),
        Option("description", str, "", "One line about the model."),
        Option("licence", str, "", "Of the model."),
        Option("origin", str, "", "Where it comes from."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        model = Path(options["model"])
        yield model
        if model.suffix == ".json":
            from converters import tfjs

            yield from tfjs.shards(model)
        yield work.path("data.json")
        yield from (Path(options[key]) for key in ("custom", "calibrate_on") if options[key])
        said = Path(options["detector"]) if options["detector"] else detector.beside(model)
        if said.exists():
            yield said
        for name in options["recipes"]:
            yield Path(name) if name.endswith(".toml") else recipes.QUANTIZATION / f"{name}.toml"

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no data, or labels that do not match the outputs.
            ModelError: the model cannot be read or converted; see :mod:`converters.keras_io`.
        """
        from converters import calibrate
        from converters.making import Maker
        from converters.quantize import Converter
        from edgecam import contract

        wanted = [recipes.quantization(name) for name in options["recipes"]]
        shared = {key: value for key, value in options.items() if key != "recipes"}
        mark = work.fingerprint("variants", shared, self.inputs(work, {**options, "recipes": ()}))
        with Converter() as converter:
            maker = Maker(work, options, mark, report, converter)
            found = maker.twin()
            spec = contract.resolve(work.path(FLOAT))
            chosen, pictures = maker.calibration(spec)
            for recipe in wanted:
                maker.make(recipe, spec, pictures)
        made = variants.read(work)
        counts = _per_class(chosen, maker.data.names)
        return {
            "input": list(maker.info.shape),
            "classes": maker.info.classes,
            "parameters": maker.info.parameters,
            "kind": maker.info.kind,
            "preprocess": {
                "name": found.convention.name,
                "color": spec.color,
                "mean": list(spec.mean),
                "std": list(spec.std),
                "known_by": found.known_by,
            },
            "calibration": {
                "pictures": len(pictures),
                "per_class": counts,
                "histogram": calibrate.histogram(pictures),
            },
            "variants": [asdict(variant) for variant in made],
            "options": dict(options),
            "mark": mark,
            "files": [FLOAT, variants.FILE, *(variant.file for variant in made)],
        }


def _per_class(chosen: Sequence[Sample], names: Sequence[str]) -> dict[str, int]:
    """Calibration pictures (objects, with boxes) of each class; by folder where the data knows no class."""
    from collections import Counter

    from converters import dataset

    if all(sample.truth is None and sample.class_id < 0 for sample in chosen):
        return dict(Counter(sample.path.parent.name for sample in chosen))
    counts = dataset.histogram(chosen, len(names))
    return {name: count for name, count in zip(names, counts, strict=True) if name}
