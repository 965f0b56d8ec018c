"""What every check may know."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecam.board import Board
from edgecam.config import Settings
from edgecam.doctor import isolated
from edgecam.errors import EdgecamError

Call = Callable[..., isolated.Outcome]


@dataclass(frozen=True)
class Context:
    """The machine and the settings.

    Attributes:
        settings: in effect, or the defaults where they cannot be read.
        files: that they were read from.
        problem: why they cannot be read, None if they can.
        board: the machine.
        call: runs a function in a child process; see :func:`edgecam.doctor.isolated.call`.
        sys, proc, dev: where these file systems are.
    """

    settings: Settings = field(default_factory=Settings)
    files: tuple[Path, ...] = ()
    problem: EdgecamError | None = None
    board: Board = field(default_factory=Board)
    call: Call = isolated.call
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")

    @property
    def plain_settings(self) -> dict[str, Any]:
        """For a child; :func:`settings_of` reads them."""
        return dataclasses.asdict(self.settings)


def settings_of(plain: Mapping[str, Any]) -> Settings:
    """Settings that came through JSON: its lists are tuples again."""
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
    return Settings(**values)
