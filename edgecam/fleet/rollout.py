"""A new model for a fleet, wave by wave: first a few, then the rest if those do well; else those go back."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edgecam import state as files
from edgecam.errors import EdgecamError, ModelError
from edgecam.fleet.radio import Radio
from edgecam.fleet.roster import Device, Roster
from edgecam.fleet.wire import PIECE, Command, Job, Manifest, Tree
from edgecam.slots.orders import Plan

ANSWER = 30.0  # seconds in which a device must answer to a command


@dataclass(frozen=True)
class Staging:
    """How a rollout goes.

    Attributes:
        canary: part of the devices that are first, 0 to 1; at least one.
        wave: part of the devices in each wave after that.
        failures: part of a wave that may fail.
        soak: seconds for which a wave is watched when all its devices have the model.
        plan: what each device does.
    """

    canary: float = 0.1
    wave: float = 0.5
    failures: float = 0.0
    soak: float = 30.0
    plan: Plan = field(default_factory=Plan)


@dataclass
class Ledger:
    """What has become of each device; survives this program, so that a rollout can go on.

    Attributes:
        path: of its file.
        sha256: of the model.
        ends: stage and message by device.
    """

    path: Path
    sha256: str
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, sha256: str) -> Ledger:
        """The ledger of a model; an empty one if there is none, or none that can be read."""
        ledger = cls(folder / f"rollout-{sha256[:16]}.json", sha256)
        try:
            data = json.loads(ledger.path.read_bytes())
            ledger.ends = {str(k): (str(v[0]), str(v[1])) for k, v in data["devices"].items()}
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            ledger.ends = {}
        return ledger

    def note(self, device: str, stage: str, message: str) -> None:
        """
        Raises:
            EdgecamError: its file cannot be written.
        """
        self.ends[device] = (stage, message)
        data = {"sha256": self.sha256, "devices": self.ends}
        try:
            files.write(self.path, json.dumps(data, indent=2, ensure_ascii=False).encode())
        except OSError as error:
            raise EdgecamError(f"{self.path} cannot be written ({error.strerror})") from error

    def done(self, device: str) -> bool:
        return self.ends.get(device, ("", ""))[0] == "done"


def waves(devices: Sequence[str], staging: Staging) -> list[list[str]]:
    """The devices in waves: the canaries, then the rest. None is empty, each device is in one."""
    left, out = list(devices), []
    share = staging.canary
    while left:
        count = min(len(left), max(1, math.ceil(len(devices) * share - 1e-9)))
        out.append(left[:count])
        left, share = left[count:], staging.wave
    return out


@contextmanager
def published(radio: Radio, tree: Tree, manifest: Manifest, data: bytes) -> Iterator[None]:
    """While inside, the model is on the broker."""
    topics = [tree.piece(manifest.sha256, number) for number in range(manifest.pieces)]
    try:
        for number, topic in enumerate(topics):
            radio.publish(topic, data[number * PIECE : (number + 1) * PIECE], retain=True)
        radio.publish(tree.manifest(manifest.sha256), manifest.encode(), retain=True)
        radio.flush()
        yield
    finally:
        if not radio.lost:
            for topic in (tree.manifest(manifest.sha256), *topics):
                radio.publish(topic, b"", retain=True)
            radio.flush()


class Rollout:
    """
    Args:
        radio: connected, hears for the roster.
        roster: of the fleet.
        tree: the topics.
        sha256: of the model, which is published.
        staging: how it goes.
        ledger: what has been done before.
        said: told each step, one line.
    """

    def __init__(
        self,
        radio: Radio,
        roster: Roster,
        tree: Tree,
        sha256: str,
        staging: Staging,
        ledger: Ledger,
        said: Callable[[str], None],
    ) -> None:
        self._radio, self._roster, self._tree = radio, roster, tree
        self._sha256, self._staging, self._ledger, self._said = sha256, staging, ledger, said
        self._before: dict[str, str] = {}

    def run(self, devices: Sequence[str]) -> bool:
        """All waves; False if one failed and was taken back.

        Raises:
            EdgecamError: the broker is gone; started again, it goes on from there.
        """
        done = [device for device in devices if self._ledger.done(device)]
        if done:
            self._said(f"{len(done)} devices have it from before")
        parts = waves(devices, self._staging)
        for number, wave in enumerate(parts, 1):
            left = [device for device in wave if not self._ledger.done(device)]
            if left and not self._wave(left, f"wave {number} of {len(parts)}"):
                return False
        return True

    def _wave(self, devices: list[str], name: str) -> bool:
        self._said(
            f"{name}: {', '.join(devices[:8])}{f' and {len(devices) - 8} more' if devices[8:] else ''}"
        )
        self._before = {device: self._roster.get(device).state for device in devices}
        ends = self.ask(devices, Command.new("install", self._sha256, self._staging.plan))
        good = [device for device in devices if ends[device].stage == "done"]
        bad = {device: ends[device].message for device in devices if device not in good}
        if good and self._staging.soak:
            self._said(f"{name}: {len(good)} have it, watched for {self._staging.soak:g} s")
            bad |= self._watch(good)
        if len(bad) <= self._staging.failures * len(devices):
            for device in devices:
                self._ledger.note(device, "failed" if device in bad else "done", bad.get(device, ""))
            return True
        for device, why in sorted(bad.items()):
            self._ledger.note(device, "failed", why)
            self._said(f"{device}: {why}")
        self._said(f"{name}: {len(bad)} of {len(devices)} failed: the wave goes back")
        self._back(good)
        return False

    def ask(self, devices: Sequence[str], command: Command) -> dict[str, Job]:
        """Send a command and wait for its end on each device."""
        for device in devices:
            self._radio.publish(self._tree.do(device), command.encode())
        self._radio.flush()
        plan, began = command.plan, time.monotonic()
        limit = began + plan.shadow * 4 + plan.trial * 2 + 600
        told: dict[str, Job] = {}
        waiting = set(devices)
        while waiting:
            self._roster.wait(lambda: bool(self._news(waiting, command, told)), 1.0)
            for device, job in self._news(waiting, command, told).items():
                told[device] = job
                self._said(f"{device}: {job.stage}{f': {job.message}' if job.message else ''}")
                if job.over:
                    waiting.discard(device)
            now = time.monotonic()
            for device in sorted(waiting):
                why = ""
                if device not in told and now - began > ANSWER:
                    why = 'does not answer; is fleet = "yes" set there?'
                elif now > limit:
                    why = "has not ended in time"
                if self._radio.lost:
                    raise ModelError(f"the broker {self._radio.lost}", "run it again: it goes on from there")
                if why:
                    told[device] = Job(command.id, "refused", command.sha256, why)
                    waiting.discard(device)
        return told

    def _news(self, devices: set[str], command: Command, told: dict[str, Job]) -> dict[str, Job]:
        jobs = {device: self._roster.get(device).job for device in devices}
        return {
            device: job
            for device, job in jobs.items()
            if job is not None and job.id == command.id and job != told.get(device)
        }

    def _watch(self, devices: Sequence[str]) -> dict[str, str]:
        """Why devices that have the model are not well, after some time with it."""
        time.sleep(self._staging.soak)
        found = {device: self.judge(self._roster.get(device)) for device in devices}
        return {device: why for device, why in found.items() if why}

    def judge(self, device: Device) -> str:
        """Why a device is not well, "" if it is: as well as before will do."""
        before, now = self._before.get(device.id, ""), device.state
        if device.active not in (None, self._sha256):
            return f"has gone back to {device.slot} by itself"
        if now in ("offline", "degraded", "waiting") and before not in (now, "offline"):
            reason = device.fact("state", "reason") or ""
            return f"is {now} now, and was {before or 'well'} before{f' ({reason})' if reason else ''}"
        return ""

    def _back(self, devices: Sequence[str]) -> None:
        """Take the model of a wave back."""
        if not devices:
            return
        ends = self.ask(devices, Command.new("rollback", "", Plan(shadow=0.0, trial=0.0)))
        for device, job in ends.items():
            self._ledger.note(device, "rolled back" if job.stage == "done" else "failed", job.message)
