"""Asking MediaPipe, which lives in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.types import Classification, Detections, Result
from tests.conftest import ROOT

CHILD = ROOT / "tests" / "helpers" / "mediapipe_child.py"
PYTHON = Path(os.environ.get("EDGECAM_TEST_MEDIAPIPE", ROOT / ".venv-mediapipe" / "bin" / "python"))


def ask(model: Path, task: str, pictures: Sequence[Path], threshold: float) -> list[list[list[Any]]]:
    """What MediaPipe says of pictures: for each a list of label, score and, of a detector, corners."""
    if not PYTHON.exists():
        pytest.skip("MediaPipe is not installed (650 MB): make mediapipe-env")
    request = {
        "task": task,
        "model": str(model),
        "threshold": threshold,
        "pictures": [str(path) for path in pictures],
    }
    done = subprocess.run(
        [PYTHON, CHILD], input=json.dumps(request), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[list[list[Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def as_result(rows: list[list[Any]], labels: tuple[str, ...], task: str) -> Result:
    ids = np.array([labels.index(row[0]) for row in rows], np.int32)
    scores = np.array([row[1] for row in rows], np.float32)
    if task == "classify":
        return Classification(scores, ids)
    return Detections(np.array([row[2:] for row in rows], np.float32).reshape(-1, 4), scores, ids)
