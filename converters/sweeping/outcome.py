"""What has come of a sweep: latencies, the points, the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.job import Job
from converters.judging.figures import Figures
from converters.steps.base import Report, show_table
from converters.sweeping import cluster, page, pareto, tasks
from converters.sweeping.pareto import Point
from converters.work import Work, fingerprint
from edgecam import __version__

LATENCIES = "latencies.json"
_IMAGES = 8  # to measure with


def place(variant: str, name: str) -> str:
    """Of a variant's file in the sweep's folder."""
    return f"variants/{variant}/{name}"


@dataclass
class Outcome:
    """
    Attributes:
        work: the sweep's folder.
        variants: their names, in order.
        results: variant -> what its task found.
        machine: on which latencies were measured.
    """

    work: Work
    variants: Sequence[str]
    results: Mapping[str, Mapping[str, Any]]
    machine: Mapping[str, Any] = field(default_factory=dict)

    def models(self) -> Iterator[tuple[str, str, dict[str, Any], Path]]:
        """Variant, model, figures and file of everything that was judged."""
        for variant in self.variants:
            found = self.results.get(variant, {})
            figures = found.get("figures", {"models": {}})
            for model, told in figures["models"].items():
                yield (
                    variant,
                    model,
                    told,
                    self.work.path(place(variant, figures["paths"][model])),
                )

    def measured(self, ray: Any, job: Job, retries: int, report: Report) -> dict[str, Any]:
        """Latencies of all files, by one task that has a machine to itself; not measured again while the
        files are the same."""
        models = {f"{variant}/{model}": path.read_bytes() for variant, model, _, path in self.models()}
        if not models:
            return {"machine": {}, "models": {}}
        node, cpus = cluster.quietest_node(ray)
        mark = fingerprint(
            "latencies", {"names": list(models)}, [path for *_, path in self.models()], __version__
        )
        known = self.work.read_json(LATENCIES)
        if known is not None and known["mark"] == mark:
            return dict(known)
        place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=True)
        task = ray.remote(num_cpus=cpus, max_retries=retries, scheduling_strategy=place)(tasks.measure)
        with report.progress("latencies, one after another") as advance:
            advance(0, None)
            found: dict[str, Any] = ray.get(task.remote(models, self._images(job)))
        self.work.write_json(LATENCIES, {**found, "mark": mark})
        return found

    def _images(self, job: Job) -> list[Any]:
        """Some pictures to measure with: the first test pictures of a variant."""
        from converters.dataset import Dataset
        from edgecam.sources.images import load_picture

        for name in self.results:
            path = self.work.path(place(name, "data.json"))
            if path.exists():
                samples = Dataset.from_json(path.read_text(encoding="utf-8")).test[:_IMAGES]
                found = [load_picture(sample.path) for sample in samples if sample.path.exists()]
                if found:
                    return found
        from converters.data import build

        return [load_picture(entry.path) for entry in build.listing(Path(job.data)).entries[:_IMAGES]]

    def points(self, measured: Mapping[str, Any]) -> list[Point]:
        """All that was judged, with the latencies."""
        points = []
        for variant, model, told, _ in self.models():
            found = Figures.from_dict(told)
            points.append(
                Point(
                    variant,
                    model,
                    found.accuracy.headline,
                    measured["models"][f"{variant}/{model}"]["invoke_ms"],
                    found.bytes,
                    found.compressed,
                    found.macs,
                    found.parameters,
                )
            )
        self.machine = measured["machine"]
        return points

    def tell(self, title: str, points: Sequence[Point], report: Report) -> None:
        """The table and the report."""
        best = pareto.front(points)
        if best:
            show_table(report, page.COLUMNS, [page.row(point) for point in best])
        story = page.Story(title, tuple(points), tuple(best), dict(self.results), self.machine)
        self.work.write("report.html", page.render(story).encode())
        self.work.write("report.md", page.markdown(story).encode())
        report.line(f"report: {self.work.path('report.html')}")
