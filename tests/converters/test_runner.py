"""The runner: what is done is not done again, and how a run ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from converters import runner, steps
from converters.job import Job
from converters.recipes import Planned
from converters.steps.base import Advance, Option
from converters.work import Work
from edgecam.errors import ConfigError, ModelError, QualityError


class Silent:
    """A report that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    warn = line

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        yield lambda done, total: None


class Counting:
    """A step that writes how often it has been run."""

    name = "first"
    options: tuple[Option, ...] = (
        Option("model", str, "", "From the job."),
        Option("count", int, 1, "A number."),
        Option("parts", float, (0.5,), "Numbers.", many=True),
        Option("kind", str, "a", "One of two.", choices=("a", "b")),
    )
    always = False
    runs: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    outcome: ClassVar[dict[str, Any]] = {}

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        return [work.path("input")]

    def run(self, work: Work, options: Mapping[str, Any], report: object) -> dict[str, Any]:
        Counting.runs.append((self.name, dict(options)))
        found = Counting.outcome.get(self.name, {})
        if isinstance(found, BaseException):
            raise found
        work.path(f"{self.name}.out").write_text("made")
        return {"n": options["count"], "files": [f"{self.name}.out"], **found}


class Second(Counting):
    name = "second"


class Last(Counting):
    name = "last"
    always = True


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"first": "Counting", "second": "Second", "last": "Last"}
    monkeypatch.setattr(steps, "STEPS", {name: f"{__name__}:{cls}" for name, cls in names.items()})
    monkeypatch.setattr(Counting, "runs", [])
    monkeypatch.setattr(Counting, "outcome", {})


def run(folder: Path, *planned: Planned, job: Job | None = None, again: bool = False) -> list[str]:
    """Run and say which steps were."""
    del Counting.runs[:]
    runner.run(Work(folder), job or Job(model="m"), planned, Silent(), again=again)
    return [name for name, _ in Counting.runs]


ALL = (Planned("first"), Planned("second"), Planned("last"))


def test_done_steps_are_passed_over(tmp_path: Path) -> None:
    assert run(tmp_path, *ALL) == ["first", "second", "last"]
    assert run(tmp_path, *ALL) == []
    assert run(tmp_path, *ALL, again=True) == ["first", "second", "last"]
    assert run(tmp_path, Planned("first", {"count": 2}), *ALL[1:]) == ["first"]
    assert json.loads((tmp_path / "job.json").read_text())["model"] == "m"


def test_changed_inputs_and_lost_files_bring_a_step_back(tmp_path: Path) -> None:
    run(tmp_path, *ALL)
    (tmp_path / "input").write_text("new")
    assert run(tmp_path, *ALL) == ["first", "second", "last"]
    (tmp_path / "second.out").unlink()
    assert run(tmp_path, *ALL) == ["second"]


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    Counting.outcome["second"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, *ALL)
    assert [name for name, _ in Counting.runs] == ["first", "second"]
    Counting.outcome.clear()
    assert run(tmp_path, *ALL) == ["second", "last"]


def test_a_failed_gate_ends_the_run_after_the_report(tmp_path: Path) -> None:
    Counting.outcome["first"] = {"gate_failed": "2 points of top-1 lost"}
    for ran in (["first", "last"], []):  # the second time all is known already, and fails again
        with pytest.raises(QualityError, match="2 points of top-1 lost"):
            run(tmp_path, *ALL)
        assert [name for name, _ in Counting.runs] == ran
    assert Work(tmp_path).figures("first") == {"n": 1, "gate_failed": "2 points of top-1 lost"}


def test_an_error_ends_the_run_at_once(tmp_path: Path) -> None:
    Counting.outcome["first"] = ModelError("broken")
    with pytest.raises(ModelError, match="broken"):
        run(tmp_path, *ALL)
    assert [name for name, _ in Counting.runs] == ["first"]


def test_what_is_said_goes_over_the_job_over_the_default(tmp_path: Path) -> None:
    run(tmp_path, Planned("first"), job=Job(model="from-the-job"))
    assert Counting.runs[0][1] == {"model": "from-the-job", "count": 1, "parts": (0.5,), "kind": "a"}
    run(tmp_path, Planned("first", {"model": "said", "parts": [1, 0.25], "kind": "b"}))
    assert Counting.runs[0][1] == {"model": "said", "count": 1, "parts": [1.0, 0.25], "kind": "b"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": "3"}, "type int"),
        ({"count": True}, "type int"),
        ({"parts": ["a"]}, "type float"),
        ({"kind": "c"}, "one of a, b"),
    ],
)
def test_wrong_values_are_named_before_anything_runs(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        run(tmp_path / "work", Planned("second"), Planned("first", options))
    assert not Counting.runs
    assert not (tmp_path / "work").exists()
