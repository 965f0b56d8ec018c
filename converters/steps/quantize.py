"""``quantize``: the float twin and a file for each quantisation recipe, each with its contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import recipes, variants
from converters.recipes import Quantization
from converters.steps.base import Option, Report
from converters.variants import FLOAT, Variant
from converters.work import Work, fingerprint
from edgecam.errors import UsageError

if TYPE_CHECKING:
    from converters.conventions import Convention
    from converters.dataset import Dataset
    from converters.quantize import Converter, ModelInfo
    from edgecam.contract import ModelSpec
    from edgecam.types import Array, Floats

_TRIED = 96  # pictures on which the preprocessing is tried
_TWIN = Quantization("float", "the float32 twin")
_BARE = ".bare.tflite"


class QuantizeStep:
    """Writes ``float.tflite``, ``VARIANT.tflite`` and ``variants.json``.

    Figures: ``input`` (height, width, channels), ``classes``, ``parameters``, ``kind``, ``preprocess`` (name,
    color, mean, std, how it is known), ``calibration`` (pictures, per class, histogram of pixels),
    ``variants``.
    """

    name = "quantize"
    options = (
        Option("recipes", str, ("int8",), "Ways to quantise; see edgecam-convert recipes.", many=True),
        Option("calibration", int, 100, "Pictures to find the range of activations with."),
        Option("model", str, "", "The model."),
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
        yield Path(options["model"])
        yield work.path("data.json")
        if options["custom"]:
            yield Path(options["custom"])
        for name in options["recipes"]:
            yield Path(name) if name.endswith(".toml") else recipes.QUANTIZATION / f"{name}.toml"

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: no data, or labels that do not match the outputs.
            ModelError: the model cannot be read or converted; see :mod:`converters.keras_io`.
        """
        from converters.quantize import Converter

        wanted = [recipes.quantization(name) for name in options["recipes"]]
        with Converter() as converter:
            run = _Run(work, options, report, converter, _mark(self, work, options))
            run.load()
            run.make_twin()
            run.calibrate()
            for recipe in wanted:
                run.make(recipe)
        return run.figures()


def _mark(step: QuantizeStep, work: Work, options: Mapping[str, Any]) -> str:
    """Fingerprint of all that variants share."""
    shared = {key: value for key, value in options.items() if key != "recipes"}
    return fingerprint("variant", shared, step.inputs(work, {**options, "recipes": ()}))


