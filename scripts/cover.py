"""How much of edgecam/ and converters/ the tests run, by coverage.py: lines, and branches of them.

    python -m scripts.cover             runs the tests, those with TensorFlow too where .venv-convert is there
    python -m scripts.cover --report    says again what was measured last
    python -m scripts.cover tests/heads tests/test_quant.py    measures these tests alone

Programs that tests start are measured with them, but for those that a test kills or gives no environment;
what runs on whole systems and in virtual machines is not measured. Exit code 1 if a test fails, 3 if fewer
than 90 % of a package's lines were run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import check

ROOT = check.ROOT
PACKAGES = ("edgecam", "converters")
LEAST = 90.0  # percent of lines, of each package
LOW = 80.0  # files under this are named


@dataclass
class Counts:
    """Of one file or package: how many lines and branches there are, and how many were run."""

    lines: int = 0
    run: int = 0
    branches: int = 0
    taken: int = 0

    def add(self, summary: dict[str, Any]) -> None:
        """What coverage.py's JSON says of one file."""
        self.lines += summary["num_statements"]
        self.run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.taken += summary["covered_branches"]

    @property
    def percent(self) -> float:
        """Of lines; 0 where there are none."""
        return 100 * self.run / self.lines if self.lines else 0.0

    def __str__(self) -> str:
        branches = f"{100 * self.taken / self.branches:.1f} %" if self.branches else "-"
        return f"{self.percent:5.1f} % of {self.lines} lines, {branches} of {self.branches} branches"


def coverage(python: Path | str, *arguments: str, quiet: bool = False) -> int:
    """Run coverage.py of an environment; its exit code."""
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        [str(python), "-m", "coverage", *arguments], cwd=ROOT, stdout=out, check=False
    ).returncode


def measure(paths: Sequence[str], jobs: str) -> int:
    """Run the tests; 1 if one failed."""
    coverage(sys.executable, "erase", quiet=True)
    ran = coverage(sys.executable, "run", "-m", "pytest", "-q", "-n", jobs, "-m", check.ORDINARY, *paths)
    failed = ran not in (0, _NO_TESTS)
    python = check.CONVERT_VENV / "bin" / "python"
    wanted = paths or check.CONVERT_TESTS
    if not python.exists():
        print("coverage: without the tests that need TensorFlow: make convert-env")
    elif any(path.startswith(tuple(check.CONVERT_TESTS)) for path in wanted):
        ran = coverage(python, "run", "-m", "pytest", "-q", *check.SHARED, "-m", "convert", *wanted)
        failed |= ran not in (0, _NO_TESTS)
    coverage(sys.executable, "combine", "--quiet")
    return int(bool(failed))


_NO_TESTS = 5  # pytest's exit code where no test was chosen


def summaries() -> dict[str, dict[str, Any]]:
    """Path from the project's folder to what coverage.py says of that file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        if coverage(sys.executable, "json", "--quiet", "-o", str(path)):
            raise SystemExit("coverage: nothing was measured yet: make coverage")
        files = json.loads(path.read_text())["files"]
    return {name: found["summary"] for name, found in files.items()}


def report(files: dict[str, dict[str, Any]]) -> int:
    """Print what was run; 3 if it was too little."""
    code = 0
    for package in PACKAGES:
        counts = Counts()
        for name, summary in files.items():
            if Path(name).parts[0] == package:
                counts.add(summary)
        print(f"{package:10} {counts if counts.lines else 'no test imported it'}")
        code = 3 if counts.percent < LEAST else code
    low = []
    for name, summary in files.items():
        one = Counts()
        one.add(summary)
        if one.lines and one.percent < LOW:
            low.append((one.percent, f"  {name}: {one}"))
    if low:
        print(f"files of which fewer than {LOW:.0f} % were run:")
        print("\n".join(line for _, line in sorted(low)))
    return code


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--jobs", default="auto", help="tests at once, a number or auto (one a core)")
    parser.add_argument("paths", nargs="*", help="tests; all if none are named")
    options = parser.parse_args()
    failed = 0 if options.report else measure(options.paths, options.jobs)
    return report(summaries()) or failed


if __name__ == "__main__":
    sys.exit(main())
