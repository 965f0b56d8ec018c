"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A property is checked, not timed: machines that run tests are busy.
settings.register_profile("edgecam", deadline=None)
settings.load_profile("edgecam")

ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("EDGECAM_TEST_REAL", ROOT.parent / "shared" / "real"))


@pytest.fixture
def real() -> Path:
    """The folder of public models and pictures; skips where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent: set EDGECAM_TEST_REAL to the folder of public models and pictures")
    return REAL
