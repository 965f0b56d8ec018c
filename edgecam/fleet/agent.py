"""The device's side: hears commands, fetches models, installs them and says how it went."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgecam.errors import EdgecamError
from edgecam.fleet.fetch import PATIENCE, Fetch
from edgecam.fleet.wire import Command, Job, Manifest, Stage, Tree
from edgecam.sinks.mqtt.link import Link, Message
from edgecam.sinks.mqtt.server import Server
from edgecam.slots import check
from edgecam.slots.check import Rules
from edgecam.slots.orders import Desk, Order, Progress
from edgecam.slots.store import Store

log = logging.getLogger(__name__)

WAITING = 4  # commands that may wait


class Agent:
    """Works off commands, one at a time, on a thread of its own.

    Args:
        server: the broker.
        tree, device: where this device is in it.
        store: the installed models; the run that goes on uses it.
        rules: what is asked of a model.
        base: what the settings name.
        report: tells the user one line.
        patience: seconds to wait for a piece of a model.
    """

    def __init__(
        self,
        server: Server,
        tree: Tree,
        device: str,
        store: Store,
        rules: Rules,
        base: str,
        report: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._server = replace(server, client_id=f"{server.client_id or f'edgecam-{device}'}-fleet")
        self._tree, self._device = tree, device
        self._store, self._rules, self._base = store, rules, base
        self._report = report
        self._patience = patience
        self._stopped = threading.Event()
        self._commands: queue.Queue[Command] = queue.Queue(WAITING)
        self._done: list[str] = []  # ids: a broker may bring a command twice
        self._link = Link(self._server, report, heard=self._heard)
        self._link.subscribe(tree.do(device))
        self._thread = threading.Thread(target=self._run, name="edgecam-fleet", daemon=True)

    def start(self) -> None:
        """
        Raises:
            SinkError: paho-mqtt is not installed.
        """
        self._link.start()
        self._say_slots()
        self._thread.start()

    def close(self) -> None:
        """End soon; a change that goes on is the run's, and ends with it."""
        self._stopped.set()
        self._thread.join(3.0)
        self._link.close(1.0)

    def _heard(self, topic: str, body: bytes, retained: bool) -> None:
        """On the link's thread. A retained command would be carried out again at each start: it is not."""
        if retained or not body:
            return
        try:
            command = Command.decode(body)
        except EdgecamError as error:
            log.warning("fleet: %s", error)
            return
        if command.id in self._done:
            return
        self._done = [*self._done[-100:], command.id]
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._say(command, "refused", "too many commands wait here")

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                command = self._commands.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._carry_out(command)
            except EdgecamError as error:
                self._say(command, "refused", str(error))
                self._report(f"fleet: refused: {error}")
            except Exception as error:
                log.exception("fleet")
                self._say(command, "refused", f"{type(error).__name__}: {error}")
            self._say_slots()

    def _carry_out(self, command: Command) -> None:
        if command.do == "install":
            self._install(command)
        state = self._store.read()
        active = state.active if state.base == self._base else ""
        if command.do != "rollback" and command.sha256 == active:
            self._say(command, "done", f"{state.name(active)} is in use")
            return
        order = Order.new(
            "rollback" if command.do == "rollback" else "activate", command.sha256, command.plan
        )
        if command.sha256 and state.slot(command.sha256) is None and command.do == "activate":
            self._say(command, "refused", "that model is not installed here")
            return

        def told(step: Progress) -> None:
            self._say(command, step.stage, step.message, step.figures)

        limit = command.plan.shadow * 4 + command.plan.trial * 2 + 600
        Desk(self._store).follow(order, told, limit)

    def _install(self, command: Command) -> None:
        slot = self._store.read().slot(command.sha256)
        proved = slot is not None and (slot.key or not self._rules.signed)
        if proved and not self._store.intact(command.sha256):
            return  # it is here: the rest was cut off before
        self._say(command, "fetching", "")
        fetch = Fetch(self._server, self._tree, command.sha256, self._may_come, self._stopped, self._patience)
        manifest, data = fetch.run()
        self._say(command, "checking", f"{manifest.name} is here, {len(data) / 1e6:.1f} MB")
        slot = check.install(self._store, data, manifest.signature, self._rules, title=manifest.name)
        by = f"signed by {slot.key}" if slot.key else "not signed"
        self._report(f"fleet: installed {slot.name}, {by}")

    def _may_come(self, manifest: Manifest) -> None:
        """Refuse before it comes what can be refused by its manifest: who signed it, and its size."""
        if not manifest.signature:
            check.signed_by(b"", "", self._rules, manifest.name)
        else:
            check.trusted(manifest.signature, self._rules, manifest.name)
        check.check_memory(manifest.name, manifest.size, self._rules.memory)

    def _say(self, command: Command, stage: Stage, message: str, figures: Any = None) -> None:
        job = Job(command.id, stage, command.sha256, message, figures or {})
        self._link.publish(Message(self._tree.job(self._device), job.encode(), retain=True))

    def _say_slots(self) -> None:
        """Tell which models are here."""
        state = self._store.read()
        active = state.active if state.base == self._base else ""
        body = {
            "base": self._base,
            "active": active,
            "name": state.name(active),
            "slots": [{"name": s.name, "sha256": s.sha256, "version": s.version} for s in state.slots],
            "refused": dict(state.refused),
            "unsigned": not self._rules.signed,
        }
        text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self._link.publish(Message(self._tree.slots(self._device), text, retain=True))
