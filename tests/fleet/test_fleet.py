"""A fleet on a real mosquitto: models pushed, refused with their line, rolled out in waves and taken back."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecam.errors import EdgecamError
from edgecam.fleet import rollout as rollout_module
from edgecam.fleet.radio import Radio
from edgecam.fleet.rollout import published
from edgecam.fleet.wire import PIECE, Command, Manifest
from edgecam.minisign import SecretKey
from edgecam.sinks.mqtt.server import Server
from edgecam.slots import check
from edgecam.slots.check import Rules
from tests.conftest import ROOT
from tests.fleet.support import AT_ONCE, KEY, SIGNED, STRANGER, TREE, Controller, Device
from tests.helpers.broker import Broker, Subscriber, running
from tests.helpers.waiting import until
from tests.slots.test_check import with_contract

pytestmark = pytest.mark.mosquitto

GOOD = with_contract(version="2.0.0")
SIGNATURE = KEY.sign(GOOD)
SHA = Manifest.of(GOOD, "", "").sha256


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def fleet(broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes devices and controllers; names are the test's own, so that nothing retained is another's."""
    with contextlib.ExitStack() as stack:
        mark = f"{abs(hash(request.node.name)) % 10**6}"

        class Fleet:
            def device(self, name: str = "a", **more: Any) -> Device:
                device = Device(broker, tmp_path, f"{name}-{mark}", **more)
                stack.callback(device.close)
                return device

            def controller(self) -> Controller:
                controller = Controller(broker, tmp_path / "ledgers")
                stack.callback(controller.close)
                return controller

        yield Fleet()


