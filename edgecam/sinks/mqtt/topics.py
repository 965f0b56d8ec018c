"""The tree of topics that a device speaks on; ``docs/mqtt.md`` explains each."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from edgecam.errors import UsageError

#: What :attr:`Topics.online` says.
ONLINE, OFFLINE = "online", "offline"
_LONGEST = 60


def level(text: str) -> str:
    """A text as one level of a topic: letters and digits of any script, ``-``, ``_`` and ``.``.

    A space becomes ``_``. A text of other characters (``+``, ``#``, ``/``, control characters, ...) or a long
    one gets a mark, so that different texts stay different and none can leave its level.
    """
    plain = "".join(c if c.isalnum() or c in "-_. " else "_" for c in text)
    out = plain.replace(" ", "_")[:_LONGEST]
    honest = plain == text and len(text) <= _LONGEST and not ("_" in text and " " in text)
    if honest and out and not text.startswith(" ") and text.strip("."):
        return out
    return f"{out}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def check_base(text: str) -> str:
    """The part of the tree above the devices, without slashes at its ends.

    Raises:
        UsageError: it holds a wildcard, a control character, or an empty level.
    """
    base = text.strip("/")
    if re.search(r"[+#\x00-\x1f\x7f-\x9f]", base) or "//" in base or base.startswith("$"):
        raise UsageError(
            f"mqtt: {text!r} is no topic to begin with", "write mqtt://host/edgecam, without + # and $"
        )
    return base


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device.

    Attributes:
        base: above all devices (``edgecam``).
        device: its id.
    """

    base: str
    device: str

    @property
    def root(self) -> str:
        return f"{self.base}/{self.device}"

    def __call__(self, *levels: str) -> str:
        """``edgecam/DEVICE/...``; levels that come from labels or names go through :func:`level` first."""
        return "/".join((self.root, *levels))

    @property
    def online(self) -> str:
        """Retained ``online`` or ``offline``, the last will."""
        return self("online")

    @property
    def birth(self) -> str:
        """Retained: what runs there, since when."""
        return self("birth")

    @property
    def snapshot(self) -> str:
        """Retained: the newest picture."""
        return self("snapshot")

    def rule(self, name: str) -> str:
        """Retained: how a rule stands."""
        return self("rule", level(name))

    def label(self, name: str) -> str:
        """Retained: how many of a label are in the picture."""
        return self("label", level(name))

    def event(self, rule: str) -> str:
        """Steps of a rule's events."""
        return self("event", level(rule))

    def event_snapshot(self, rule: str) -> str:
        """Retained: the best picture of a rule's last event."""
        return self("event", level(rule), "snapshot")

    def switch(self, name: str) -> str:
        """Retained ``ON`` or ``OFF``: how a switch stands."""
        return self(name)

    def set(self, name: str) -> str:
        """Where ``ON`` and ``OFF`` for a switch are awaited."""
        return self("set", name)
