"""The folder of models: whole files, one writer at a time, and nothing lost to a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecam.errors import ModelError
from edgecam.slots import direct
from edgecam.slots.orders import Order
from edgecam.slots.state import Slot, State
from edgecam.slots.store import Store, default_folder


def slot(sha256: str, name: str) -> Slot:
    return Slot(name, sha256, 3, "door")


def test_models_are_named_by_their_hash_and_rot_is_seen(tmp_path: Path) -> None:
    store = Store(tmp_path / "slots")
    digest = store.put(b"abc")
    assert store.path(digest).read_bytes() == b"abc" and store.intact(digest) == ""
    store.path(digest).write_bytes(b"abd")
    assert "changed or is damaged" in store.intact(digest)
    store.put(b"abc")
    assert store.intact(digest) == ""
    assert "cannot be read" in store.intact("0" * 64)


def test_tidying_keeps_what_is_in_use_and_some_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digests = [store.put(bytes([n])) for n in range(9)]
    for n, digest in enumerate(digests):
        store.change(lambda state, n=n, digest=digest: state.install(slot(digest, str(n))))  # type: ignore[misc]
    store.change(lambda state: state.activate(digests[0], "base").prove())
    left = store.put(b"nobody's")
    store.tidy()
    assert [s.name for s in store.read().slots] == ["0", "5", "6", "7", "8"]
    assert not store.path(left).exists() and store.path(digests[0]).exists()
    assert len(list((tmp_path / "models").iterdir())) == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1}', "\x00" * 99])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "slots.json").write_text(text)
    assert Store(tmp_path).read() == State()


def test_one_run_has_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.in_use()
    claim = store.claim()
    assert claim is not None and store.in_use() and Store(tmp_path).claim() is None
    claim.close()
    assert not store.in_use()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        Store(tmp_path / "slots").change(lambda state: state)


def test_a_change_without_a_run_is_for_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "slots")
    digest = store.put(b"abc")
    store.change(lambda state: state.install(slot(digest, "door")))
    order = Order.new("activate", digest)
    assert direct.carry_out(store, order, "base").message == "door will be used at the next start, on trial"
    assert direct.carry_out(store, order, "base").stage == "refused"
    assert direct.carry_out(store, Order.new("rollback"), "base").message.startswith("settings will be used")
    claim = store.claim()
    with pytest.raises(ModelError, match="a run has just started"):
        direct.carry_out(store, order, "base")
    assert claim is not None
    claim.close()
    store.path(digest).write_bytes(b"rot")
    with pytest.raises(ModelError, match="slot door: its file was changed"):
        direct.carry_out(store, order, "base")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        direct.carry_out(Store(tmp_path / "file"), order, "base")


def test_each_service_has_its_own_folder() -> None:
    assert default_folder({"STATE_DIRECTORY": "/var/lib/edgecam"}) == Path("/var/lib/edgecam/slots")
    both = {"STATE_DIRECTORY": "/var/lib/edgecam:/var/lib/edgecam/front"}
    assert default_folder(both) == Path("/var/lib/edgecam/front/slots")
    assert default_folder({"HOME": "/home/a"}) == Path("/home/a/.local/state/edgecam/slots")


_WRITER = """
import sys
from pathlib import Path
from edgecam.slots.state import Slot
from edgecam.slots.store import Store
store, n = Store(Path(sys.argv[1])), 0
print("ready", flush=True)
while True:
    n += 1
    digest = store.put(n.to_bytes(4, "big") * 20000)
    store.change(lambda state: state.install(Slot(str(n), digest, 4, "door")))
    store.change(lambda state: state.activate(digest, "base").start())
    store.change(lambda state: state.prove())
    store.tidy()
"""


def test_killed_at_any_moment_the_state_is_whole_and_its_model_there(tmp_path: Path) -> None:
    store, random_ = Store(tmp_path), random.Random(7)
    for _ in range(15):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        time.sleep(random_.uniform(0.0, 0.03))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        state = store.read()
        assert state.active == "" or store.intact(state.active) == ""
        assert all(store.intact(s.sha256) == "" for s in state.slots)
    store.tidy()
    assert len(list((tmp_path / "models").iterdir())) == len(store.read().slots) > 0
