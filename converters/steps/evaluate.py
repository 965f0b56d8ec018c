"""``evaluate``: every variant on the test pictures beside its float twin; the errors of layers; the gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import variants
from converters.steps.base import Option, Report, show_table
from converters.variants import FLOAT
from converters.work import Work
from edgecam.errors import EngineError, UsageError

if TYPE_CHECKING:
    from converters.dataset import Dataset, Sample
    from converters.judge import Judged
    from converters.judging.compare import Comparison
    from converters.judging.gate import Verdict
    from converters.layers import LayerReport
    from edgecam.types import Image

TWIN = "float"
REPAIRED = "repaired"


class EvaluateStep:
    """Judges the files of the work folder; the gate is for the one that is shipped.

    Figures:
        ``task``, ``names``, ``pictures``, ``machine``;
        ``paths``: name -> file in the work folder, ``float`` first;
        ``models``: name -> :class:`converters.judging.figures.Figures`;
        ``comparisons``: name -> :class:`converters.judging.compare.Comparison` with the float twin;
        ``verdicts``: name -> :class:`converters.judging.gate.Verdict`;
        ``chosen``: the name of the variant that is shipped;
        ``layers``: name -> :class:`converters.layers.LayerReport`, of the variant that is shipped and of
        what it was repaired from;
        ``mistakes``: of the variant that is shipped, see :mod:`converters.judging.mistakes`;
        ``repair``: what ``repair`` has tried, see :mod:`converters.repair`;
        ``gate_failed``, ``gate_remedy``: the reasons, where the gate is not met, and what to do.
    """

    name = "evaluate"
    options = (
        Option("ship", str, "", "The variant that the gate is for; the first if not given."),
        Option("max_drop", float, 1.0, "Points of top-1 (or AP50, AP) that may be lost."),
        Option("max_class_drop", float, 5.0, "Points of recall that a class may lose."),
        Option("repair", bool, False, "Keep the worst layers in float until the gate is met."),
        Option("layers", int, 16, "Pictures for the error of each layer; 0 for none."),
        Option("threads", int, 0, "CPU threads; 0 for the runtime's default."),
        Option("seed", int, 0, "Of the pictures for layers."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        yield from (work.path(name) for name in ("data.json", FLOAT, variants.FILE))
        yield from (work.path(variant.file) for variant in variants.read(work))

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            UsageError: there is nothing to judge, or no picture to judge by.
            ModelError: a file is broken.
        """
        run = _Run(work, options, report)
        run.judge(run.models())
        run.tell()
        run.measure_layers()
        if options["repair"] and not run.verdicts()[run.chosen].passed:
            run.repair()
        return run.figures()


