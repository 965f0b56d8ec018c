"""The command line. Nothing heavy is imported before the command that needs it."""

from __future__ import annotations

from edgecam.cli.app import main

__all__ = ["main"]
