"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgecam.cli.app import execute


@dataclass(frozen=True)
class Ran:
    """How a command went."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings or models of this machine's user, and the log as it was."""
    for name in list(os.environ):
        if name.startswith("EDGECAM_") and name != "EDGECAM_TEST_REAL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    logger = logging.getLogger("edgecam")
    before = logger.handlers[:], logger.level
    yield
    logger.handlers[:], level = before
    logger.setLevel(level)


@pytest.fixture
def edgecam(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*argv: object) -> Ran:
        code = execute([str(arg) for arg in argv])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Run:
    """Run a command in a process of its own."""

    def run(*argv: object, env: dict[str, str] | None = None) -> Ran:
        command = [sys.executable, "-c", "from edgecam.cli import main; main()", *map(str, argv)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=os.environ | (env or {})
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
