"""What a device hears: commands for its switches, its own birth and that of a twin. On the link's thread."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from edgecam import identity
from edgecam.errors import UsageError
from edgecam.sinks.base import Control
from edgecam.sinks.mqtt.topics import Topics

log = logging.getLogger(__name__)


class Switches:
    """``ON`` and ``OFF`` for what can be switched.

    Args:
        topics: of the device.
        control: the run's; None where it cannot be switched.
        wanted: whether commands are heard.
        report: tells the user one line.

    Attributes:
        heard: names of those that are listened for.
    """

    def __init__(
        self, topics: Topics, control: Control | None, wanted: bool, report: Callable[[str], None]
    ) -> None:
        self._topics = topics
        self._control = control
        self._report = report
        self._acts: dict[str, Callable[[bool], None]] = {}
        if control is not None and wanted:
            self._acts["pause"] = lambda on: control.pause(on, "mqtt")
            if control.veiled is not None:
                self._acts["privacy"] = lambda on: control.veil(on, "mqtt")
        self.heard = tuple(self._acts)

    def now(self) -> dict[str, str]:
        """By topic how each switch stands, also those that nobody may turn."""
        control = self._control
        if control is None:
            return {}
        found = {"pause": control.paused}
        if control.veiled is not None:
            found["privacy"] = control.veiled
        return {self._topics.switch(name): "ON" if on else "OFF" for name, on in found.items()}

    def command(self, topic: str, body: bytes, retained: bool) -> None:
        """Do what a command says; a wrong one is said and changes nothing."""
        name = topic.rpartition("/")[2]
        word = body.decode("utf-8", "replace").strip().upper()
        act = self._acts.get(name)
        if act is None or word not in ("ON", "OFF"):
            log.warning("mqtt: %s wants ON or OFF, got %r", topic, body[:40])
        elif name == "privacy" and word == "OFF" and retained:
            # It would be off again after each start, and nobody would know why.
            log.warning("mqtt: a retained command does not switch privacy off")
        else:
            try:
                act(word == "ON")
            except UsageError as error:
                self._report(f"mqtt: {error}")


class Twin:
    """Notices another device of the same id.

    Each publishes its birth, retained, on the same topic. Who hears another one's after its own has come back
    has a twin: both are there at one time.

    Args:
        topics: of the device.
        report: tells the user one line.

    Attributes:
        words: who it is, "" while there is none.
    """

    def __init__(self, topics: Topics, report: Callable[[str], None]) -> None:
        self.words = ""
        self._topics = topics
        self._report = report
        self._announced = False

    def birth(self, body: bytes, retained: bool) -> bool:
        """Hear a birth; True if it is a twin's."""
        try:
            birth = json.loads(body)
            boot, host = str(birth["boot"]), " ".join(str(birth["host"]).split())[:60]
        except (ValueError, KeyError, TypeError):
            return False
        if boot == identity.BOOT:
            self._announced = True
            if retained:  # nobody has written there since we did
                self.words = ""
            return False
        if retained and not self._announced:
            return False  # the run before this one
        words = f"another device calls itself {self._topics.root} (on {host!r}): give each its own device_id"
        if words != self.words:
            self._report(f"mqtt: {words}")
        self.words = words
        return True