@dataclass
class _Run:
    """One run of the step; its methods are called in the order in which they stand."""

    work: Work
    options: Mapping[str, Any]
    report: Report
    converter: Converter
    mark: str

    data: Dataset = None  # type: ignore[assignment]
    info: ModelInfo = None  # type: ignore[assignment]
    spec: ModelSpec = None  # type: ignore[assignment]
    convention: Convention = None  # type: ignore[assignment]
    known_by: str = "said"
    pictures: Array = None  # type: ignore[assignment]
    chosen: Sequence[Any] = ()

    def load(self) -> None:
        """Data and model, held against each other."""
        from converters import dataset

        self.data = _dataset(self.work)
        if self.data.task != "classify":
            raise UsageError(
                "only classifiers are converted from Keras", "name data with a class per picture"
            )
        with self.report.progress("loading the model") as advance:
            advance(0, None)
            self.info = self.converter.load(
                Path(self.options["model"]),
                size=tuple(self.options["input_size"]),
                custom=self.options["custom"],
                allow_lambda=self.options["allow_lambda"],
                task=self.data.task,
            )
        dataset.check_outputs(self.data.names, self.info.classes)
        height, width, channels = self.info.shape
        size = f"{width}x{height}x{channels}"
        self.report.line(f"model: {size}, {self.info.classes} classes, {self.info.parameters:,} weights")
        if self.info.added:
            self.report.line(f"model: its output gets a {self.info.added}, to be a probability a class")

    def make_twin(self) -> None:
        """The float twin, the preprocessing, and the contract."""
        bare = self.work.path(f".float{_BARE}")
        with self.report.progress("converting to float") as advance:
            advance(0, None)
            self.converter.convert(_TWIN, bare, task=self.data.task)
        try:
            self.convention = self._preprocessing(bare)
            self.spec = self._contract()
            self._embed(bare, FLOAT)
        except BaseException:
            bare.unlink(missing_ok=True)
            raise

    def _preprocessing(self, bare: Path) -> Convention:
        """What is said, what the model's own layers tell, or what answers best; doubts are told."""
        from converters import calibrate, conventions

        channels = self.info.shape[2]
        said = conventions.parse(self.options["preprocess"]) if self.options["preprocess"] else None
        if said is None and self.info.scaling:
            said = replace(conventions.PIXELS)
            self.known_by = f"layer {self.info.scaling}"
            self.report.line(f"preprocessing: 0..255, the model has a layer {self.info.scaling} of its own")
        said = said.for_channels(channels) if said else None
        guess = conventions.of_networks(self.info.names)
        scores = self._try(bare, said)
        best, doubt = calibrate.verdict(scores, said, 1 / self.info.classes)
        if said is not None:
            if doubt:
                self.report.warn(doubt)
            return said
        if best:
            self.known_by = "found by trying"
            self.report.warn(doubt)
            return next(c for c in conventions.BASIC if c.name == best).for_channels(channels)
        if guess is not None and channels == 3:
            self.known_by = f"name {guess.name}"
            self.report.warn(
                f"preprocessing not said; {guess.name}'s is taken, by the model's name ({doubt})"
            )
            return guess
        raise UsageError(
            f"how the model wants its pictures is not known ({doubt})",
            f"add --preprocess with one of {', '.join(conventions.NAMES)}, or MEAN,STD",
        )

    def _try(self, bare: Path, said: Convention | None) -> dict[str, float]:
        """Share of right answers of the float model by convention."""
        import numpy as np

        from converters import calibrate, conventions, dataset

        channels = self.info.shape[2]
        tried = [c.for_channels(channels) for c in conventions.BASIC if channels == 3 or len(c.mean) == 1]
        if said is not None:
            tried = [said, *(c for c in tried if not calibrate.equal(c, said))]
        samples = dataset.calibration(self.data, _TRIED, self.options["seed"])
        spec = self._contract(tried[0] if channels == 1 else conventions.PIXELS)
        pictures = calibrate.laid([sample.path for sample in samples], spec, self.info.shape[:2])
        if len(pictures) != len(samples):  # one has gone since the split
            raise UsageError("pictures of the split cannot be read any more", "run the step data again")
        truth = np.array([sample.class_id for sample in samples])
        scores = {}
        with _Engine(bare) as engine, self.report.progress("trying the preprocessing") as advance:
            for number, convention in enumerate(tried):
                advance(number, len(tried))
                ordered = pictures[..., ::-1] if convention.color == "bgr" else pictures
                inputs = calibrate.normalised(ordered, self._contract(convention))
                scores[convention.name] = calibrate.top1(engine.answers(inputs), truth)
        return scores

    def _contract(self, convention: Convention | None = None) -> ModelSpec:
        from edgecam.contract import ModelSpec

        convention = convention or self.convention
        options = self.options
        channels = self.info.shape[2]
        long = max(len(convention.mean), len(convention.std))
        mean, std = (v if len(v) == long else v * long for v in (convention.mean, convention.std))
        return ModelSpec(
            name=options["name"] or Path(options["model"]).stem,
            version=options["version"],
            description=options["description"],
            licence=options["licence"],
            origin=options["origin"],
            task="classify",
            decoder="classify",
            labels=self.data.names,
            color="gray" if channels == 1 else convention.color,
            resize=options["resize"],
            mean=mean,
            std=std,
        )

    def _embed(self, bare: Path, name: str) -> None:
        from converters.embed import embed_file

        embed_file(bare, self.work.path(name), self.spec, ["scores"])
        bare.unlink()

    def calibrate(self) -> None:
        """The calibration pictures, and what is suspicious about them."""
        from converters import calibrate, dataset

        self.chosen = dataset.calibration(self.data, self.options["calibration"], self.options["seed"])
        with self.report.progress("calibration pictures") as advance:
            paths = [sample.path for sample in self.chosen]
            self.pictures = calibrate.laid(paths, self.spec, self.info.shape[:2], advance)
        doubts = dataset.calibration_warnings(self.data, self.chosen)
        doubts.append(calibrate.scale_warning(self.pictures))
        for doubt in filter(None, doubts):
            self.report.warn(doubt)

    def make(self, recipe: Quantization) -> None:
        """One variant, unless it is there already."""
        mark = fingerprint(recipe.name, asdict(recipe), (), self.mark)
        known = variants.read(self.work)
        if any(entry.recipe == recipe.name and entry.fingerprint == mark for entry in known):
            self.report.line(f"{recipe.name}: done already")
            return
        variant = self._convert(recipe, mark)
        # Those of an earlier model or of other pictures do not stand beside this one.
        kept = [entry for entry in known if entry.recipe != recipe.name and self._fits(entry)]
        variants.write(self.work, [*kept, variant])
        told = f"{variant.size / 1e6:.2f} MB ({variant.compressed / 1e6:.2f} compressed)"
        self.report.line(f"{recipe.name}: {told}, {variant.seconds:.0f} s")
        if variant.float_ops and recipe.activations != "float32":
            listed = ", ".join(f"{name} x{count}" for name, count in variant.float_ops.items())
            self.report.line(f"{recipe.name}: computed in float: {listed}")

    def _fits(self, entry: Variant) -> bool:
        try:
            recipe = recipes.quantization(entry.recipe)
        except UsageError:  # a file of the user's own, seen from here by its name only
            return False
        return entry.fingerprint == fingerprint(recipe.name, asdict(recipe), (), self.mark)

    def _convert(self, recipe: Quantization, mark: str) -> Variant:
        from converters import calibrate, codebook
        from converters.files import write_whole

        file = f"{recipe.name}.tflite"
        bare = self.work.path(f".{recipe.name}{_BARE}")
        inputs: Floats | None = calibrate.normalised(self.pictures, self.spec) if recipe.calibrated else None
        try:
            with self.report.progress(f"converting to {recipe.name}") as advance:
                advance(0, len(self.pictures) if recipe.calibrated else None)
                done = self.converter.convert(
                    recipe,
                    bare,
                    calibration=inputs,
                    task=self.data.task,
                    float_model=self.work.path(FLOAT),
                    progress=advance,
                )
            if recipe.codebook:
                write_whole(bare, codebook.apply(bare.read_bytes(), recipe.codebook))
            data = bare.read_bytes()
            self._embed(bare, file)
        finally:
            bare.unlink(missing_ok=True)
        return Variant(
            recipe.name,
            file,
            recipe.summary,
            self.work.path(file).stat().st_size,
            codebook.compressed(data),
            round(done.seconds, 2),
            done.converter,
            done.peak_mb,
            float_operators(data),
            mark,
        )

    def figures(self) -> dict[str, Any]:
        """See :class:`QuantizeStep`."""
        from converters import calibrate, dataset

        made = variants.read(self.work)
        counts = dataset.histogram(self.chosen, len(self.data.names))
        convention = self.convention
        return {
            "input": list(self.info.shape),
            "classes": self.info.classes,
            "parameters": self.info.parameters,
            "kind": self.info.kind,
            "preprocess": {
                "name": convention.name,
                "color": self.spec.color,
                "mean": list(self.spec.mean),
                "std": list(self.spec.std),
                "known_by": self.known_by,
            },
            "calibration": {
                "pictures": len(self.pictures),
                "per_class": dict(zip(self.data.names, counts, strict=True)),
                "histogram": calibrate.histogram(self.pictures),
            },
            "variants": [asdict(variant) for variant in made],
            "files": [FLOAT, variants.FILE, *(variant.file for variant in made)],
        }


