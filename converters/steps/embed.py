"""``embed``: the final file, with its passport."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import variants
from converters.steps.base import Option, Report
from converters.variants import FLOAT
from converters.work import Work
from edgecam.errors import UsageError

if TYPE_CHECKING:
    from converters.dataset import Dataset
    from edgecam.contract import ModelSpec

_TWIN = "float"


class EmbedStep:
    """Writes ``NAME.tflite``: the variant that is shipped, with report card and golden samples.

    Figures: ``variant``, ``file``, ``bytes``, ``sha256``, ``golden`` (number of samples), ``report``.
    """

    name = "embed"
    options = (
        Option("name", str, "", "Of the final file; the model's own if not given."),
        Option("model", str, "", "The model it comes from."),
        Option("ship", str, "", "The variant to ship; the one that was judged good if not given."),
        Option("golden", int, 8, "Test pictures to put into the file as golden samples; 0 for none."),
        Option("golden_from", Path, "", "Folder of other pictures to take these from."),
        Option("seed", int, 0, "Of the pictures."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield work.path("data.json")
        yield from (work.path(f"figures/{step}.json") for step in ("quantize", "evaluate"))
        if options["golden_from"]:
            yield Path(options["golden_from"])
        _, file = _chosen(work, options["ship"])
        yield work.path(file)

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: there is no variant yet, or not the one that is asked for.
        """
        import hashlib

        from converters.files import write_whole
        from edgecam import contract

        data = _dataset(work)
        variant, file = _chosen(work, options["ship"])
        source = work.path(file)
        spec = contract.read(source)
        if spec is None:
            raise UsageError(f"{source} has no contract", "run the step quantize again")
        card = _card(work, data, variant, report)
        sealed, count = _sealed(source.read_bytes(), spec, card, data, options, report)
        target = final(options["name"], options["model"])
        if target in (FLOAT, *(entry.file for entry in variants.read(work))):
            raise UsageError(f"{target} is the name of a variant", "choose another with --name")
        write_whole(work.path(target), sealed)
        report.line(f"{work.path(target)}: {variant}, {len(sealed):,} bytes, {count} golden samples")
        return {
            "variant": variant,
            "file": target,
            "bytes": len(sealed),
            "sha256": hashlib.sha256(sealed).hexdigest(),
            "golden": count,
            "report": card,
            "files": [target],
        }


def final(name: str, model: str) -> str:
    """The final file's name in the work folder."""
    from converters.job import Job

    return f"{Job(name=name, model=model).title}.tflite"


def _dataset(work: Work) -> Dataset:
    from converters.dataset import Dataset

    path = work.path("data.json")
    if not path.exists():
        raise UsageError(f"{work.root} holds no pictures yet", "run the step data first")
    return Dataset.from_json(path.read_text(encoding="utf-8"))


def _chosen(work: Work, ship: str) -> tuple[str, str]:
    """Name and file of the variant to ship: the one asked for, the one judged, the first."""
    paths = {variant.recipe: variant.file for variant in variants.read(work)}
    judged = work.figures("evaluate") or {}
    paths |= {name: file for name, file in judged.get("paths", {}).items() if name != _TWIN}
    if not paths:
        raise UsageError(f"{work.root} holds no variants yet", "run the step quantize first")
    name = ship or judged.get("chosen") or next(iter(paths))
    if name not in paths:
        raise UsageError(f"there is no variant {name!r}", f"one of {', '.join(paths)}")
    return name, paths[name]


def _card(work: Work, data: Dataset, variant: str, report: Report) -> dict[str, Any]:
    from converters import passport

    quantized, judged = work.figures("quantize") or {}, work.figures("evaluate")
    if judged is None:
        report.warn("the variant has not been judged: its report card holds no figures")
    models = (judged or {}).get("models", {})
    figures = {name: passport.figures(models[name]) for name in (_TWIN, variant) if name in models}
    recipe = variant.removesuffix("-repaired")
    made = next((entry for entry in variants.read(work) if entry.recipe == recipe), None)
    calibrated = _calibrated(recipe, (quantized.get("options") or {}).get("recipes", ()))
    per_class = (quantized.get("calibration") or {}).get("per_class") if calibrated else None
    return passport.card(data, per_class, figures, made.converter if made else "")


def _calibrated(variant: str, said: Sequence[str]) -> bool:
    from converters import recipes

    try:
        return recipes.of_variant(variant, said).calibrated
    except UsageError:  # a file of the user's own that is gone
        return True


def _sealed(
    model: bytes,
    spec: ModelSpec,
    card: Mapping[str, Any],
    data: Dataset,
    options: Mapping[str, Any],
    report: Report,
) -> tuple[bytes, int]:
    """The file, and how many golden samples are in it."""
    from converters import passport
    from converters.golden import NothingClearError

    if options["golden"]:
        with report.progress("golden samples") as advance:
            advance(0, None)
            try:
                folder = options["golden_from"]
                pictures = (
                    passport.of_folder(Path(folder)) if folder else passport.candidates(data, options["seed"])
                )
                sealed = passport.seal(model, spec, card, pictures, options["golden"])
                return sealed, passport.samples(sealed)
            except NothingClearError as error:
                report.warn(f"no golden samples: {error.message}")
    return passport.seal(model, spec, card), 0
