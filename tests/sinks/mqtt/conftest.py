"""Short pauses: tests wait for brokers, not for back-off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam.sinks.mqtt import link
from tests.helpers.broker import Broker, Subscriber, listening, running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(link, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(link, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(link, "SLOW_PAUSE", 0.4)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running(tmp_path) as broker:
        yield broker


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Subscriber]:
    with listening(broker.port) as watcher:
        yield watcher
