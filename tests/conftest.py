"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Commands set up the log of the whole process; the next test finds it as it was."""
    logger = logging.getLogger("edgecam")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
