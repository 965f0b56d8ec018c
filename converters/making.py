"""Makes the float twin and the quantised files of a work folder, each with its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters import calibrate, codebook, conventions, dataset, detector, normalisation, variants
from converters.conventions import Convention
from converters.data import entries
from converters.dataset import Dataset, Sample
from converters.detector import Detector
from converters.embed import embed_file
from converters.files import write_whole
from converters.floatops import float_operators
from converters.normalisation import Found
from converters.quantize import Converter, ModelInfo
from converters.recipes import Quantization
from converters.steps.base import Report
from converters.variants import FLOAT, Variant
from converters.work import Work, fingerprint
from edgecam.contract import ModelSpec
from edgecam.errors import ModelError, UsageError
from edgecam.types import Array

_TWIN = Quantization("float", "the float32 twin")


class Maker:
    """One loaded model and its pictures.

    Args:
        work: where everything goes; it holds ``data.json``.
        options: of the step ``quantize``.
        mark: fingerprint of all that the variants share.
        report: hears what happens.
        converter: the child process.

    Raises:
        UsageError: no data, or labels that do not match the outputs.
        ModelError: the model cannot be read; see :mod:`converters.keras_io`.
    """

    def __init__(
        self, work: Work, options: Mapping[str, Any], mark: str, report: Report, converter: Converter
    ) -> None:
        self._work = work
        self._options = options
        self._mark = mark
        self._report = report
        self._converter = converter
        self.data = _dataset(work)
        with report.progress("loading the model") as advance:
            advance(0, None)
            self.info = converter.load(
                Path(options["model"]),
                size=tuple(options["input_size"]),
                custom=options["custom"],
                allow_lambda=options["allow_lambda"],
                task=self.data.task,
                detector=_detector(options) if self.data.task == "detect" else None,
            )
        if self.data.task == "classify" and len(self.info.outputs) != 1:
            raise UsageError(
                f"{options['model']} has {len(self.info.outputs)} outputs, a classifier has one",
                "a detector needs pictures with boxes: --data COCO.json",
            )
        if self.data.task == "classify" or self.info.classes:
            dataset.check_outputs(self.data.names, self.info.classes)

    def twin(self) -> Found:
        """The float twin; how it wants its pictures."""
        _tell(self.info, self._report)
        bare = self._bare("float")
        try:
            with self._report.progress("converting to float") as advance:
                advance(0, None)
                self._converter.convert(_TWIN, bare, task=self.data.task)
            plain = contract_of(self._options, self.data, self.info, conventions.PIXELS)
            said, seed = self._options["preprocess"], self._options["seed"]
            found = normalisation.find(bare, self.info, self.data, plain, said, seed, self._report)
            spec = contract_of(self._options, self.data, self.info, found.convention)
            embed_file(bare, self._work.path(FLOAT), spec, self.info.roles)
        finally:
            bare.unlink(missing_ok=True)
        return found

    def calibration(self, spec: ModelSpec) -> tuple[Sequence[Sample], Array]:
        """The calibration pictures, laid into the input; what is suspicious about them is told."""
        chosen = self._chosen()
        with self._report.progress("calibration pictures") as advance:
            pictures = calibrate.laid([s.path for s in chosen], spec, self.info.shape[:2], advance)
        doubts = dataset.calibration_warnings(self.data, chosen, others=bool(self._options["calibrate_on"]))
        doubts.append(calibrate.scale_warning(pictures))
        for doubt in filter(None, doubts):
            self._report.warn(doubt)
        return chosen, pictures

    def _chosen(self) -> Sequence[Sample]:
        """Of the training pictures, or all of the folder that is named."""
        folder = self._options["calibrate_on"]
        if not folder:
            return dataset.calibration(self.data, self._options["calibration"], self._options["seed"])
        found = entries.pictures(Path(folder))
        if not found:
            raise UsageError(f"{folder} holds no pictures", "name a folder of pictures to calibrate on")
        return [Sample(path) for path in found]

    def make(self, recipe: Quantization, spec: ModelSpec, pictures: Array) -> Variant:
        """One variant, unless it is there already; it is added to ``variants.json``.

        Raises:
            ModelError: it cannot be converted so; see :mod:`converters.tfconvert`.
        """
        mark = fingerprint(recipe.name, asdict(recipe), (), self._mark)
        known = variants.read(self._work)
        for entry in known:
            if entry.recipe == recipe.name and entry.fingerprint == mark:
                self._report.line(f"{recipe.name}: done already")
                return entry
        variant = self._convert(recipe, spec, pictures, mark)
        # Those of an earlier model or of other pictures do not stand beside this one.
        kept = [entry for entry in known if entry.recipe != recipe.name and entry.base == self._mark]
        variants.write(self._work, [*kept, variant])
        size = f"{variant.size / 1e6:.2f} MB ({variant.compressed / 1e6:.2f} compressed)"
        self._report.line(f"{recipe.name}: {size}, {variant.seconds:.0f} s")
        if variant.float_ops and recipe.calibrated:
            listed = ", ".join(f"{name} x{count}" for name, count in variant.float_ops.items())
            self._report.line(f"{recipe.name}: computed in float: {listed}")
        return variant

    def _convert(self, recipe: Quantization, spec: ModelSpec, pictures: Array, mark: str) -> Variant:
        file = f"{recipe.name}.tflite"
        bare = self._bare(recipe.name)
        inputs = calibrate.normalised(pictures, spec) if recipe.calibrated else None
        try:
            with self._report.progress(f"converting to {recipe.name}") as advance:
                advance(0, None if inputs is None else len(inputs))
                done = self._converter.convert(
                    recipe,
                    bare,
                    calibration=inputs,
                    task=self.data.task,
                    float_model=self._work.path(FLOAT),
                    progress=advance,
                )
            if recipe.codebook:
                write_whole(bare, codebook.apply(bare.read_bytes(), recipe.codebook))
            data = bare.read_bytes()
            embed_file(bare, self._work.path(file), spec, self.info.roles)
        finally:
            bare.unlink(missing_ok=True)
        return Variant(
            recipe=recipe.name,
            file=file,
            summary=recipe.summary,
            size=len(data),
            compressed=codebook.compressed(data),
            seconds=round(done.seconds, 2),
            converter=done.converter,
            peak_mb=done.peak_mb,
            float_ops=float_operators(data),
            fingerprint=mark,
            base=self._mark,
        )

    def _bare(self, name: str) -> Path:
        return self._work.path(f".{name}.bare.tflite")


def contract_of(
    options: Mapping[str, Any], data: Dataset, info: ModelInfo, convention: Convention
) -> ModelSpec:
    """The contract of a converted model."""
    long = max(len(convention.mean), len(convention.std))
    mean, std = (v if len(v) == long else v * long for v in (convention.mean, convention.std))
    return ModelSpec(
        name=options["name"] or Path(options["model"]).stem,
        version=options["version"],
        description=options["description"],
        licence=options["licence"],
        origin=options["origin"],
        task=data.task,
        decoder=info.decoder,
        labels=data.names,
        color="gray" if info.shape[2] == 1 else convention.color,
        resize=options["resize"],
        mean=mean,
        std=std,
        options=info.options,
    )


def _detector(options: Mapping[str, Any]) -> Detector:
    """What the file beside the model says of its outputs."""
    model = Path(options["model"])
    if not model.exists():
        raise ModelError(f"{model} does not exist", "name a Keras model")
    return detector.read(Path(options["detector"]) if options["detector"] else detector.beside(model))


def _tell(info: ModelInfo, report: Report) -> None:
    height, width, channels = info.shape
    size = f"{width}x{height}x{channels}"
    classes = f"{info.classes} classes, " if info.classes else ""
    report.line(f"model: {size}, {classes}{info.parameters:,} weights")
    if info.decoder != "classify":
        report.line(f"model: a detector, its outputs ({', '.join(info.roles)}) are decoded by {info.decoder}")
    if info.added:
        report.line(f"model: its output gets a {info.added}, to be a probability a class")


def _dataset(work: Work) -> Dataset:
    path = work.path("data.json")
    if not path.exists():
        raise UsageError(f"{work.root} holds no pictures yet", "run the step data first")
    return Dataset.from_json(path.read_text(encoding="utf-8"))
