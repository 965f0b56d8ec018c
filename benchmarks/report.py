"""What every benchmark ends with: its figures as JSON, a table, a plot, and what it all was taken on.

A benchmark gives ``measure``, ``table`` and ``draw`` to :func:`run`; ``--out FOLDER`` keeps NAME.json and
NAME.svg there, ``--read FILE`` shows figures that were taken before in place of taking new ones.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from edgecam import bench, whole

PACKAGES = ("ai-edge-litert", "numpy", "opencv-python-headless", "simplejpeg", "starlette", "uvicorn")
Figures = dict[str, Any]


def parser(words: str | None) -> argparse.ArgumentParser:
    """A parser that has ``--out`` and ``--read``."""
    made = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, help="folder for the figures (JSON) and the plot (SVG)")
    made.add_argument("--json", type=Path, help="file for the figures alone")
    made.add_argument("--read", type=Path, help="show these figures, measure nothing")
    return made


def machine() -> Figures:
    """What the figures were taken on: processor, cores, system, versions, and how busy it was."""
    versions = {name: _version(name) for name in PACKAGES}
    return {**bench.machine(), "versions": versions, "load": round(os.getloadavg()[0], 1)}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def run(
    name: str,
    options: argparse.Namespace,
    measure: Callable[[], Figures],
    table: Callable[[Figures], str],
    draw: Callable[[Figures], str] | None = None,
) -> None:
    """Measure (or read), print the table, keep what is asked for."""
    if options.read:
        figures = json.loads(options.read.read_text())
    else:
        figures = {"machine": machine(), "at": time.strftime("%Y-%m-%d"), **measure()}
    print(table(figures))
    text = (json.dumps(figures, indent=1) + "\n").encode()
    if options.json:
        whole.write(options.json, text, 0o644)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        whole.write(options.out / f"{name}.json", text, 0o644)
        if draw is not None:
            whole.write(options.out / f"{name}.svg", draw(figures).encode(), 0o644)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is words and whose others are numbers."""
    lines = [f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def percentiles(values: Sequence[float]) -> Figures:
    """p50, p95, p99 and the largest; empty where there is nothing."""
    if not values:
        return {}
    found = {f"p{percent}": round(bench.percentile(values, percent), 2) for percent in (50, 95, 99)}
    return {**found, "max": round(max(values), 2), "count": len(values)}