def test_a_signed_model_is_fetched_checked_and_used(fleet: Any, broker: Broker) -> None:
    device = fleet.device()
    controller = fleet.controller()
    watcher = Subscriber(broker.port, ["edgecam/_models/#"])
    assert controller.push(GOOD, [device.name], SIGNATURE)
    assert device.active == SHA and device.store.read().slots[0].key == KEY.public.name
    assert any("done" in line for line in controller.said)
    assert controller.ledger.ends == {device.name: ("done", "")}
    # Nothing of it is left on the broker.
    until("all pieces were taken back", lambda: watcher.heard[-1][1] == b"")
    assert not [topic for topic, body in {t: b for t, b, _ in watcher.heard}.items() if body]
    back = controller.ask(device.name, Command.new("rollback"))
    assert back.stage == "done" and device.active == ""


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden samples are not run: what these tests are about comes after them."""
    monkeypatch.setattr(check, "_ask_child", lambda *_: {"need": 1, "ms": 1.0})


def refused(fleet: Any, data: bytes, signature: str, rules: Rules = SIGNED, name: str = "a") -> str:
    """Why a device refuses a push; what it had before is still in use, and nothing else is there."""
    device = fleet.device(name, rules=rules)
    controller = fleet.controller()
    assert not controller.push(data, [device.name], signature)
    assert device.active == "" and not device.store.read().slots
    assert not list(device.store.folder.glob("models/*"))
    why = controller.ledger.ends[device.name]
    assert why[0] == "failed" and "\n" not in why[1]
    assert any(why[1] in line for line in device.said)
    return why[1]


def test_a_model_signed_by_a_stranger_is_refused_before_it_is_fetched(fleet: Any) -> None:
    why = refused(fleet, GOOD, STRANGER.sign(GOOD))
    assert "new.tflite is signed by" in why and "not trusted here" in why


def test_a_model_by_a_stranger_with_a_trusted_id_is_refused(fleet: Any) -> None:
    why = refused(fleet, GOOD, SecretKey(KEY.id, STRANGER.seed).sign(GOOD))
    assert "it was changed or is damaged" in why


def test_an_unsigned_model_is_refused_unless_it_is_allowed(fleet: Any) -> None:
    assert "is not signed" in refused(fleet, GOOD, "")
    device, controller = fleet.device("open", rules=Rules()), fleet.controller()
    assert controller.push(GOOD, [device.name], "") and device.active == SHA


def test_a_model_that_fails_its_golden_samples_is_refused(fleet: Any) -> None:
    input = {"color": "bgr", "resize": "stretch", "mean": [0.0], "std": [1.0]}
    bad = with_contract(input=input)
    assert "fails its golden samples here" in refused(fleet, bad, KEY.sign(bad))


def test_a_model_that_needs_more_memory_than_there_is_is_refused(fleet: Any) -> None:
    why = refused(fleet, GOOD, SIGNATURE, replace(SIGNED, memory=len(GOOD) + 1))
    assert "beside the running model" in why
    why = refused(fleet, GOOD, SIGNATURE, replace(SIGNED, memory=1000), "b")  # by its manifest alone
    assert "new.tflite needs 0.3 MB" in why


def test_a_model_that_arrives_cut_off_is_refused_and_comes_whole_the_next_time(fleet: Any) -> None:
    device, controller = fleet.device(patience=1.0), fleet.controller()
    manifest = Manifest.of(GOOD, "new.tflite", SIGNATURE)
    controller.radio.publish(TREE.piece(SHA, 0), GOOD[:PIECE], retain=True)
    controller.radio.publish(TREE.manifest(SHA), manifest.encode(), retain=True)
    job = controller.ask(device.name, Command.new("install", SHA, AT_ONCE))
    assert job.stage == "refused"
    assert f"new.tflite arrived cut off: 1 of {manifest.pieces} pieces" in job.message
    assert device.active == ""
    assert controller.push(GOOD, [device.name], SIGNATURE) and device.active == SHA


def test_a_piece_that_was_changed_is_noticed(fleet: Any) -> None:
    device, controller = fleet.device(), fleet.controller()
    with published(controller.radio, TREE, Manifest.of(GOOD, "new.tflite", SIGNATURE), GOOD):
        controller.radio.publish(TREE.piece(SHA, 1), b"x" * PIECE, retain=True)
        job = controller.ask(device.name, Command.new("install", SHA, AT_ONCE))
    assert job.stage == "refused" and "arrived damaged" in job.message


def test_a_model_that_is_not_there_and_nonsense_harm_nobody(fleet: Any) -> None:
    device, controller = fleet.device(patience=0.5), fleet.controller()
    for body in (b"", b"\xff", b"[]", b'{"do": "format"}', json.dumps({"id": 1}).encode()):
        controller.radio.publish(TREE.do(device.name), body)
    job = controller.ask(device.name, Command.new("install", "0" * 64, AT_ONCE))
    assert job.stage == "refused" and "not on the broker" in job.message
    job = controller.ask(device.name, Command.new("activate", "0" * 64, AT_ONCE))
    assert job.stage == "refused" and "not installed here" in job.message


@pytest.mark.usefixtures("unproved")
def test_a_retained_or_repeated_command_is_carried_out_once(fleet: Any) -> None:
    device, controller = fleet.device(), fleet.controller()
    assert controller.push(GOOD, [device.name], SIGNATURE)
    again = Command.new("rollback")
    assert controller.ask(device.name, again).stage == "done" and device.active == ""
    controller.radio.publish(TREE.do(device.name), again.encode())
    assert controller.ask(device.name, Command.new("activate", "", AT_ONCE)).stage == "done"
    assert device.active == "" and device.store.read().previous == SHA


@pytest.mark.usefixtures("unproved")
def test_canaries_that_fail_stop_the_rollout_and_go_back(fleet: Any) -> None:
    devices = [fleet.device("a"), fleet.device("b", verdict=lambda _: "it is blind"), fleet.device("c")]
    names = [device.name for device in devices]
    controller = fleet.controller()
    assert not controller.push(GOOD, names, SIGNATURE, canary=0.6)
    assert [device.active for device in devices] == ["", "", ""]
    ends = controller.ledger.ends
    assert ends[names[0]][0] == "rolled back" and ends[names[1]] == ("failed", "it is blind")
    assert names[2] not in ends


@pytest.mark.usefixtures("unproved")
def test_a_canary_that_gets_worse_takes_its_wave_back(fleet: Any) -> None:
    first, second, controller = fleet.device("a"), fleet.device("b"), fleet.controller()
    lines: list[str] = []
    rollout = controller.rollout(SHA, canary=0.1, soak=1.5)

    def said(line: str) -> None:
        lines.append(line)
        if "watched for" in line:
            first.state("degraded", "too hot")

    rollout._said = said
    with published(controller.radio, TREE, Manifest.of(GOOD, "new.tflite", SIGNATURE), GOOD):
        assert not rollout.run([first.name, second.name])
    assert first.active == "" and second.active == ""
    assert any("is degraded now, and was running before (too hot)" in line for line in lines)


@pytest.mark.usefixtures("unproved")
def test_a_rollout_that_was_cut_off_goes_on(fleet: Any) -> None:
    first, second, controller = fleet.device("a"), fleet.device("b"), fleet.controller()
    assert controller.push(GOOD, [first.name], SIGNATURE)
    again = fleet.controller()
    assert again.push(GOOD, [first.name, second.name], SIGNATURE, canary=0.5)
    assert "1 devices have it from before" in again.said
    assert not any(line.startswith(first.name) for line in again.said)
    assert second.active == SHA


@pytest.mark.usefixtures("unproved")
def test_some_may_fail_if_that_is_allowed(fleet: Any) -> None:
    first, second = fleet.device("a", verdict=lambda _: "it is blind"), fleet.device("b")
    controller = fleet.controller()
    assert controller.push(GOOD, [first.name, second.name], SIGNATURE, canary=1.0, failures=0.5)
    assert second.active == SHA and controller.ledger.ends[first.name][0] == "failed"


def test_a_device_that_is_gone_is_not_waited_for_for_ever(
    fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "ANSWER", 0.3)
    controller = fleet.controller()
    job = controller.ask("nobody", Command.new("rollback"))
    assert job.stage == "refused" and "does not answer" in job.message


def test_a_broker_that_dies_ends_the_rollout_with_a_line(tmp_path: Path) -> None:
    with running(tmp_path) as broker:
        controller = Controller(broker, tmp_path)
        broker.kill()
        with pytest.raises(EdgecamError, match="it goes on from there"):
            until("the broker is gone", lambda: controller.radio.lost)
            controller.ask("a", Command.new("rollback"))
        controller.close()
        with pytest.raises(EdgecamError, match="cannot be reached"):
            Controller(broker, tmp_path)


def test_the_access_list_of_the_docs_is_enough_and_no_more(tmp_path: Path) -> None:
    text = (ROOT / "docs/fleet.md").read_text()
    rights = text.partition("For mosquitto:")[2].split("```")[1].strip()
    (tmp_path / "acl").write_text(rights + "\n")
    passwords = tmp_path / "passwords"
    passwords.write_text("rollout:one\nhall-1:two\n")
    tool = shutil.which("mosquitto_passwd") or pytest.skip(
        "mosquitto_passwd is absent: apt install mosquitto"
    )
    subprocess.run([tool, "-U", passwords], check=True, timeout=60)
    for file in (tmp_path / "acl", passwords):
        file.chmod(0o700)
    more = [f"acl_file {tmp_path}/acl", f"password_file {passwords}"]
    with running(tmp_path, more, anonymous=False) as broker:
        device = Device(broker, tmp_path, password="two")
        controller = Controller(broker, tmp_path, "rollout", "one")
        try:
            assert controller.push(GOOD, ["hall-1"], SIGNATURE) and device.active == SHA
            # What a device may not: command another one, or bring models.
            watcher = Subscriber(broker.port, user="rollout", password="one")
            for topic in (TREE.do("hall-2"), TREE.manifest(SHA)):
                with contextlib.suppress(EdgecamError):
                    thief = Server("127.0.0.1", broker.port, user="hall-1", password="two")
                    with Radio(thief, lambda topic, body: None) as radio:
                        radio.publish(topic, b"mine")
                        radio.flush()
            controller.radio.publish(TREE.do("hall-3"), b"the last")
            until("all has come", lambda: watcher.bodies(TREE.do("hall-3")))
            assert not [body for _, body, _ in watcher.heard if body == b"mine"]
        finally:
            device.close()
            controller.close()
