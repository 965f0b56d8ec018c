"""What the tests with TensorFlow share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.converters import models_for_tests


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small Keras models of every kind, see :mod:`tests.converters.models_for_tests`."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, models_for_tests.__file__, str(folder)], check=True)
    return folder
