"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("EDGECAM_TEST_REAL", ROOT.parent / "shared" / "real"))


@pytest.fixture
def real() -> Path:
    """The folder of public models and pictures; skips where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent: set EDGECAM_TEST_REAL to the folder of public models and pictures")
    return REAL
