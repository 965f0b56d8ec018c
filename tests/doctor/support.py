"""Findings, short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgecam.doctor.findings import Finding, Level
from edgecam.doctor.isolated import Outcome


def levels(findings: Iterable[Finding]) -> str:
    """``"ok failure"``."""
    return " ".join(finding.level.word for finding in findings)


def one(findings: Iterable[Finding]) -> Finding:
    """The only finding; one that is not fine names a remedy."""
    (finding,) = findings
    assert "\n" not in finding.seen + finding.remedy
    assert finding.level is Level.OK or finding.remedy
    return finding


class Calls:
    """Stands for the child processes: function name to outcome."""

    def __init__(self, outcomes: Mapping[str, Outcome] | None = None) -> None:
        self.outcomes = dict(outcomes or {})
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, function: str, arguments: Mapping[str, Any], **_: object) -> Outcome:
        name = function.rpartition(":")[2]
        self.asked.append((name, dict(arguments)))
        return self.outcomes[name]
