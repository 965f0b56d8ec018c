"""Which models are installed and which is in use: plain values, and the only ways in which they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgecam.errors import ModelError, UnknownNameError

#: Starts that a model on trial may fail before the one before it comes back.
STARTS = 3
#: What the settings name, as a slot.
SETTINGS = "settings"


@dataclass(frozen=True)
class Slot:
    """An installed model.

    Attributes:
        name: of the slot, unique.
        sha256: of its file, in hexadecimal.
        size: bytes.
        model, version, task: as its contract says.
        key: that has signed it, by minisign's name for it; "" for nobody.
        golden: samples that hold here.
        need: bytes of memory that it took when it was checked.
        ms: milliseconds of one inference then.
        installed: seconds since 1970.
    """

    name: str
    sha256: str
    size: int
    model: str
    version: str = ""
    task: str = ""
    key: str = ""
    golden: int = 0
    need: int = 0
    ms: float = 0.0
    installed: float = 0.0


@dataclass(frozen=True)
class Trial:
    """The model in use has not proved itself yet.

    Attributes:
        fallback: SHA-256 of the one to go back to, "" for what the settings name.
        starts: of the process since, that did not end in order.
    """

    fallback: str = ""
    starts: int = 0


@dataclass(frozen=True)
class State:
    """
    Attributes:
        base: what the settings named when a slot was first activated: while they name it, slots stand for it.
        active: SHA-256 of the model in use, "" for what the settings name.
        previous: the one that was in use before.
        trial: None once it has proved itself.
        slots: the oldest first.
        refused: why models were taken back, by SHA-256.
    """

    base: str = ""
    active: str = ""
    previous: str = ""
    trial: Trial | None = None
    slots: tuple[Slot, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def slot(self, sha256: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.sha256 == sha256), None)

    def name(self, sha256: str) -> str:
        """A slot's name, for people."""
        slot = self.slot(sha256)
        return slot.name if slot is not None else SETTINGS if not sha256 else sha256[:12]

    def find(self, name: str) -> str:
        """The SHA-256 of a slot by its name, its model's, or the first digits of it; "" for ``settings``.

        Raises:
            UnknownNameError: there is none, or more than one.
        """
        if name == SETTINGS:
            return ""
        found = [slot.sha256 for slot in self.slots if slot.name == name]
        found = found or [slot.sha256 for slot in self.slots if slot.model == name]
        found = found or [s.sha256 for s in self.slots if len(name) >= 6 and s.sha256.startswith(name)]
        if len(found) != 1:
            raise UnknownNameError("slot", name, [SETTINGS, *(slot.name for slot in self.slots)])
        return found[0]

    def install(self, slot: Slot) -> State:
        """With a model more; one of that name, or of that file, gives way to it."""
        others = [s for s in self.slots if s.sha256 != slot.sha256]
        taken = {s.name for s in others if s.sha256 in self._needed}
        name, number = slot.name, 2
        while name in taken:
            name, number = f"{slot.name}-{number}", number + 1
        kept = tuple(s for s in others if s.name != name)
        refused = {sha: why for sha, why in self.refused.items() if sha != slot.sha256}
        return replace(self, slots=(*kept, replace(slot, name=name)), refused=refused)

    def activate(self, sha256: str, base: str) -> State:
        """With another model in use, on trial. ``base`` is what the settings name."""
        fallback = self.active if base == self.base else ""
        if sha256 == fallback:
            return self
        trial = Trial(fallback) if sha256 else None
        return replace(self, base=base, active=sha256, previous=fallback, trial=trial)

    def back(self) -> State:
        """With the model from before in use."""
        return replace(self, active=self.previous, previous=self.active, trial=None)

    def start(self) -> State:
        """A process begins to use it; after too many that died the model on trial goes."""
        if self.trial is None:
            return self
        if self.trial.starts >= STARTS:
            return self.fail(f"{self.trial.starts} starts ended before the trial was over")
        return replace(self, trial=replace(self.trial, starts=self.trial.starts + 1))

    def end(self) -> State:
        """The process has ended in order: its start says nothing against the model."""
        return self if self.trial is None else replace(self, trial=replace(self.trial, starts=0))

    def prove(self) -> State:
        """The trial is over, the model stays."""
        return replace(self, trial=None)

    def fail(self, why: str) -> State:
        """The model in use goes, the one before comes back."""
        fallback = self.trial.fallback if self.trial is not None else self.previous
        refused = {**self.refused, self.active: why} if self.active else self.refused
        return replace(self, active=fallback, previous="", trial=None, refused=refused)

    def remove(self, sha256: str) -> State:
        """Without a model.

        Raises:
            ModelError: it is in use, or stands by.
        """
        if sha256 in {self.active, "" if self.trial is None else self.trial.fallback}:
            raise ModelError(f"slot {self.name(sha256)} is in use", "activate another one first")
        slots = tuple(slot for slot in self.slots if slot.sha256 != sha256)
        previous = "" if self.previous == sha256 else self.previous
        return replace(self, slots=slots, previous=previous)

    def forget(self, kept: int) -> State:
        """Without the oldest models that are not needed, but for ``kept`` of them."""
        idle = [slot for slot in self.slots if slot.sha256 not in self._needed]
        gone = {slot.sha256 for slot in idle[: max(0, len(idle) - kept)]}
        slots = tuple(slot for slot in self.slots if slot.sha256 not in gone)
        known = {slot.sha256 for slot in slots}
        refused = {sha: why for sha, why in self.refused.items() if sha in known}
        return replace(self, slots=slots, refused=refused)

    @property
    def _needed(self) -> set[str]:
        fallback = "" if self.trial is None else self.trial.fallback
        return {self.active, self.previous, fallback}

    def as_json(self) -> dict[str, Any]:
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """
        Raises:
            ValueError, TypeError, KeyError: not what :meth:`as_json` gives.
        """
        if data["format"] != 1:
            raise ValueError(f"format {data['format']} is of another edgecam")
        trial = data["trial"]
        return cls(
            base=str(data["base"]),
            active=str(data["active"]),
            previous=str(data["previous"]),
            trial=None if trial is None else Trial(str(trial["fallback"]), int(trial["starts"])),
            slots=tuple(Slot(**slot) for slot in data["slots"]),
            refused={str(sha): str(why) for sha, why in data["refused"].items()},
        )