def float_operators(model: bytes) -> dict[str, int]:
    """Operators that compute in float, by name, most frequent first; conversions at the ends do not count."""
    from converters import graph

    found = graph.read(model)

    def is_float(tensor: int) -> bool:
        return tensor >= 0 and found.tensors[tensor].dtype in ("float32", "float16")

    names = [
        operator.name
        for operator in found.operators
        if operator.name not in ("QUANTIZE", "DEQUANTIZE") and any(map(is_float, operator.outputs))
    ]
    return dict(Counter(names).most_common())


def _dataset(work: Work) -> Dataset:
    from converters.dataset import Dataset

    path = work.path("data.json")
    if not path.exists():
        raise UsageError(f"{work.root} holds no pictures yet", "run the step data first")
    return Dataset.from_json(path.read_text(encoding="utf-8"))


class _Engine:
    """The float model on inputs that are ready."""

    def __init__(self, model: Path) -> None:
        from edgecam import registry
        from edgecam.engines.base import EngineOptions

        self._engine = registry.load(registry.ENGINES, "engine", "litert")(EngineOptions(model, device="cpu"))

    def __enter__(self) -> _Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def answers(self, inputs: Floats) -> Any:
        """The best class of each."""
        import numpy as np

        return np.array([int(np.argmax(self._engine.infer(one[None])[0])) for one in inputs])
