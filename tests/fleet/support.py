"""Devices of a fleet: the real agent with its own folder of models, and a run that does as it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgecam.fleet.agent import Agent
from edgecam.fleet.radio import Radio
from edgecam.fleet.rollout import Ledger, Rollout, Staging, published
from edgecam.fleet.roster import Roster
from edgecam.fleet.wire import Command, Job, Manifest, Tree
from edgecam.minisign import SecretKey
from edgecam.sinks.mqtt.server import Server
from edgecam.slots.check import Rules
from edgecam.slots.orders import Desk, Plan, Progress
from edgecam.slots.state import State
from edgecam.slots.store import Store
from tests.helpers.broker import Broker

TREE = Tree("edgecam")
KEY, STRANGER = SecretKey.new(), SecretKey.new()
AT_ONCE = Plan(shadow=0.0, trial=0.0)
SIGNED = Rules(keys=[KEY.public], signed=True)


class Device:
    """A device without a camera: its run takes every model at once, or refuses as ``verdict`` says."""

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        name: str = "hall-1",
        rules: Rules = SIGNED,
        verdict: Callable[[State], str] = lambda state: "",
        patience: float = 20.0,
        password: str = "",
    ) -> None:
        self.name, self.said = name, [""]
        self.store = Store(folder / name)
        self.store.make()
        self._desk, self._verdict = Desk(self.store), verdict
        self._over = threading.Event()
        self._claim = self.store.claim()
        server = Server("127.0.0.1", broker.port)
        if password:
            server = replace(server, user=name, password=password)
        self._radio = Radio(server, lambda topic, body: None).open()
        self.state("running")
        self._radio.publish(TREE.device(name, "online"), b"online", retain=True)
        self._radio.flush()
        self.agent = Agent(server, TREE, name, self.store, rules, "face", self.said.append, patience)
        self.agent.start()
        assert self.agent._link.wait_up(20)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def state(self, word: str, reason: str = "") -> None:
        body = json.dumps({"state": word, "reason": reason}).encode()
        self._radio.publish(TREE.device(self.name, "state"), body, retain=True)

    @property
    def active(self) -> str:
        return self.store.read().active

    def _run(self) -> None:
        while not self._over.is_set():
            order = self._desk.take()
            if order is None:
                time.sleep(0.01)
                continue
            why = self._verdict(self.store.read()) if order.do == "activate" else ""
            if why:
                self._desk.tell(Progress(order.id, "rolled back", why))
                continue
            change = State.back if order.do == "rollback" else (
                lambda state, sha=order.sha256: state.activate(sha, "face").prove()
            )  # fmt: skip
            state = self.store.change(change)  # type: ignore[arg-type]
            self._desk.tell(Progress(order.id, "done", f"{state.name(state.active)} is in use"))

    def close(self) -> None:
        self._over.set()
        self.agent.close()
        self._thread.join(5)
        self._radio.close()
        if self._claim is not None:
            self._claim.close()


class Controller:
    """The other side, as the command line uses it."""

    def __init__(self, broker: Broker, folder: Path, user: str = "", password: str = "") -> None:
        self.said: list[str] = []
        self.roster = Roster(TREE)
        server = Server("127.0.0.1", broker.port, user=user, password=password)
        self.radio = Radio(server, self.roster.hear).open()
        self.radio.subscribe(self.roster.topics)
        self._folder = folder
        self.roster.settle()

    def rollout(self, sha256: str, **staging: float) -> Rollout:
        self.ledger = Ledger.open(self._folder, sha256)
        plan = Staging(soak=staging.pop("soak", 0.2), plan=AT_ONCE, **staging)  # type: ignore[arg-type]
        return Rollout(self.radio, self.roster, TREE, sha256, plan, self.ledger, self.said.append)

    def push(self, data: bytes, devices: Sequence[str], signature: str, **staging: float) -> bool:
        manifest = Manifest.of(data, "new.tflite", signature)
        with published(self.radio, TREE, manifest, data):
            return self.rollout(manifest.sha256, **staging).run(devices)

    def ask(self, device: str, command: Command) -> Job:
        return self.rollout(command.sha256).ask([device], command)[device]

    def close(self) -> None:
        self.radio.close()
