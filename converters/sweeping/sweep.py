"""A sweep from the first variant to the report."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from converters import detector
from converters.job import Job
from converters.judging.figures import Figures
from converters.steps.base import Report
from converters.sweeping import cluster, parcel, pareto, tasks, variants
from converters.sweeping.outcome import Outcome, place
from converters.sweeping.pareto import Point
from converters.sweeping.tasks import Order
from converters.sweeping.variants import Plan, Trunk, Variant
from converters.work import INSIDE, Work, fingerprint
from edgecam import __version__
from edgecam.errors import EdgecamError, UsageError

RESULT = "result.json"
_FILES = ("model", "labels", "custom", "detector")


@dataclass
class Sweep:
    """One sweep.

    Attributes:
        title: of the report.
        work: its folder; each variant has its own in ``variants/`` there.
        job: what is converted.
        plan: the variants.
        report: hears what happens.
        address: of a cluster, "" for this machine alone.
        travel: see :class:`converters.sweeping.tasks.Order`.
        again: try also what is done already.
        results: variant -> what its task found.
    """

    title: str
    work: Work
    job: Job
    plan: Plan
    report: Report
    address: str = ""
    travel: bool = False
    again: bool = False
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> list[Point]:
        """Try all variants; the points that none beats.

        Raises:
            UsageError: the data is not there.
            EdgecamError: variants have failed, all others are done and reported; or Ray is not to be had.
        """
        cluster.check()
        with self.work.alone():
            todo = self._todo()
            with cluster.joined(self.address) as ray:
                self._run(ray, todo)
                outcome = Outcome(self.work, [variant.name for variant in self.plan.variants], self.results)
                points = outcome.points(outcome.measured(ray, self.job, self.plan.retries, self.report))
        outcome.tell(self.title, points, self.report)
        failed = self._failed()
        if failed:
            raise EdgecamError(
                f"{len(failed)} of {len(self.plan.variants)} variants failed: {', '.join(failed)}",
                f"{self.work.path('variants')}/NAME/{tasks.LOG} says why; the same command tries them again",
            )
        return pareto.front(points)

    def _todo(self) -> list[Variant]:
        """The variants that are not done; the results of the others are read."""
        self._data = self._digest()
        left = []
        for variant in self.plan.variants:
            found = self.work.read_json(place(variant.name, RESULT))
            if not self.again and found is not None and found["mark"] == self._mark(variant):
                self.results[variant.name] = found
            else:
                left.append(variant)
        if self.results:
            self.report.line(f"{len(self.results)} of {len(self.plan.variants)} variants are done already")
        return left

    def _digest(self) -> str:
        if not self.job.data or self.job.data.startswith(INSIDE):
            return ""
        path = Path(self.job.data)
        if not path.exists():
            raise UsageError(f"{path} does not exist", "name pictures by --data")
        return parcel.digest(self._root())

    def _root(self) -> Path:
        """The folder of the pictures."""
        path = Path(self.job.data).absolute()
        return path if path.is_dir() else path.parent

    def _mark(self, variant: Variant) -> str:
        steps = [[plan.step, dict(plan.options)] for plan in variant.steps]
        files = [Path(path) for key in _FILES if (path := getattr(self.job, key))]
        return fingerprint(
            "sweep", {"job": asdict(self.job), "steps": steps, "data": self._data}, files, __version__
        )

    def _run(self, ray: Any, todo: Sequence[Variant]) -> None:
        """All variants that are left, as tasks; results are noted as they come."""
        if not todo:
            return
        token = secrets.token_hex(8)
        self.work.write_json(tasks.TOKEN, {"token": token, "variants": [v.name for v in self.plan.variants]})
        data = self._parcel(ray)
        cpus = min(self.plan.cpus, max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes()) or 1)
        task, trunk = (
            ray.remote(num_cpus=cpus, max_retries=self.plan.retries)(function)
            for function in (tasks.run_variant, tasks.run_trunk)
        )

        def order(variant: Variant) -> Order:
            return self._order(variant, data, token, cpus)

        trunks: dict[str, Any] = {}

        def begun(one: Trunk | None) -> Any:
            """The task of a trunk, and of its own trunk before."""
            if one is not None and one.name not in trunks:
                trunks[one.name] = trunk.remote(order(one), begun(one.parent))
            return None if one is None else trunks[one.name]

        shared = variants.trunks(todo)
        waiting = {task.remote(order(one), begun(shared.get(one.name))): one for one in todo}
        self.report.line(f"{len(todo)} variants on {ray.cluster_resources().get('CPU', 0):g} processors")
        with self.report.progress("variants") as advance:
            while waiting:
                (reference,), _ = ray.wait(list(waiting), num_returns=1)
                self._note(waiting.pop(reference), self._answer(ray, reference))
                advance(len(todo) - len(waiting), len(todo))

    def _parcel(self, ray: Any) -> parcel.Parcel | None:
        """The pictures; they travel where a machine of the cluster may not see them."""
        if not self.job.data or self.job.data.startswith(INSIDE):
            return None
        root, chunks = self._root(), ()
        if self.travel or not cluster.seen_by_all(ray, root, self._data):
            chunks = parcel.pack(root, parcel.files(root), ray.put)
        return parcel.Parcel(str(root), self._data, chunks)

    def _order(self, variant: Variant, data: parcel.Parcel | None, token: str, cpus: int) -> Order:
        path, job = Path(self.job.data), self._placed()
        files = {key: Path(getattr(job, key)) for key in _FILES if getattr(job, key)}
        return Order(
            variant=variant,
            job=job,
            data=data,
            place="" if data is None or path.is_dir() else path.name,
            files={key: file.read_bytes() for key, file in files.items() if file.is_file()},
            root=str(self.work.root.absolute()),
            token=token,
            travel=self.travel,
            cpus=cpus,
            shard=self.plan.shard,
        )

    def _placed(self) -> Job:
        """The job with absolute paths; the description of a detector beside its model is named."""
        job = self.job
        said = {key: getattr(job, key) for key in _FILES}
        if job.model and not job.detector and detector.beside(Path(job.model)).exists():
            said["detector"] = str(detector.beside(Path(job.model)))
        kept = {key: path for key, path in said.items() if path and not path.startswith(INSIDE)}
        placed: dict[str, Any] = {key: str(Path(path).absolute()) for key, path in kept.items()}
        return replace(job, **placed)

    def _answer(self, ray: Any, reference: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = ray.get(reference)
            return found
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0][:200]
            return {"error": f"its machine was lost, {self.plan.retries} times over ({first})", "remedy": ""}

    def _note(self, variant: Variant, found: dict[str, Any]) -> None:
        name = variant.name
        if "files" in found:
            parcel.unpack(found.pop("files"), self.work.path(place(name, "")))
        self.results[name] = {**found, "variant": name, "mark": self._mark(variant)}
        if "error" in found:
            self.report.warn(f"{name}: {found['error']}")
            return
        self.work.write_json(place(name, RESULT), self.results[name])
        told = found["figures"]["models"][found["figures"]["chosen"]]
        figures = Figures.from_dict(told)
        tried = f", after {found['tries']} tries" if found["tries"] > 1 else ""
        gate = f"; gate: {found['gate']}" if found["gate"] else ""
        self.report.line(
            f"{name}: {figures.accuracy.headline_name} {100 * figures.accuracy.headline:.1f}%,"
            f" {figures.bytes / 1000:.0f} kB, {found['seconds']:.0f} s on {found['host']}{tried}{gate}"
        )

    def _failed(self) -> list[str]:
        return [name for name, found in self.results.items() if "error" in found]
