"""Everything `make test` does: format, lint, types, the tests, and the engine tests under tflite-runtime.

Ends with what was skipped and what to install for it, then `N passed, N failed, N skipped`.
With --strict a skipped test counts as a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TFLITE_VENV = ROOT / ".venv-tflite"
CONVERT_VENV = ROOT / ".venv-convert"
MEDIAPIPE_VENV = ROOT / ".venv-mediapipe"
MEDIAPIPE = "mediapipe==1.2.3"
CONVERT_TESTS = ["tests/converters", "tests/tracking"]
#: Not those of other environments, nor of virtual machines and whole systems.
ORDINARY = "not (vm or convert or system or virtual)"
TFLITE_TESTS = ["tests/engines", "tests/heads"]
#: Of the tests with TensorFlow: each file's models are made once and used by all of its tests; most of them
#: take one core.
SHARED = ["-n", "2", "--dist", "loadfile"]


@dataclass
class Outcome:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def step(title: str, command: list[str | Path], outcome: Outcome, env: dict[str, str] | None = None) -> bool:
    """Run one command; a failure is noted under its title."""
    print(f"== {title}", flush=True)
    began = time.monotonic()
    ok = subprocess.run([str(c) for c in command], cwd=ROOT, env=env, check=False).returncode == 0
    print(f"   {'ok' if ok else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
    if not ok:
        outcome.failed.append(title)
    return ok


def static_checks(outcome: Outcome) -> None:
    step("format", [BIN / "ruff", "format", "--check", "--quiet", "."], outcome)
    step("lint", [BIN / "ruff", "check", "--quiet", "."], outcome)
    step("types", [BIN / "mypy", "--no-error-summary"], outcome)


def tests(title: str, python: Path, arguments: list[str], outcome: Outcome) -> None:
    """Run pytest and add up what its JUnit report says."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command: list[str | Path] = [python, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        ran = step(title, command, outcome)
        if not report.exists():
            return
        cases = list(ET.parse(report).getroot().iter("testcase"))
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    for case in cases:
        skipped = case.find("skipped")
        if skipped is not None:
            outcome.skipped[(skipped.get("message") or "no reason given").strip()] += 1
    outcome.passed += sum(c.find("skipped") is None for c in cases) - len(failed)
    if failed:
        outcome.failed.remove(title)
        outcome.failed += [f"{c.get('classname')}::{c.get('name')}" for c in failed]
    elif ran and not cases:
        outcome.failed.append(f"{title}: no test was found")


def environment(venv: Path, what: str, python: str | Path, outcome: Outcome) -> Path | None:
    """The Python of a second environment, made or brought up to date first; None if that failed."""
    ready = venv / ".ready"
    if not ready.exists() or ready.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
        command: list[str | Path] = ["sh", ROOT / "scripts" / "make-env.sh", python, venv, what]
        if not step(f"environment {venv.name}", command, outcome, env):
            return None
        ready.touch()
    return venv / "bin" / "python"


def under_tflite_runtime(jobs: str, outcome: Outcome) -> None:
    """The engine and head tests once more, with the other interpreter, NumPy 1 and OpenCV 4."""
    found = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if found is None:
        outcome.skipped[
            "tests under tflite-runtime: its last wheels are for Python 3.11; install python3.11"
        ] += 1
        return
    python = environment(TFLITE_VENV, ".[tflite-runtime,test]", found, outcome)
    if python is not None:
        tests("tests under tflite-runtime", python, ["-n", jobs, *TFLITE_TESTS], outcome)


def mediapipe(strict: bool, outcome: Outcome) -> None:
    """The environment of MediaPipe, which some tests call; it is 650 MB, so it is not made unasked."""
    if strict or MEDIAPIPE_VENV.exists():
        environment(MEDIAPIPE_VENV, MEDIAPIPE, sys.executable, outcome)


def with_tensorflow(strict: bool, outcome: Outcome) -> None:
    """The converters' tests that need TensorFlow; its environment is 2 GB, so it is not made unasked."""
    if not strict and not CONVERT_VENV.exists():
        outcome.skipped["tests with TensorFlow (2 GB to install): make convert-env, then make test"] += 1
        return
    python = environment(CONVERT_VENV, ".[convert,jax,sweep,test]", sys.executable, outcome)
    if python is not None:
        tests("tests with TensorFlow", python, [*SHARED, "-m", "convert", *CONVERT_TESTS], outcome)


def summary(outcome: Outcome, strict: bool) -> int:
    if outcome.skipped:
        print("\nskipped here:")
        for reason, count in sorted(outcome.skipped.items()):
            print(f"  {count:3d}  {reason}")
    if outcome.failed:
        print("\nfailed:")
        for name in outcome.failed:
            print(f"  {name}")
    skipped = sum(outcome.skipped.values())
    print(f"\n{outcome.passed} passed, {len(outcome.failed)} failed, {skipped} skipped", flush=True)
    if strict and skipped:
        print("--strict: nothing may be skipped")
    return 1 if outcome.failed or (strict and skipped) else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strict", action="store_true", help="a skipped test is a failure")
    parser.add_argument("--lint-only", action="store_true", help="format, lint and types alone")
    parser.add_argument("--jobs", default="auto", help="tests at once, a number or auto (one a core)")
    options = parser.parse_args()
    outcome = Outcome()
    static_checks(outcome)
    if not options.lint_only:
        here = Path(sys.executable)
        mediapipe(options.strict, outcome)
        tests("tests", here, ["-n", options.jobs, "-m", ORDINARY], outcome)
        under_tflite_runtime(options.jobs, outcome)
        with_tensorflow(options.strict, outcome)
        # Virtual machines and whole systems want both cores for themselves, so they come last and alone.
        tests("tests on whole systems", here, ["-m", "vm or system"], outcome)
    return summary(outcome, options.strict)


if __name__ == "__main__":
    sys.exit(main())
