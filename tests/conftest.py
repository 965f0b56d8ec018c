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


@pytest.fixture(autouse=True, scope="session")
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sign-ins, tokens and certificates of the pages that tests serve are not those of this user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STATE_DIRECTORY", raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Commands set up the log of the whole process; the next test finds it as it was."""
    logger = logging.getLogger("edgecam")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
