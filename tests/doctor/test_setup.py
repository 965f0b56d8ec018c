"""What is said of settings, model and port."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam import contract, resources
from edgecam import verify as verifying
from edgecam.config import Settings
from edgecam.doctor import processes, setup
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Level
from edgecam.doctor.isolated import Outcome, call
from edgecam.doctor.setup import Door
from edgecam.errors import ConfigError
from tests.doctor.support import Calls, one


def test_settings() -> None:
    assert one(setup.judge_settings([], None, [])).seen == "no file, the defaults are in effect"
    assert one(setup.judge_settings([Path("/etc/a"), Path("/b")], None, [])).seen == "/etc/a, /b"
    finding = one(setup.judge_settings([], ConfigError("a.toml: unknown key 'x'", "did you mean y?"), []))
    assert (finding.level, finding.remedy) == (Level.FAILURE, "did you mean y?")
    open_file = one(setup.judge_settings([Path("/a")], None, [Path("/a")]))
    assert (open_file.level, open_file.remedy) == (Level.WARNING, "chmod 600 /a")


def test_a_secret_that_everybody_may_read(tmp_path: Path) -> None:
    file = tmp_path / "edgecam.toml"
    file.touch(0o644)
    file.chmod(0o644)
    files = [file, tmp_path / "absent"]
    assert setup.readable_by_others(files, Settings()) == []
    assert setup.readable_by_others(files, Settings(token="s")) == [file]
    assert setup.readable_by_others(files, Settings(source="rtsp://ann:pw@cam/1")) == [file]
    assert setup.readable_by_others(files, Settings(token="env:PAGE_TOKEN")) == []
    file.chmod(0o600)
    assert setup.readable_by_others(files, Settings(token="s")) == []


# Model

ANSWER = {
    "name": "m",
    "device": "CPU x2",
    "runtime": "r 1",
    "ms": 12.3,
    "notes": [],
    "samples": 0,
    "problems": [],
}


def test_model() -> None:
    assert one(setup.judge_model(Outcome(ANSWER), "m")).seen == "m answers in 12 ms on CPU x2, r 1"
    crashed = one(setup.judge_model(Outcome(error="crashed (SIGSEGV)", crashed=True), "big"))
    assert (crashed.level, crashed.seen) == (Level.FAILURE, "big: crashed (SIGSEGV)")
    refused = Outcome(error="x.tflite: no such file", remedy="name a file", kind="ModelError")
    assert one(setup.judge_model(refused, "x.tflite")).remedy == "name a file"
    proven = one(setup.judge_model(Outcome({**ANSWER, "samples": 3}), "m"))
    assert proven.seen.endswith(", 3 golden samples as promised")
    wrong = Outcome({**ANSWER, "samples": 3, "problems": ["0.jpg: cat 0.90 is missing"]})
    broken = one(setup.judge_model(wrong, "m"))
    assert broken.level is Level.FAILURE
    assert "1 of 3 golden samples are not as promised (0.jpg: cat 0.90 is missing)" in broken.seen
    note, answer = setup.judge_model(Outcome({**ANSWER, "notes": ["the CPU does its work"]}), "m")
    assert (note.level, answer.level) == (Level.WARNING, Level.OK)


def test_the_bundled_model_really_answers() -> None:
    settings = Context(settings=Settings(model="face", threads=1, threshold=0.9)).plain_settings
    outcome = call("edgecam.doctor.setup:try_model", {"settings": settings})
    assert (outcome.value["name"], outcome.value["device"]) == ("face", "CPU x1")
    carried = contract.read(resources.bundled_model("face"))
    assert carried is not None
    assert (outcome.value["samples"], outcome.value["problems"]) == (len(carried.golden), [])


def test_a_model_that_answers_otherwise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(sample: verifying.Golden, result: object, labels: object) -> verifying.Outcome:
        return verifying.Outcome(sample.name, ("face 0.90 is missing",), 0.9)

    monkeypatch.setattr(verifying, "check", check)
    samples, problems = setup.verify(Settings(model="face", threads=1))
    assert samples == len(problems) > 0
    assert problems[0].endswith(": face 0.90 is missing")


def test_a_model_that_is_none_and_a_sink_that_cannot_be() -> None:
    settings = Context(settings=Settings(model="/no/such.tflite")).plain_settings
    assert "/no/such.tflite" in call("edgecam.doctor.setup:try_model", {"settings": settings}).error
    settings = Context(settings=Settings(sinks=("web:?qualty=3",))).plain_settings
    assert "quality" in call("edgecam.doctor.setup:try_model", {"settings": settings}).remedy


def test_the_model_check_gives_the_model_time_and_memory() -> None:
    calls = Calls({"try_model": Outcome(ANSWER)})
    assert one(setup.check_model(Context(call=calls))).level is Level.OK
    assert calls.asked[0][1]["settings"]["model"] == "detect-coco"


# Port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_free() -> None:
    assert one([setup.judge_port(setup.knock("127.0.0.1", 0))]).seen == "any free one"
    assert one([setup.judge_port(Door("127.0.0.1", 8080))]).seen == "127.0.0.1 port 8080 is free"


def test_a_port_in_use_names_its_holder(taken: int) -> None:
    door = setup.knock("127.0.0.1", taken)
    assert door.error == errno.EADDRINUSE
    assert door.holder.endswith(f"(pid {os.getpid()})")
    finding = one([setup.judge_port(Door("127.0.0.1", taken, door.error, "nginx (pid 7)"))])
    assert finding.level is Level.FAILURE
    assert finding.seen == f"127.0.0.1 port {taken} is in use by nginx (pid 7)"
    assert f"--listen 127.0.0.1:{taken + 1}" in finding.remedy
    assert "sudo" not in finding.remedy


def test_a_port_in_use_by_nobody_we_see() -> None:
    finding = one([setup.judge_port(Door("0.0.0.0", 65535, errno.EADDRINUSE))])
    assert "another program" in finding.seen
    assert "--listen 0.0.0.0:8080; sudo edgecam doctor" in finding.remedy


@pytest.mark.parametrize(("holder", "ours"), [("edgecam (pid 4)", ()), ("", (4,)), ("edgecam (pid 4)", (4,))])
def test_a_port_that_edgecam_itself_has(holder: str, ours: tuple[int, ...]) -> None:
    finding = one([setup.judge_port(Door("127.0.0.1", 8080, errno.EADDRINUSE, holder, ours))])
    assert (finding.level, "edgecam (pid 4)" in finding.seen) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EACCES, "above 1023"),
        (errno.EADDRNOTAVAIL, "no address"),
        (-1, "unknown host"),
        (errno.EAFNOSUPPORT, "not supported"),
    ],
)
def test_a_port_that_cannot_be(error: int, text: str) -> None:
    finding = one([setup.judge_port(Door("10.1.2.3", 80, error))])
    assert finding.level is Level.FAILURE
    assert text in f"{finding.seen} {finding.remedy}"


def test_addresses_that_are_not_ours() -> None:
    assert setup.knock("192.0.2.1", 8080).error == errno.EADDRNOTAVAIL
    assert setup.knock("no such host", 8080).error == -1


@pytest.mark.parametrize(
    ("sinks", "expected"),
    [
        (("web:",), [("127.0.0.1", 9)]),
        (("web:8000", "jsonl:-"), [("127.0.0.1", 8000)]),
        (("web://0.0.0.0:81", "web:?port=82"), [("0.0.0.0", 81), ("127.0.0.1", 82)]),
        (("web://cam",), [("cam", 8080)]),
        (("web://[::1]:5",), [("::1", 5)]),
        (("a.mp4",), []),
    ],
)
def test_where_the_page_wants_to_listen(sinks: tuple[str, ...], expected: list[tuple[str, int]]) -> None:
    assert setup.addresses(Settings(sinks=sinks, listen="127.0.0.1:9")) == expected


@pytest.mark.parametrize("sink", ["web:?port=many", "web:?port=70000", "paper:"])
def test_a_sink_that_is_none_is_a_finding(sink: str) -> None:
    assert one(setup.check_port(Context(settings=Settings(sinks=(sink,))))).level is Level.FAILURE


def test_the_port_is_really_tried(taken: int) -> None:
    finding = one(setup.check_port(Context(settings=Settings(listen=f"127.0.0.1:{taken}"))))
    assert f"(pid {os.getpid()})" in finding.seen


# Processes


def process(proc: Path, pid: int, name: str, parent: int = 1) -> Path:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "status").write_text(f"Name: {name}\nPPid:\t{parent}\n")
    return folder


def test_our_own_family_is_not_somebody_else(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), "edgecam", parent=70)
    process(tmp_path, 70, "edgecam", parent=1)
    process(tmp_path, 500, "edgecam")
    process(tmp_path, 90, "edgecam")
    process(tmp_path, 91, "edgecamera")
    assert processes.running("edgecam", tmp_path) == (90, 500)


def test_who_listens(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 4711 1\n"
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(head + row.format(state="0A"))
    assert processes.listener(8080, tmp_path) == ""
    folder = process(tmp_path, 12, "nginx")
    (folder / "fd/3").symlink_to("socket:[4711]")
    assert processes.listener(8080, tmp_path) == "nginx (pid 12)"
    assert processes.listener(8081, tmp_path) == ""
    (tmp_path / "net/tcp").write_text(head + row.format(state="01"))  # a connection, no listener
    assert processes.listener(8080, tmp_path) == ""