class _Run:
    """One run of the step."""

    def __init__(self, work: Work, options: Mapping[str, Any], report: Report) -> None:
        from converters.dataset import Dataset

        path = work.path("data.json")
        if not path.exists():
            raise UsageError(f"{work.root} holds no pictures yet", "run the step data first")
        self.work, self.options, self.report = work, options, report
        self.data: Dataset = Dataset.from_json(path.read_text(encoding="utf-8"))
        self.paths: dict[str, str] = {}
        self.judged: Judged
        self.chosen = ""
        self.layers: dict[str, LayerReport] = {}
        self.repaired: dict[str, Any] = {}

    def models(self) -> dict[str, str]:
        """Name -> file, the float twin first."""
        found = {variant.recipe: variant.file for variant in variants.read(self.work)}
        if not found or not self.work.path(FLOAT).exists():
            raise UsageError(f"{self.work.root} holds no variants yet", "run the step quantize first")
        self.chosen = self.options["ship"] or next(iter(found))
        if self.chosen not in found:
            raise UsageError(f"there is no variant {self.chosen!r}", f"one of {', '.join(found)}")
        return {TWIN: FLOAT, **found}

    def judge(self, paths: dict[str, str]) -> None:
        """All of them, side by side."""
        self.paths = paths
        self.judged = self._judge(paths, self.data.test, "judging")
        skipped = self.judged.figures[TWIN].skipped
        if skipped:
            self.report.warn(f"{len(skipped)} test pictures cannot be read: {', '.join(skipped[:3])}")
        show_table(self.report, *table(self.judged, self.comparisons(), self.verdicts()))
        speed = self.judged.figures[TWIN]
        self.report.line(
            f"{len(self.judged.truth.paths)} pictures, {speed.rate:.0f} a second"
            f" ({speed.bare_rate:.0f} by the bare engines)"
        )

    def _judge(self, paths: Mapping[str, str], samples: Sequence[Sample], what: str) -> Judged:
        from converters.judge import judge_all

        with self.report.progress(what) as advance:
            return judge_all(
                {name: self.work.path(file) for name, file in paths.items()},
                samples,
                self.data.names,
                threads=self.options["threads"],
                progress=advance,
            )

    def tell(self) -> None:
        """What the gate says of the variant that is shipped."""
        verdict = self.verdicts()[self.chosen]
        for note in verdict.notes:
            self.report.line(f"{verdict.variant}: {note}")
        if verdict.passed:
            self.report.line(f"{verdict.variant}: good enough to ship")

    def comparisons(self, judged: Judged | None = None) -> dict[str, Comparison]:
        """Each variant with its float twin."""
        from converters.judging.compare import compare

        seen = judged or self.judged
        base = seen.figures[TWIN].accuracy
        return {
            name: compare(base, found.accuracy, seen.answers[TWIN], seen.answers[name], seen.truth)
            for name, found in seen.figures.items()
            if name != TWIN
        }

    def verdicts(self, judged: Judged | None = None) -> dict[str, Verdict]:
        """What the gate says of each."""
        from converters.judging import gate

        seen = judged or self.judged
        return {
            name: gate.judge(
                name,
                seen.figures[TWIN].accuracy,
                seen.figures[name].accuracy,
                comparison,
                max_drop=self.options["max_drop"],
                max_class_drop=self.options["max_class_drop"],
            )
            for name, comparison in self.comparisons(seen).items()
        }

    def measure_layers(self) -> None:
        """Where the variant that is shipped departs from its float twin."""
        if not self.options["layers"]:
            return
        try:
            self._compare_layers(self.chosen, self.paths[self.chosen])
        except EngineError as error:  # the judgement stands without it
            self.report.warn(str(error))
            return
        worst = self.layers[self.chosen].worst(3)
        if worst:
            named = ", ".join(f"{layer.name} ({layer.own:.0f} dB)" for layer in worst)
            self.report.line(f"{self.chosen}: the layers that lose most: {named}")

    def _compare_layers(self, name: str, file: str) -> None:
        from converters import layers

        with self.report.progress("comparing layers") as advance:
            advance(0, None)
            self.layers[name] = layers.compare(
                self.work.path(FLOAT), self.work.path(file), _images(self.data, self.options)
            )

    def repair(self) -> None:
        """One more variant, with the worst layers in float; it is shipped if it is good enough."""
        from converters import repair

        name = f"{self.chosen}-{REPAIRED}"
        if self.chosen not in self.layers:
            self._compare_layers(self.chosen, self.paths[self.chosen])

        def good(file: str) -> tuple[bool, float]:
            """On validation pictures: the test pictures are for the final word only."""
            samples = self.data.validation or self.data.train
            seen = self._judge({TWIN: FLOAT, name: file}, samples, "judging the repair")
            return self.verdicts(seen)[name].passed, seen.figures[name].accuracy.headline

        found = repair.search(
            self.work, self.chosen, f"{name}.tflite", self.layers[self.chosen], good, self.report
        )
        self.repaired = found.as_dict()
        self._compare_layers(name, found.file)
        self.judge({**self.paths, name: found.file})
        if self.verdicts()[name].passed:
            self.chosen = name
        self.tell()

    def figures(self) -> dict[str, Any]:
        from edgecam import bench

        verdicts = self.verdicts()
        verdict = verdicts[self.chosen]
        found: dict[str, Any] = {
            "task": self.data.task,
            "names": list(self.data.names),
            "pictures": len(self.judged.truth.paths),
            "machine": bench.machine(),
            "paths": self.paths,
            "models": {name: entry.as_dict() for name, entry in self.judged.figures.items()},
            "comparisons": {name: entry.as_dict() for name, entry in self.comparisons().items()},
            "verdicts": {name: entry.as_dict() for name, entry in verdicts.items()},
            "chosen": self.chosen,
            "layers": {name: entry.as_dict() for name, entry in self.layers.items()},
            "mistakes": _mistakes(self.judged, self.chosen, self.data.task),
            "repair": self.repaired,
            "files": sorted(set(self.paths.values())),
        }
        if not verdict.passed:
            found["gate_failed"] = "; ".join(verdict.reasons)
            found["gate_remedy"] = f"{self.work.path('report.html')} shows where it is lost; " + (
                "allow it by --max-drop" if self.repaired else "try --repair, or allow it by --max-drop"
            )
        return found


def _images(data: Dataset, options: Mapping[str, Any]) -> list[Image]:
    """A few training pictures of every class."""
    from converters import dataset
    from edgecam.sources.images import load_picture

    chosen = dataset.calibration(data, options["layers"], options["seed"])
    return [load_picture(sample.path) for sample in chosen]


def _mistakes(judged: Judged, chosen: str, task: str) -> list[dict[str, Any]]:
    from converters.judging import mistakes

    if task == "detect":
        return mistakes.of_detector(judged.answers[chosen], judged.truth)
    return mistakes.of_classifier(judged.answers[TWIN], judged.answers[chosen], judged.truth)


def table(
    judged: Judged, comparisons: Mapping[str, Comparison], verdicts: Mapping[str, Verdict]
) -> tuple[list[str], list[list[str]]]:
    """The models side by side: columns, and a row each."""
    headline = next(iter(judged.figures.values())).accuracy.headline_name
    columns = ["variant", headline, "points", "agrees", "size", "compressed", "latency", "gate"]
    rows = []
    for name, found in judged.figures.items():
        row = [name, f"{100 * found.accuracy.headline:.1f}%", "", ""]
        if name in comparisons:
            row[2:] = [
                f"{0.0 - round(comparisons[name].points[headline], 1):+.1f}",
                f"{100 * comparisons[name].agreement:.1f}%",
            ]
        row += [f"{size / 1e6:.2f} MB" for size in (found.bytes, found.compressed)]
        row.append(f"{found.invoke_ms:.2f} ms")
        row.append(("passes" if verdicts[name].passed else "fails") if name in verdicts else "")
        rows.append(row)
    return columns, rows
